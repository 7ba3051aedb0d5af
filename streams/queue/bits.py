"""Sets of small numbers as bytes, for the wire: bit i of byte i // 8 says that i is in the set."""

from collections.abc import Iterable, Iterator


def pack(members: Iterable[int]) -> bytes:
    """The set as bytes, without trailing zeros."""
    number = 0
    for member in members:
        number |= 1 << member
    return number.to_bytes((number.bit_length() + 7) // 8, "little")


def unpack(packed: bytes) -> Iterator[int]:
    """The members, ascending."""
    number = int.from_bytes(packed, "little")
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


def union(left: bytes, right: bytes) -> bytes:
    """The members of either."""
    number = int.from_bytes(left, "little") | int.from_bytes(right, "little")
    return number.to_bytes((number.bit_length() + 7) // 8, "little")


def count(packed: bytes) -> int:
    """How many members there are."""
    return int.from_bytes(packed, "little").bit_count()
