"""A decision's figures in words, and its front as a chart: two figures of everybody who is left, with their intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from query_api.drawing.charts import Tick, number, seconds, size, usd
from schemas.decisions import Contender, DrawnFigure, RecommendationMade
from streams.deciding.candidates import FIGURES

FORMS: Final[Mapping[str, Callable[[float], str]]] = {
    "ratio": number, "s": seconds, "bytes": size, "USD/1M tokens": usd, "USD/month": usd, "USD": usd,
    "requests/s": lambda value: f"{number(value, 2)}/s", "1": lambda value: number(value, 0),
}  # fmt: skip
TICKS: Final = 4
LIKELY: Final = 0.5  # of the draws, from which on somebody is drawn as on the front


def told(value: float, unit: str) -> str:
    """A value of that unit as people read it."""
    return FORMS.get(unit, number)(value)


def figure_told(figure: Mapping[str, Any]) -> str:
    """A figure as measured."""
    return told(figure["value"], figure["unit"])


def interval_told(figure: Mapping[str, Any]) -> str:
    """Its interval."""
    return f"{told(figure['low'], figure['unit'])} – {told(figure['high'], figure['unit'])}"


def percent(value: float | None) -> str | None:
    """A share as people read it; None for none."""
    return None if value is None else f"{100 * value:.0f} %"


def share_told(figure: Mapping[str, Any]) -> str:
    """A share of decisions with its interval and of how many, or why there is none."""
    if figure["value"] is None:
        return str(figure["why_undefined"])
    ends = f" ({percent(figure['low'])} to {percent(figure['high'])})" if figure["low"] is not None else ""
    return f"{percent(figure['value'])}{ends} of {figure['n']}"


@dataclass(frozen=True, slots=True)
class Mark:
    """A candidate: where it stands and how far its intervals reach, in percent of the width and, from above, of the height."""

    x: float
    y: float
    left: float
    right: float
    top: float
    bottom: float
    on_front: bool
    number: int
    label: str


@dataclass(frozen=True, slots=True)
class Front:
    """Everybody by two figures; `across` and `up` say which, and ticks where their values lie."""

    across: str
    up: str
    marks: Sequence[Mark]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]


@dataclass(frozen=True, slots=True)
class Axis:
    """A figure's range with some room at its ends."""

    low: float
    high: float
    unit: str

    def at(self, value: float) -> float:
        """A value's place, in percent."""
        return 100 * (value - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[Tick]:
        """Evenly spread values."""
        values = [self.low + (self.high - self.low) * n / TICKS for n in range(TICKS + 1)]
        return [Tick(self.at(value), told(value, self.unit)) for value in values]


def front(made: RecommendationMade, counted: Sequence[str]) -> Front | None:
    """The chart of quality, or the figure with the most points, over the next one; None where fewer than two figures count."""
    points = made.requirement.preference.points
    wanted = sorted((name for name in counted if points.get(name)), key=lambda name: (name != "quality", -points[name]))
    if len(wanted) < 2:
        return None
    up, across = wanted[:2]
    own = [(n, one, {figure.figure: figure for figure in one.figures}) for n, one in enumerate(made.choices, 1)]
    known = [(n, one, figures[across], figures[up]) for n, one, figures in own if across in figures and up in figures]
    x, y = _axis([figure for _, _, figure, _ in known]), _axis([figure for _, _, _, figure in known])
    marks = [_mark(n, one, x, y, across=first, up=second) for n, one, first, second in known]
    return Front(FIGURES[across].words, FIGURES[up].words, marks, x.ticks, y.ticks)


def _axis(figures: Sequence[DrawnFigure]) -> Axis:
    low, high = min(one.low for one in figures), max(one.high for one in figures)
    room = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return Axis(max(0.0, low - room), high + room, figures[0].unit)


def _mark(place: int, one: Contender, x: Axis, y: Axis, *, across: DrawnFigure, up: DrawnFigure) -> Mark:
    words = f"{place}: {one.model} ({one.engine}) on {one.hardware}: {told(across.value, x.unit)}, {told(up.value, y.unit)}"
    return Mark(
        x.at(across.value), 100 - y.at(up.value), x.at(across.low), x.at(across.high), 100 - y.at(up.high), 100 - y.at(up.low),
        one.pareto >= LIKELY, place, words,
    )  # fmt: skip
