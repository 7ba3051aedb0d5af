"""Names of very many runs, of which little more is held."""

from collections.abc import Iterator
from copy import copy
from typing import Final, Self
from uuid import UUID

import numpy as np

NAME_BYTES: Final = 16
FULL: Final = 48  # names of a part; in more they are looked for longer, and fewer take more room


class Marks:
    """Runs' ids, each with as many bytes as all others: a set, or a mapping, that takes little room.

    Measured, memory of 1,000,000 names: 20 MB, of 5,000: 0.1 MB, and an eighth more than the bytes of their marks (a set of Python's takes
    100 MB). A name is found in a microsecond or two.
    Source of how it grows, a part at a time: W. Litwin, Linear hashing, VLDB 1980, 212-223.
    """

    def __init__(self, size: int, packed: bytes = b"") -> None:
        self._width = NAME_BYTES + size
        self._parts: dict[int, bytearray] = {}
        self._count, self._half, self._split = 0, 1, 0
        for at in range(0, len(packed), self._width):
            self._put(packed[at : at + NAME_BYTES], packed[at + NAME_BYTES : at + self._width])

    def __len__(self) -> int:
        return self._count

    def __contains__(self, run_id: str) -> bool:
        return self._found(_packed(run_id))[1] >= 0

    def get(self, run_id: str) -> bytes | None:
        """The run's mark; None where it has none."""
        name = _packed(run_id)
        part, at = self._found(name)
        return bytes(part[at + NAME_BYTES : at + self._width]) if at >= 0 else None

    def put(self, run_id: str, mark: bytes) -> None:
        """The run has that mark from now on; what is no id of a run has none."""
        if name := _packed(run_id):
            self._put(name, mark)

    def drop(self, run_id: str) -> None:
        """The run has none any more."""
        part, at = self._found(_packed(run_id))
        if at >= 0:
            part[at : at + self._width] = part[-self._width :]  # the last takes its place
            del part[-self._width :]
            self._count -= 1

    def __iter__(self) -> Iterator[str]:
        """The runs' ids, in no order."""
        told = self.taken()
        return (str(UUID(bytes=told[at : at + NAME_BYTES])) for at in range(0, len(told), self._width))

    def copy(self) -> Self:
        """The same, of which nothing changes when these do."""
        other = copy(self)
        other._parts = {number: part[:] for number, part in self._parts.items()}
        return other

    def taken(self) -> bytes:
        """All of them as they are now, in no order: quickly, for a picture."""
        return b"".join(self._parts.values())

    def packed(self) -> bytes:
        """All of them, in order: what they are made from again."""
        return in_order(self.taken(), self._width)

    def _put(self, name: bytes, mark: bytes) -> None:
        part, at = self._found(name)
        if at >= 0:
            part[at + NAME_BYTES : at + self._width] = mark
            return
        self._parts.setdefault(self._number(name), bytearray()).extend(name + mark)
        self._count += 1
        if self._count > FULL * (self._half + self._split):
            self._grow()

    def _number(self, name: bytes) -> int:
        """Of its part: those before `_split` are in two by now."""
        told = hash(name)
        number = told % self._half
        return number if number >= self._split else told % (2 * self._half)

    def _grow(self) -> None:
        """Puts the next part's names into two."""
        part = self._parts.pop(self._split, bytearray())
        self._split += 1
        for at in range(0, len(part), self._width):
            one = part[at : at + self._width]
            self._parts.setdefault(self._number(bytes(one[:NAME_BYTES])), bytearray()).extend(one)
        if self._split == self._half:
            self._half, self._split = 2 * self._half, 0

    def _found(self, name: bytes) -> tuple[bytearray, int]:
        """The part in which a name belongs, and where it begins there; -1 where it is not."""
        part = self._parts.get(self._number(name)) if name else None
        if part is None:
            return bytearray(), -1
        at = part.find(name)
        while at > 0 and at % self._width:  # not a name, but what lies across two
            at = part.find(name, at + 1)
        return part, at


class Names(Marks):
    """A set of runs' ids."""

    def __init__(self, packed: bytes = b"") -> None:
        super().__init__(0, packed)

    def add(self, run_id: str) -> None:
        """The run belongs to it from now on."""
        self.put(run_id, b"")

    def holds(self, key: bytes | None) -> bool:
        """The key of a record is the id of a run in it."""
        return key is not None and len(key) == 36 and key.isascii() and key.decode() in self


def in_order(taken: bytes, width: int = NAME_BYTES) -> bytes:
    """What was taken, of so many bytes each, in the order of its names."""
    return np.sort(np.frombuffer(taken, dtype=f"S{width}")).tobytes()


def _packed(run_id: str) -> bytes:
    """The sixteen bytes of a run's id; none of what is no such id."""
    try:
        found = bytes.fromhex(run_id.replace("-", ""))
    except ValueError:
        return b""
    return found if len(found) == NAME_BYTES else b""
