"""Names of very many runs, of which little more is held."""

from collections.abc import Iterator
from copy import copy
from typing import Final, Self
from uuid import UUID

import numpy as np

NAME_BYTES: Final = 16
PARTS: Final = 2048  # a name is looked for in one of them


class Marks:
    """Runs' ids, each with as many bytes as all others: a set, or a mapping, that takes little room.

    Memory of 1,000,000 names: 18 MB, and as many more for each byte of a mark; of 5,000: 0.4 MB. (A set of them in Python takes 100 MB.)
    """

    def __init__(self, size: int, packed: bytes = b"") -> None:
        self._width = NAME_BYTES + size
        self._parts: dict[int, bytearray] = {}
        self._count = 0
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
        self._parts.setdefault(hash(name) % PARTS, bytearray()).extend(name + mark)
        self._count += 1

    def _found(self, name: bytes) -> tuple[bytearray, int]:
        """The part in which a name belongs, and where it begins there; -1 where it is not."""
        part = self._parts.get(hash(name) % PARTS) if name else None
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
