"""A calculation of cost in words, as CSV and as Markdown, and its tornado and break-even as charts."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from query_api.drawing.charts import Span, number, usd
from streams.visible import in_cell

HEAD: Final = ("figure", "value", "unit", "formula", "source")
READ: Final = re.compile(r"[\\`*_{}\[\]<>()#+!|~&-]")  # by Markdown, or HTML in it; each may have a backslash before it
WHOLE: Final = 10_000  # dollars from which on cents are left out
UNITS: Final[Mapping[str, Callable[[float], str]]] = {
    "1": lambda value: f"{number(100 * value, 1)} %", "periods": lambda value: f"{number(value, 2)} years",
    "hours": lambda value: f"{value:,.0f} hours", "hours/day": lambda value: f"{number(value, 2)} hours a day",
    "tokens/month": lambda value: f"{value:,.0f} tokens a month",
}  # fmt: skip


def told(value: float, unit: str) -> str:
    """A value of that unit as people read it."""
    if unit.startswith("USD"):
        digits = f"${abs(value):,.0f}" if abs(value) >= WHOLE else usd(abs(value))
        amount = f"−{digits}" if value < 0 else digits
        return f"{amount}{unit.removeprefix('USD')}"
    return UNITS[unit](value) if unit in UNITS else f"{number(value)} {unit}"


def plainly(value: float, unit: str) -> str:
    """The same where its name says what it is for: money without it."""
    return told(value, "USD" if unit.startswith("USD") else unit)


def rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    """Every figure, each followed by what was stated for it; then what has no value, with its reason."""
    stated: dict[str, tuple[str, str, str, str, str]] = {}
    for one in found["figures"]:
        yield one["figure"], repr(one["value"]), one["unit"], one["formula"], one["source"]
        stated |= {
            part["name"]: (part["name"], repr(part["value"]), part["unit"], "", part["source"])
            for part in one["opened"] if not part["formula"]
        }  # fmt: skip
    yield from stated.values()
    yield from ((name, "", "", "", why) for name, why in found["undefined"].items())


def as_csv(found: Mapping[str, Any]) -> str:
    """Figures and stated inputs as CSV. Values are numbers of ours; who wrote a link of the other cells may not be who opens it."""
    text = io.StringIO()
    guarded = ([cell if name == "value" else in_cell(cell) for name, cell in zip(HEAD, row, strict=True)] for row in rows(found))
    csv.writer(text, lineterminator="\n").writerows([HEAD, *guarded])
    return text.getvalue()


def as_markdown(found: Mapping[str, Any]) -> str:
    """The same as a table in Markdown, in which no text is more than a text. Source: CommonMark 0.31, 2.4 (backslash escapes)."""
    lines = [f"| {' | '.join(HEAD)} |", f"|{' --- |' * len(HEAD)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(_no_markup, row))} |" for row in rows(found))]) + "\n"


def _no_markup(cell: str) -> str:
    return READ.sub(r"\\\g<0>", " ".join(cell.split()))


@dataclass(frozen=True, slots=True)
class Moved:
    """A tornado's bar: its input, both ends in percent of the width, and what the figure is there."""

    name: str
    left: float
    width: float
    low: str
    high: str


def tornado(one: Mapping[str, Any]) -> tuple[list[Moved], Span]:
    """The bars on one scale, and where the band and its middle lie on it."""
    bars = [bar for bar in one["tornado"] if None not in (bar["low"], bar["high"]) and bar["low"] != bar["high"]]
    known = [value for bar in bars for value in (bar["low"], bar["high"])] + [one["low"], one["high"]]
    least, size = min(known), (max(known) - min(known)) or 1.0

    def at(value: float) -> float:
        return float(100 * (value - least) / size)

    drawn = [
        Moved(bar["input"], at(min(bar["low"], bar["high"])), abs(at(bar["high"]) - at(bar["low"])), plainly(bar["low"], one["unit"]),
              plainly(bar["high"], one["unit"]))
        for bar in bars
    ]  # fmt: skip
    return drawn, Span(at(one["low"]), at(one["middle"]), at(one["high"]))


@dataclass(frozen=True, slots=True)
class BreakEven:
    """What was spent after so many hours of use, owned and rented, as lines in percent; and where they meet."""

    owned: tuple[float, float]
    rented: float
    meets: tuple[float, float]
    hours: str
    usd: str


def break_even(found: Mapping[str, Any]) -> BreakEven | None:
    """The chart up to twice the break-even; None where there is none."""
    figure = next((one for one in found["figures"] if one["figure"] == "break_even_hours"), None)
    if figure is None:
        return None
    parts = {part["name"]: part["value"] for part in figure["opened"]}
    hours, top = 2 * figure["value"], 2 * figure["value"] * parts["rent"]
    start, end = parts["capital"], parts["capital"] + parts["running an hour"] * hours
    return BreakEven(
        (100 * start / top, 100 * end / top),
        100.0,
        (50.0, 50.0),
        told(figure["value"], "hours"),
        told(figure["value"] * parts["rent"], "USD"),
    )


def chosen(found: Mapping[str, Any], names: Sequence[str]) -> list[tuple[str, str]]:
    """Some figures in words, those that have a value."""
    own = {one["figure"]: plainly(one["value"], one["unit"]) for one in found["figures"]}
    return [(name, own[name]) for name in names if name in own]
