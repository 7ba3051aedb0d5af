"""The energy between two readings of a meter: what a counter has counted, and what a power comes to.

A counter begins again at 0 where its range ends, and where its driver is loaded anew. The first is a wrap, and what it counted is known; of
the second it is not. They are told apart by the power that a wrap would mean.
Source: Linux, Documentation/power/powercap/powercap.rst (energy_uj, max_energy_range_uj).
"""

from typing import Final

# What one device's counter can grow by: far above any device's power, far below what a wrong wrap would mean.
MOST_W: Final = 5_000
# Many times what lies between two readings of a meter: over a longer gap a counter may have wrapped more than once.
LONGEST_GAP_NS: Final = 5 * 10**9
Point = tuple[int, int]  # perf_counter_ns; µJ of a counter, µW of a power


def grown_uj(before: Point, after: Point, *, range_uj: int | None) -> int | None:
    """What it counted, in µJ; None where that is not known: over a long gap, or where it was set back."""
    took_ns = after[0] - before[0]
    if not 0 < took_ns <= LONGEST_GAP_NS:
        return None
    grown = after[1] - before[1]
    if grown >= 0:
        return grown
    wrapped = grown + range_uj if range_uj else -1
    most_uj = MOST_W * took_ns // 1000  # W · ns / 1000 = µJ
    return wrapped if 0 <= wrapped <= most_uj else None


def integrated_uj(before: Point, after: Point, *, inside: tuple[int, int] | None = None) -> int | None:
    """A power that goes straight from one reading to the next, over a part of the time between them or all of it: µJ, rounded down.

    None over a long gap. The trapezoidal rule: the power in the middle of the part, times its length.
    """
    (began_ns, first_uw), (ended_ns, last_uw) = before, after
    start_ns, end_ns = inside or (began_ns, ended_ns)
    took_ns = ended_ns - began_ns
    if not 0 < took_ns <= LONGEST_GAP_NS:
        return None
    # In whole numbers, so that all who reckon it have the same.
    twice = 2 * first_uw * took_ns + (last_uw - first_uw) * (start_ns + end_ns - 2 * began_ns)
    return (end_ns - start_ns) * twice // (2 * took_ns * 10**9)
