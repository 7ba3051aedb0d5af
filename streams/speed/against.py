"""Two loads compared, figure by figure: how far apart they are, and whether that is more than their own intervals leave open.

The 95 % interval of the difference a - b of two independent figures, of which each has its own interval (l, u), not the same on both sides:

    (a - b) - √((a - lₐ)² + (u_b - b)²)   to   (a - b) + √((uₐ - a)² + (b - l_b)²)

What changes from one start of a server to the next is in no run's interval (repeated.py), and so not in this one.
Source: the method of variance estimates recovery, G. Y. Zou and A. Donner, Statistics in Medicine 27 (2008) 1693-1702.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from streams.speed.repeated import FIGURES, Own

METHOD: Final = "MOVER, of each run's own interval"
MORE_IS_BETTER: Final = frozenset({"capacity_tokens_per_s", "concurrent_tokens_per_s", "alone_tokens_per_s", "output_tokens_per_s"})
# What both are compared in: those of several runs of one load, and what else two loads may have in common.
COMPARED: Final = (
    ("output_tokens_per_s", "tokens/s", "tokens/s", "output_tokens_per_s", 1.0),
    ("alone_tokens_per_s", "tokens/s of one stream alone", "tokens/s", "alone_tokens_per_s", 1.0),
    *FIGURES[:-1],
    ("e2e_p50_s", "whole request p50", "s", "e2e_p50", 1e9), ("e2e_p95_s", "whole request p95", "s", "e2e_p95", 1e9),
    FIGURES[-1],
)  # fmt: skip
NAMES: Final = {name: words for name, words, *_ in COMPARED}


@dataclass(frozen=True, slots=True)
class Against:
    """A figure of both; `value` is a - b, `ratio` a / b. `ahead`: a or b, where the interval leaves out 0; None where neither is."""

    metric: str
    unit: str
    a: Own
    b: Own
    value: float
    low: float | None
    high: float | None
    ratio: float | None
    ahead: str | None

    @property
    def method(self) -> str | None:
        """What made the interval."""
        return None if self.low is None else METHOD


def against(a: Mapping[str, Own], b: Mapping[str, Own]) -> Iterator[Against]:
    """The figures that both have, by their names."""
    for name, _, unit, *_ in COMPARED:
        if name in a and name in b:
            yield _against(name, unit, a[name], b[name])


def _against(name: str, unit: str, a: Own, b: Own) -> Against:
    value, low, high = a.value - b.value, None, None
    if None not in (a.low, a.high, b.low, b.high):
        low = value - math.hypot(a.value - (a.low or 0), (b.high or 0) - b.value)
        high = value + math.hypot((a.high or 0) - a.value, b.value - (b.low or 0))
    above = None if low is None or high is None or low <= 0 <= high else low > 0
    ahead = None if above is None else "a" if above == (name in MORE_IS_BETTER) else "b"
    return Against(name, unit, a, b, value, low, high, a.value / b.value if b.value else None, ahead)


def unlike(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """In what two loads were asked for differently, in words: by the names of their fields, of a workload and of a service level."""
    names = sorted({*a, *b})
    return [f"{name}: {_said(a.get(name))} for A, {_said(b.get(name))} for B" for name in names if a.get(name) != b.get(name)]


def _said(value: Any) -> str:
    if isinstance(value, list | dict):
        return f"{len(value):,} of them"
    return "none" if value is None else f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
