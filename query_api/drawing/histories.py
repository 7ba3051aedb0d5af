"""A task's scores over time as charts: a chart a metric, what was measured here and what others report drawn apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from query_api.drawing.charts import Tick, number
from query_api.reading.histories import MEASURED
from streams.times import day

MOST_CHARTS: Final = 6
TICKS: Final = 4
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Then:
    """A score: where it stands and how far its interval reaches, in percent of the width and, from above, of the height."""

    x: float
    y: float
    top: float
    bottom: float
    here: bool
    label: str


@dataclass(frozen=True, slots=True)
class History:
    """A metric's scores over time; `undated`: how many have no time, and stand in the table alone."""

    metric: str
    points: Sequence[Then]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    undated: int


def histories(rows: Sequence[Row]) -> list[History]:
    """A chart for each metric that has a dated score, that with the most first; six at most."""
    by_metric: dict[str, list[Row]] = {}
    for row in rows:
        by_metric.setdefault(named(row), []).append(row)
    found = [_history(metric, own) for metric, own in by_metric.items() if any(row["at_us"] is not None for row in own)]
    return sorted(found, key=lambda one: (-len(one.points), one.metric))[:MOST_CHARTS]


def named(row: Row) -> str:
    """A score's metric, with what its answers went through and its unit, where there are any."""
    through = f" ({row['filter']})" if row["filter"] != "none" else ""
    return f"{row['metric']}{through}" + (f", {row['unit']}" if row["unit"] else "")


def _history(metric: str, rows: Sequence[Row]) -> History:
    dated = [row for row in rows if row["at_us"] is not None]
    first, last = (ends(row["at_us"] for row in dated) for ends in (min, max))
    values = [end for row in dated for end in (row["value"], row["low"], row["high"]) if end is not None]
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = low - room, high + room

    def across(at_us: float) -> float:
        return 50.0 if first == last else float(4 + 92 * (at_us - first) / (last - first))

    def down(value: float | None, otherwise: float) -> float:
        return float(100 - 100 * ((otherwise if value is None else value) - low) / (high - low))

    points = [
        Then(
            across(row["at_us"]), down(row["value"], 0.0), down(row["high"], row["value"]), down(row["low"], row["value"]),
            row["origin"] == MEASURED, f"{row['model']}: {number(row['value'])}, {day(row['at_us'])}, {row['origin']}",
        )
        for row in dated
    ]  # fmt: skip
    times = [first] if first == last else [first + (last - first) * n / TICKS for n in range(TICKS + 1)]
    x_ticks = [Tick(across(at_us), day(round(at_us))) for at_us in times]
    heights = [low + (high - low) * n / TICKS for n in range(TICKS + 1)]
    return History(metric, points, x_ticks, [Tick(100 - down(one, 0.0), number(one)) for one in heights], len(rows) - len(dated))
