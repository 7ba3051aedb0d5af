"""Rows of whole numbers, as they are kept of events that come by the million: eight bytes a number, and sixteen for the event's id.

What an event does not tell is ABSENT. A text is its place in a list of words. Times that no host's clock shows (beyond 2⁶⁰ ns, 36 years)
are held as the nearest that one could: the difference of any two is a whole number then.
"""

import struct
from array import array
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid5

import numpy as np
from numpy.typing import NDArray

from schemas.event import NAMESPACE

Numbers = NDArray[np.int64]
ABSENT: Final = -(2**63)
FARTHEST: Final = 2**60


def whole(values: Sequence[int | None]) -> Sequence[int]:
    """Whole numbers as they are kept."""
    return [ABSENT if value is None else max(-FARTHEST, min(FARTHEST, value)) for value in values]


def shown(times: Sequence[int]) -> Sequence[int]:
    """Times as they are kept; nearly all are as they are."""
    return times if not times or -FARTHEST <= min(times) <= max(times) <= FARTHEST else whole(times)


def real(value: float | None) -> int:
    """A real number as it is kept: its eight bytes; a negative zero is a zero."""
    return ABSENT if value is None else struct.unpack("q", struct.pack("d", value + 0.0))[0]


@dataclass(slots=True)
class Words:
    """Texts that come again and again, each by its place."""

    places: dict[str, int] = field(default_factory=dict)

    def place(self, text: str | None) -> int:
        """Where the text stands, from now on."""
        return ABSENT if text is None else self.places.setdefault(text, len(self.places))

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts by their places."""
        return tuple(self.places)


@dataclass(slots=True)
class Rows:
    """Rows of the columns `names`, in the order in which they came."""

    names: tuple[str, ...]
    numbers: "array[int]" = field(default_factory=lambda: array("q"))
    ids: bytearray = field(default_factory=bytearray)

    def __len__(self) -> int:
        return len(self.ids) // 16

    def add(self, values: Iterable[int], event_id: str) -> None:
        """Takes in a row: a number for each column."""
        self.numbers.extend(values)
        self.ids += id_bytes(event_id)

    def pictured(self) -> "Rows":
        """The rows so far; what comes later changes nothing of them."""
        return Rows(self.names, self.numbers[:], self.ids[:])

    def table(self) -> Numbers:
        """The rows so far, shape [rows, columns]."""
        return np.frombuffer(self.numbers.tobytes(), dtype=np.int64).reshape(-1, len(self.names))

    def dumped(self) -> dict[str, str]:
        """The rows as texts."""
        return {"numbers": packed(self.numbers), "ids": b64encode(self.ids).decode()}

    def load(self, told: Mapping[str, str]) -> None:
        """Takes in what was dumped. Raises: ValueError, KeyError where it is no rows of these columns."""
        numbers, ids = unpacked(told["numbers"]), bytearray(b64decode(told["ids"]))
        if len(numbers) * 16 != len(ids) * len(self.names):
            raise ValueError(f"{len(numbers)} numbers are no {len(ids) // 16} rows of {len(self.names)}")
        self.numbers, self.ids = numbers, ids


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that are all here: `numbers` of shape [rows, columns], and the words that some of them stand for."""

    names: tuple[str, ...]
    numbers: Numbers
    words: Sequence[str]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, chosen: Any) -> "Table":
        """The chosen rows: a mask, or places in their order."""
        return Table(self.names, self.numbers[chosen], self.words)

    def column(self, name: str) -> Numbers:
        """A column, shape [rows]; ABSENT where nothing is told."""
        column: Numbers = self.numbers[:, self.names.index(name)]
        return column

    def known(self, name: str) -> Numbers:
        """What is told of a column, in the order of the rows; shape [rows that tell it]."""
        column = self.column(name)
        known: Numbers = column[column != ABSENT]
        return known

    def reals(self, name: str) -> NDArray[np.float64]:
        """What is told of a column of real numbers."""
        return self.known(name).view(np.float64)

    def are(self, name: str, text: str) -> NDArray[np.bool_]:
        """Which rows have that text in a column, shape [rows]."""
        place = self.words.index(text) if text in self.words else ABSENT + 1
        found: NDArray[np.bool_] = self.column(name) == place
        return found

    def texts(self, name: str) -> list[str | None]:
        """The texts of a column, a row each."""
        return [None if place == ABSENT else self.words[place] for place in self.column(name).tolist()]


def packed(numbers: "array[int]") -> str:
    """Numbers as a text."""
    return b64encode(numbers.tobytes()).decode()


def unpacked(text: str, kind: str = "q") -> "array[int]":
    """The numbers in such a text. Raises: ValueError where there are none."""
    told = array(kind)
    told.frombytes(b64decode(text))
    return told


def event_ids(ids: bytes | bytearray) -> list[str]:
    """The ids, sixteen bytes each, as events have them."""
    return [str(UUID(bytes=bytes(ids[at : at + 16]))) for at in range(0, len(ids), 16)]


def id_bytes(event_id: str) -> bytes:
    """An id's sixteen bytes; of one that is no UUID, as another producer may draw it, those of a UUID made of it."""
    try:
        found = bytes.fromhex(event_id.replace("-", ""))
    except ValueError:
        found = b""
    return found if len(found) == 16 else uuid5(NAMESPACE, event_id).bytes
