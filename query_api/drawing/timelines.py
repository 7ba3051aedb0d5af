"""A run's time as strips over one axis: positions for inline SVG, in a box of WIDTH by HEIGHT, and the same as a table."""

import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from query_api.drawing.charts import Tick, number, seconds, size
from query_api.reading.timelines import Axis, History, Point, Series

WIDTH: Final = 1000
HEIGHT: Final = 100
STEPS_S: Final = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400)
MOST_TICKS: Final = 6
GAP: Final = 6  # so many empty buckets break a line
FORMS: Final[Mapping[str, Callable[[float], str]]] = {
    "ns": lambda value: seconds(value / 1e9),
    "1": lambda value: number(value, 0),
    "1/s": lambda value: f"{number(value, 1)}/s",
    "ratio": lambda value: f"{number(100 * value, 0)} %",
    "bytes": size,
    "W": lambda value: f"{number(value, 1)} W",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A bucket's span: its left edge and width, its top and height."""

    x: float
    width: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Strip:
    """One quantity: either `bars` with `marks` (spread and median) or `areas` and `lines` (SVG paths). `top` is its scale's end."""

    name: str
    top: str
    about: str
    bars: Sequence[Bar] = ()
    marks: Sequence[Bar] = ()
    areas: Sequence[str] = ()
    lines: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Box:
    """An attempt on its agent's lane: from where, how wide, and how much of it was loading."""

    x: float
    width: float
    loading: float
    outcome: str
    about: str


@dataclass(frozen=True, slots=True)
class Lane:
    """An agent's attempts."""

    agent: str
    boxes: Sequence[Box]


@dataclass(frozen=True, slots=True)
class Timeline:
    """All of it. `rows` begin with the time; they are the strips as a table."""

    lanes: Sequence[Lane]
    strips: Sequence[Strip]
    ticks: Sequence[Tick]
    rows: Sequence[Sequence[str]]


def timeline(told: History) -> Timeline:
    """The strips of a run's history."""
    lanes = [Lane(agent, [_box(row, told.axis) for row in own]) for agent, own in _by_agent(told.attempts)]
    return Timeline(lanes, [_strip(series, told.axis) for series in told.series], _ticks(told.axis), _rows(told))


def _by_agent(attempts: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    ordered = sorted(attempts, key=lambda row: (row["agent"], row["began_us"]))
    return [(agent or "no agent", list(own)) for agent, own in itertools.groupby(ordered, key=lambda row: row["agent"])]


def _box(row: Mapping[str, Any], axis: Axis) -> Box:
    began, ended = _at(row["began_us"], axis), _at(row["last_us"], axis)
    ran = _at(row["ran_us"], axis) if row["ran_us"] else ended
    took = seconds((row["last_us"] - row["began_us"]) / 1e6)
    about = (
        f"{row['job_id'].partition('/')[2]}, attempt {row['attempt']}: {row['outcome']}, {took}{': ' + row['why'] if row['why'] else ''}"
    )
    return Box(began, max(2.0, ended - began), max(0.0, ran - began), row["outcome"], about)


def _at(time_us: int, axis: Axis) -> float:
    return WIDTH * (time_us - axis.first_us) / max(1, axis.last_us - axis.first_us)


def _left(bucket: int, axis: Axis) -> float:
    return _at(axis.first_us + bucket * axis.width_us, axis)


def _strip(series: Series, axis: Axis) -> Strip:
    form, points = FORMS[series.unit], series.points
    top = 1.0 if series.unit == "ratio" else max(point.most for point in points) or 1.0
    middle = statistics.median(point.middle for point in points)
    about = (
        f"{series.name}: from {form(min(point.least for point in points))} to {form(max(point.most for point in points))}, "
        f"median {form(middle)}"
    )
    if series.spread:
        bars = [_bar(point, axis, low=point.least / top, high=point.most / top) for point in points]
        marks = [_bar(point, axis, low=point.middle / top - 0.015, high=point.middle / top + 0.015) for point in points]
        return Strip(series.name, form(top), about, bars=bars, marks=marks)
    lines = [_line(run, axis, top) for run in _runs(points)]
    areas = [f"{line} V{HEIGHT} H{_left(run[0].bucket, axis):.1f} Z" for line, run in zip(lines, _runs(points), strict=True)]
    return Strip(series.name, form(top), about, areas=areas, lines=lines)


def _bar(point: Point, axis: Axis, *, low: float, high: float) -> Bar:
    x, width = _left(point.bucket, axis), WIDTH * axis.width_us / max(1, axis.last_us - axis.first_us)
    top, height = max(0.0, HEIGHT * (1 - high)), max(3.0, HEIGHT * (high - low))
    return Bar(x + width * 0.1, width * 0.8, min(top, HEIGHT - height), height)


def _runs(points: Sequence[Point]) -> list[list[Point]]:
    """Stretches without a long gap."""
    runs: list[list[Point]] = []
    for point in points:
        if runs and point.bucket - runs[-1][-1].bucket <= GAP:
            runs[-1].append(point)
        else:
            runs.append([point])
    return runs


def _line(run: Sequence[Point], axis: Axis, top: float) -> str:
    """A path of steps: each point holds until the next one."""
    ends = [*(point.bucket for point in run[1:]), run[-1].bucket + 1]
    start = f"M{_left(run[0].bucket, axis):.1f} {HEIGHT * (1 - run[0].middle / top):.1f}"
    steps = [f"V{HEIGHT * (1 - point.middle / top):.1f} H{min(WIDTH, _left(end, axis)):.1f}" for point, end in zip(run, ends, strict=True)]
    return " ".join([start, *steps])


def _ticks(axis: Axis) -> list[Tick]:
    """Whole steps from the axis' beginning, at most MOST_TICKS of them, in percent of the width."""
    length_s = max(1, axis.last_us - axis.first_us) / 1e6
    step = next((one for one in STEPS_S if length_s / one <= MOST_TICKS), STEPS_S[-1])
    return [Tick(100 * index * step / length_s, _clock(index * step)) for index in range(int(length_s / step) + 1)]


def _clock(since_s: float) -> str:
    """Seconds below two minutes; then minutes, then hours."""
    if since_s < 120:
        return f"{since_s:g} s"
    return f"{since_s / 60:g} min" if since_s < 7200 else f"{since_s / 3600:g} h"


def _rows(told: History) -> list[list[str]]:
    by_bucket: dict[int, list[str]] = {}
    for place, series in enumerate(told.series):
        for point in series.points:
            by_bucket.setdefault(point.bucket, ["–"] * len(told.series))[place] = FORMS[series.unit](point.middle)
    return [[f"{bucket * told.axis.width_us / 1e6:.1f} s", *by_bucket[bucket]] for bucket in sorted(by_bucket)]
