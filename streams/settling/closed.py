"""Which runs are settled: what is needed to pass over what comes again of them, and to open those that are scored anew."""

import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final

from streams.names import Marks

_CLOSED: Final = struct.Struct(">qI")
NOWHERE: Final = -1


class Closed:
    """Run → where its plan lies (None: it is never scored anew), and the scorer versions that it was closed with.

    A run takes 33 bytes of memory (streams/names.py), 38 of a snapshot. The sets of versions are few, and are held once.
    """

    def __init__(self) -> None:
        self._runs = Marks(_CLOSED.size)
        self._versions: dict[frozenset[str], int] = {}
        self._sets: list[frozenset[str]] = []

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._runs

    def __len__(self) -> int:
        return len(self._runs)

    def get(self, run_id: str) -> tuple[int | None, frozenset[str]] | None:
        """Of a closed run; None of any other."""
        if (mark := self._runs.get(run_id)) is None:
            return None
        planned_at, number = _CLOSED.unpack(mark)
        return None if planned_at == NOWHERE else planned_at, self._sets[number]

    def put(self, run_id: str, planned_at: int | None, versions: frozenset[str]) -> None:
        """The run is closed."""
        if versions not in self._versions:
            self._versions[versions] = len(self._sets)
            self._sets.append(versions)
        self._runs.put(run_id, _CLOSED.pack(NOWHERE if planned_at is None else planned_at, self._versions[versions]))

    def drop(self, run_id: str) -> None:
        """The run is open again."""
        self._runs.drop(run_id)

    def copy(self) -> "Closed":
        """The same, of which nothing changes when these do."""
        other = Closed()
        other._runs, other._versions, other._sets = self._runs.copy(), dict(self._versions), list(self._sets)
        return other

    def told(self) -> dict[str, Any]:
        """What they are made from again, as JSON can hold it."""
        return {"runs": b64encode(self._runs.packed()).decode(), "versions": [sorted(one) for one in self._sets]}

    @classmethod
    def loaded(cls, told: Any) -> "Closed":
        """Those that were told so. Raises: ValueError, KeyError, TypeError."""
        closed = cls()
        closed._runs = Marks(_CLOSED.size, b64decode(told["runs"]))
        closed._sets = [frozenset(one) for one in told["versions"]]
        closed._versions = {one: number for number, one in enumerate(closed._sets)}
        return closed


class Through:
    """Up to which offsets of which topics the results of runs know all: 8 bytes a topic, while a state is made from the log."""

    def __init__(self, topics: tuple[str, ...]) -> None:
        self._topics = {name: number for number, name in enumerate(topics)}
        self._offsets = struct.Struct(f">{len(topics)}q")
        self._runs = Marks(self._offsets.size)

    def put(self, run_id: str, through: Mapping[str, int]) -> None:
        """A run's result knows all up to these."""
        self._runs.put(run_id, self._offsets.pack(*(through.get(name, 0) for name in self._topics)))

    def of(self, run_id: str, topic: str) -> int:
        """Up to which offset of a topic a run's result knows all; 0 where there is none."""
        mark, place = self._runs.get(run_id), self._topics.get(topic)
        return self._offsets.unpack(mark)[place] if mark is not None and place is not None else 0

    def clear(self) -> None:
        """They are needed no more."""
        self._runs = Marks(self._offsets.size)
