"""Positions for the pages' inline SVG: intervals, spreads and histograms, as shares of the width."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LONG = 100_000  # figures from here on are written with a power of ten


@dataclass(frozen=True, slots=True)
class Span:
    """A range with a point in it, each in percent of the width."""

    low: float
    point: float
    high: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A histogram's bar: its place and size in percent, and what it says."""

    left: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis, in percent."""

    at: float
    label: str


def intervals(rows: Sequence[Mapping[str, Any]], name: str = "score") -> list[Span | None]:
    """A span for each row on one common scale; None where it has no value of that name."""
    ends = [_ends(row, name) for row in rows]
    known = [end for end in ends if end is not None]
    least = min([0.0, *(low for low, _, _ in known)])
    most = max([1.0 if all(high <= 1 for _, _, high in known) else 0.0, *(high for _, _, high in known)])
    size = (most - least) or 1.0
    return [Span(*(100 * (value - least) / size for value in end)) if end else None for end in ends]


def shares(rows: Sequence[Mapping[str, Any]], name: str = "value") -> list[Span | None]:
    """A span for each row that is a share with its whole interval within 0 and 1; None for any other: one without, or of its own scale."""
    ends = [_ends(row, name) if row["low"] is not None or row["high"] is not None else None for row in rows]
    return [Span(*(100 * value for value in end)) if end and end[0] >= 0 and end[2] <= 1 else None for end in ends]


def _ends(row: Mapping[str, Any], name: str) -> tuple[float, float, float] | None:
    """Low end, value and high end of a row; its value stands for an end that is not known."""
    value = row[name]
    if value is None or not math.isfinite(value):
        return None
    return (row["low"] if row["low"] is not None else value, value, row["high"] if row["high"] is not None else value)


def spreads(values: Sequence[Mapping[str, float | None]]) -> tuple[list[Span | None], list[Tick]]:
    """Spans of p50, p95 and p99 (seconds) on one logarithmic scale of whole decades, and the scale's ticks."""
    known = [value for row in values for value in (row.get("p50"), row.get("p99")) if value]
    if not known:
        return [None for _ in values], []
    first, last = math.floor(math.log10(min(known))), math.ceil(math.log10(max(known)))
    last = max(last, first + 1)

    def at(value: float) -> float:
        return 100 * (math.log10(value) - first) / (last - first)

    ticks = [Tick(at(10.0**power), seconds(10.0**power)) for power in range(first, last + 1)]
    return [_spread(row, at) for row in values], ticks


def _spread(row: Mapping[str, float | None], at: Any) -> Span | None:
    p50, p95, p99 = (row.get(name) for name in ("p50", "p95", "p99"))
    return Span(at(p50), at(p95), at(p99)) if p50 and p95 and p99 else None


def histogram(told: Mapping[str, Any], *, beside: Mapping[str, Any] | None = None) -> tuple[list[Bar], list[Tick]]:
    """Bars of a histogram's buckets that hold something, and ticks; those that another one fills too, where both stand on one scale."""
    bounds, counts = told["bounds"], told["counts"]
    filled = [index for index, count in enumerate(counts) if count or (beside and beside["counts"][index])]
    if not filled:
        return [], []
    # An empty bucket on either side, where there is one, shows where the measurements end.
    first, last = max(0, filled[0] - 1), min(len(counts) - 1, filled[-1] + 1)
    width, most = 100 / (last - first + 1), max(1, *counts)
    bars = [
        Bar((index - first) * width, width, 100 * counts[index] / most, f"{counts[index]} up to {_bound(bounds, index)}")
        for index in range(first, last + 1)
    ]
    shown = range(first, last + 1, -(-(last - first + 1) // 4))
    return bars, [Tick((index - first + 1) * width, _bound(bounds, index)) for index in shown]


def _bound(bounds: Sequence[int], index: int) -> str:
    return seconds(bounds[index] / 1e9) if index < len(bounds) else "more"


def seconds(value: float | None) -> str:
    """A duration as people read it: 3.2 ms, 1.40 s; an en dash for none."""
    if value is None:
        return "–"
    if not value:
        return "0 s"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            shown = value / size
            return f"{shown:.0f} {unit}" if shown >= 100 or shown == round(shown) else f"{shown:.3g} {unit}"
    return f"{value:.1e} s"


def usd(value: float | None) -> str:
    """Dollars for people, to four digits that count."""
    if value is None:
        return "–"
    places = 2 if abs(value) >= 100 or not value else min(9, 3 - math.floor(math.log10(abs(value))))
    return f"${value:,.{max(2, places)}f}"


def number(value: float | None, digits: int = 3) -> str:
    """A figure with so many digits behind the point, of at most five that count; an en dash for none. From 100,000 on as 1.235e5."""
    if value is None:
        return "–"
    size = abs(float(f"{value:.5g}"))
    if size >= LONG:
        return f"{value:.3e}".replace("e+0", "e").replace("e+", "e")
    return f"{value:.{min(digits, 4 - math.floor(math.log10(size))) if size >= 10 else digits}f}"


def stopped(task: Mapping[str, Any]) -> str:
    """Where a task stopped early, and how well it is known."""
    return f"stopped at {task['expected']:,} of {task['planned']:,}: known to ±{task['half_width']:.3g}"


def size(value: float | None) -> str:
    """Bytes as people read them, in powers of 1024; an en dash for none."""
    if value is None:
        return "–"
    for unit, least in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value >= least:
            return f"{value / least:.3g} {unit}" if value < 999 * least else f"{value / least:,.0f} {unit}"
    return f"{value:.0f} B"
