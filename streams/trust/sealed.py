"""The sealed runs, as a sealer holds all of them: each in some bytes."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, get_args
from uuid import UUID

from schemas.event import Visibility
from streams.names import Marks

_HEAD: Final = struct.Struct(">16sBIH")
_PLACE: Final = struct.Struct(">Q")
VISIBILITIES: Final[tuple[Visibility, ...]] = get_args(Visibility)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed run: the seal's id and visibility, the scorer versions in it, and its stretches, packed."""

    seal: str
    visibility: Visibility
    scorers: frozenset[str]
    stretches: bytes


class SealedRuns:
    """Run → its newest seal. A run takes 55 bytes of memory, and 15 for each topic that it has records in: some 200."""

    def __init__(self) -> None:
        self._places = Marks(_PLACE.size)
        self._told = bytearray()  # one behind the other; of a run that is sealed anew the older stays, and is found no more
        self._scorers: dict[frozenset[str], int] = {}
        self._sets: list[frozenset[str]] = []

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __getitem__(self, run_id: str) -> Sealed:
        """The run's seal. Raises: KeyError."""
        at = self._at(run_id)
        seal, visibility, scorers, _ = _HEAD.unpack_from(self._told, at)
        return Sealed(str(UUID(bytes=seal)), VISIBILITIES[visibility], self._sets[scorers], self._stretches(at))

    def __setitem__(self, run_id: str, sealed: Sealed) -> None:
        """The run is sealed so from now on."""
        if sealed.scorers not in self._scorers:
            self._scorers[sealed.scorers] = len(self._sets)
            self._sets.append(sealed.scorers)
        self._places.put(run_id, _PLACE.pack(len(self._told)))
        head = UUID(sealed.seal).bytes, VISIBILITIES.index(sealed.visibility), self._scorers[sealed.scorers], len(sealed.stretches)
        self._told += _HEAD.pack(*head) + sealed.stretches

    def stretches(self, run_id: str) -> bytes | None:
        """Those of the run's seal, packed; None where it has none."""
        place = self._places.get(run_id)
        return self._stretches(_PLACE.unpack(place)[0]) if place is not None else None

    def _at(self, run_id: str) -> int:
        place = self._places.get(run_id)
        if place is None:
            raise KeyError(run_id)
        at: int = _PLACE.unpack(place)[0]
        return at

    def _stretches(self, at: int) -> bytes:
        first = at + _HEAD.size
        return bytes(self._told[first : first + _HEAD.unpack_from(self._told, at)[3]])
