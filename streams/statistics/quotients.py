"""How many times as much: the quotient of two estimates of positive quantities that are independent, with its interval."""

import math

from streams.statistics.differences import mean_of_differences
from streams.statistics.intervals import Interval

METHOD = "MOVER of logarithms"


def quotient(first: float, second: float, *, intervals: tuple[Interval | None, Interval | None]) -> tuple[float, Interval | None]:
    """first / second of positive numbers, and its 95 % interval; None where either has none, or one that reaches down to 0.

    The interval is that of the difference of their logarithms: exp(d - √((ln a - ln a₀)² + (ln b₁ - ln b)²)) up to
    exp(d + √((ln a₁ - ln a)² + (ln b - ln b₀)²)), d = ln a - ln b, ₀ and ₁ the ends of their intervals.
    Source: Zou and Donner, Statist. Med. 27 (2008) 1693-1702 (MOVER), of logarithms.
    """
    a, b = intervals
    if a is None or b is None or not all(0 < end < math.inf for end in (*a, *b)):
        return first / second, None
    own, other = (math.log(a[0]), math.log(a[1])), (-math.log(b[1]), -math.log(b[0]))
    low, high = mean_of_differences([math.log(first), -math.log(second)], [own, other], [1.0, 1.0])
    return first / second, (math.exp(low), math.exp(high))
