"""A decision's figures in words, and its front as a chart: two figures of everybody who is left, with their intervals."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from query_api.drawing.charts import number, seconds, size, usd

FORMS: Final[Mapping[str, Callable[[float], str]]] = {
    "ratio": number, "s": seconds, "bytes": size, "USD/1M tokens": usd, "USD/month": usd, "USD": usd,
    "requests/s": lambda value: f"{number(value, 2)}/s", "1": lambda value: number(value, 0),
}  # fmt: skip


def told(value: float, unit: str) -> str:
    """A value of that unit as people read it."""
    return FORMS.get(unit, number)(value)


def figure_told(figure: Mapping[str, Any]) -> str:
    """A figure as measured."""
    return told(figure["value"], figure["unit"])


def interval_told(figure: Mapping[str, Any]) -> str:
    """Its interval."""
    return f"{told(figure['low'], figure['unit'])} – {told(figure['high'], figure['unit'])}"
