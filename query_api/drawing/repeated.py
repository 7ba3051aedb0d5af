"""Several runs of one load as a table: what each figure is on the mean, and how much it differs from run to run."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from query_api.drawing.charts import number, seconds
from streams.speed.repeated import NAMES

COLUMNS: Final = ("runs", "mean", "95 % between runs", "run to run ±", "one run's own ±")
Row = tuple[str, int, str, str | None, str | None, str | None]


def rows(figures: Iterable[Mapping[str, Any]]) -> list[Row]:
    """A row a figure, in texts: its name, and COLUMNS. What follows ± are a standard deviation, and a standard error."""
    return [_row(one) for one in figures]


def _row(one: Mapping[str, Any]) -> Row:
    def shown(part: str) -> str | None:
        return None if one[part] is None else _figure(one[part], one["unit"])

    ends = None if one["low"] is None else f"{shown('low')} – {shown('high')}"
    return NAMES[one["metric"]], one["n"], _figure(one["value"], one["unit"]), ends, shown("between"), shown("within")


def _figure(value: float, unit: str) -> str:
    return seconds(value) if unit == "s" else number(value)
