"""Times of arrivals as few bytes: the gaps between them, less the usual one, in planes of bytes.

    width, one byte · the lowest byte of each, one after another · the next byte of each · … up to `width`

Of each gap g the number told is z = 2d where d ≥ 0, else -2d - 1 (zigzag), with d = g - usual modulo 2^64. What is told alike lies
together, so that a compressor finds the high bytes, which differ little, and leaves the low ones, which are chance, as they are.
"""

import sys
from array import array
from collections.abc import Sequence
from itertools import accumulate, pairwise
from statistics import median_low
from typing import Final

BEYOND: Final = 2**63  # no whole number in a record is that large
WIDEST: Final = 8


def packed(times: Sequence[int]) -> tuple[int, bytes]:
    """The usual gap between times, at least one, that are told in 64 bits, and the gaps in planes; none of a time alone."""
    gaps = _wrapped([after - before for before, after in pairwise(times)])
    if not gaps:
        return 0, b""
    usual = median_low(gaps)
    told = [2 * one if one >= 0 else -2 * one - 1 for one in _wrapped([gap - usual for gap in gaps])]
    width = max(1, -(-max(told).bit_length() // 8))
    rows = _swapped(array("Q", told)).tobytes()
    return usual, bytes([width]) + b"".join(rows[plane::WIDEST] for plane in range(width))


def unpacked(usual: int, planes: bytes) -> tuple[int, ...]:
    """The gaps; of bytes that are no planes none, and what is over the last whole plane is passed over."""
    width = planes[0] if planes else 0
    if not 1 <= width <= WIDEST:
        return ()
    count = (len(planes) - 1) // width
    rows = bytearray(count * WIDEST)
    for plane in range(width):
        rows[plane::WIDEST] = planes[1 + plane * count : 1 + (plane + 1) * count]
    told = _swapped(array("Q", bytes(rows)))
    return tuple(_wrapped([usual - (one >> 1) - 1 if one & 1 else usual + (one >> 1) for one in told]))


def times_of(first: int, gaps: Sequence[int]) -> tuple[int, ...]:
    """The times that lie so far apart."""
    return tuple(_wrapped(list(accumulate(gaps, initial=first))))


def _wrapped(numbers: list[int]) -> list[int]:
    """The numbers modulo 2^64, as a record can hold them; nearly all are as they are."""
    if not numbers or -BEYOND <= min(numbers) <= max(numbers) < BEYOND:
        return numbers
    return [(number + BEYOND) % (2 * BEYOND) - BEYOND for number in numbers]


def _swapped(numbers: "array[int]") -> "array[int]":
    """The numbers with their lowest byte first, whatever the machine has; and back."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
