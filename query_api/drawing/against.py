"""Two loads compared as a table: a row a figure, in texts."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from query_api.drawing.charts import number, seconds
from streams.speed.against import NAMES

COLUMNS: Final = ("A", "B", "A − B", "95 % interval", "A / B", "")
Row = tuple[str, str, str, str, str | None, str | None, str]


def rows(figures: Iterable[Mapping[str, Any]]) -> list[Row]:
    """A row a figure: its name, and COLUMNS."""
    return [_row(one) for one in figures]


def _row(one: Mapping[str, Any]) -> Row:
    unit = one["unit"]
    ends = None if one["low"] is None else f"{signed(one['low'], unit)} to {signed(one['high'], unit)}"
    verdict = "" if one["low"] is None else f"{one['ahead'].upper()} is better" if one["ahead"] else "cannot be told apart"
    ratio = None if one["ratio"] is None else number(one["ratio"])
    name = NAMES[one["metric"]]
    return name, _figure(one["a"]["value"], unit), _figure(one["b"]["value"], unit), signed(one["value"], unit), ends, ratio, verdict


def signed(value: float, unit: str) -> str:
    """A difference, with its sign."""
    return f"{'−' if value < 0 else '+' if value > 0 else ''}{_figure(abs(value), unit)}"


def _figure(value: float, unit: str) -> str:
    return seconds(value) if unit == "s" else number(value)
