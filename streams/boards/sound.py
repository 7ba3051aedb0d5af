"""Which entries a board can be made of: one over which ranking breaks costs its own place, and nobody else's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from streams.boards.ranking import Entry
from streams.errors import Temporary

T = TypeVar("T")


@dataclass(slots=True)
class Sound(Generic[T]):
    """What was made of the entries with which that can be done, None of none; and the others, each with what it raised."""

    made: T | None = None
    entries: list[Entry] = field(default_factory=list)
    broken: list[tuple[Entry, Exception]] = field(default_factory=list)

    def take(self, entries: Sequence[Entry], make: Callable[[Sequence[Entry]], T]) -> None:
        """Adds these where it can be made with them; else each half, down to single ones: k·log n times for k broken ones."""
        try:
            self.made = make([*self.entries, *entries])
        except (Temporary, MemoryError):  # no entry's fault
            raise
        except Exception as error:  # noqa: BLE001  # whatever an entry leads to
            if len(entries) == 1:
                self.broken.append((entries[0], error))
                return
            middle = len(entries) // 2
            for half in (entries[:middle], entries[middle:]):
                self.take(half, make)
        else:
            self.entries.extend(entries)


def sound(entries: Sequence[Entry], make: Callable[[Sequence[Entry]], T]) -> Sound[T]:
    """What can be made of them. Those that came first are taken first: where two cannot stand together, the later one gives way."""
    found = Sound[T]()
    if entries:
        found.take(sorted(entries, key=lambda entry: (entry.run.changed_us, entry.run.run_id)), make)
    return found
