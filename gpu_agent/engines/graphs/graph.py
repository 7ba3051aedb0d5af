"""A model as a function of tokens and of what came before them: its keys and values, which go in as a past and come out as a present."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Numbers = np.ndarray[Any, np.dtype[Any]]
Whole = np.ndarray[Any, np.dtype[np.int64]]


class Memory(Protocol):
    """A runtime's own memory."""

    def hold(self, array: Numbers) -> Any:
        """NumPy's numbers as the runtime has them."""
        ...

    def read(self, value: Any) -> Numbers:
        """The runtime's as NumPy's."""
        ...


@dataclass(frozen=True, slots=True)
class Past:
    """Keys and values of the tokens before, each [rows, heads, places, size], in the runtime's own `memory`.

    `seen` [rows, places] is 0 where a row has no token of its own: what stands there is passed over, and counts for no position.
    """

    values: tuple[Any, ...]
    seen: Whole
    memory: Memory

    @property
    def rows(self) -> int:
        """How many texts."""
        return len(self.seen)

    @property
    def places(self) -> int:
        """How many places each has."""
        return int(self.seen.shape[1])

    def arrays(self) -> list[Numbers]:
        """The keys and values as NumPy's."""
        return list(self._each())

    def _each(self) -> Iterator[Numbers]:
        """One after the other: of what is made of them no more than one is there twice."""
        return (self.memory.read(value) for value in self.values)

    def of(self, rows: Sequence[int]) -> "Past":
        """Of these rows alone, in this order; a row may stand there several times. Places that none of them sees are left out."""
        if list(rows) == list(range(self.rows)):
            return self
        seen = self.seen[list(rows)]
        used = seen.any(axis=0)
        taken = (array[list(rows)] for array in self._each())
        return past_of((array if used.all() else array[:, :, used] for array in taken), seen[:, used], self.memory)

    def first(self, places: int, *, row: int = 0) -> "Past":
        """The first places of one row."""
        return past_of((array[row : row + 1, :, :places] for array in self._each()), self.seen[row : row + 1, :places], self.memory)

    def ending(self, lengths: Sequence[int], *, before: int) -> "Past":
        """The same with no more of each row than so many places behind those before."""
        own = np.arange(self.places - before) < np.array(lengths)[:, None]
        return Past(self.values, np.concatenate([self.seen[:, :before], self.seen[:, before:] * own], axis=1), self.memory)

    def and_rows(self, other: "Past") -> "Past":
        """Both one below the other; the shorter one has a gap before its beginning."""
        longest = max(self.places, other.places)
        pairs = zip(self._each(), other._each(), strict=True)
        seen = [np.pad(one.seen, ((0, 0), (longest - one.places, 0))) for one in (self, other)]
        joined = (np.concatenate([_widened(array, longest) for array in pair]) for pair in pairs)
        return past_of(joined, np.concatenate(seen), self.memory)


def past_of(arrays: Iterable[Numbers], seen: Whole, memory: Memory) -> Past:
    """A past of NumPy's arrays."""
    return Past(tuple(memory.hold(array) for array in arrays), seen, memory)


def _widened(array: Numbers, places: int) -> Numbers:
    return np.pad(array, ((0, 0), (0, 0), (places - array.shape[2], 0), (0, 0)))


class Graph(Protocol):
    """A model that a runtime computes."""

    @property
    def keeps(self) -> bool:
        """Whether it takes a past, and gives a present."""
        ...

    def run(self, tokens: Whole, past: Past | None = None) -> tuple[Numbers, Past | None]:
        """Logits [rows, tokens, vocabulary] of tokens [rows, tokens] behind a past, in float32 where they were less, and all as a past.

        Raises: Temporary where memory ran out, and whatever the runtime raises.
        """
        ...
