"""What happened while a run ran, on one time axis: attempts of its jobs, its requests, and what its machines did meanwhile.

The axis begins with the first attempt and is cut into buckets, so that a page costs the same whatever the run's length.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from infra.clickhouse import Rows
from query_api.reading.runs import Reading

BUCKETS: Final = 96
LEAST_US: Final = 250_000
ON_CARD: Final = {"process": ", engine", "others": ", others"}
WHERE: Final = {"host": "whole host", "process": "engine", "cgroup": "container"}


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured in a bucket: the least, a middle one (median, mean or count), the most."""

    bucket: int
    least: float
    middle: float
    most: float


@dataclass(frozen=True, slots=True)
class Series:
    """A quantity over time. `unit`: ns, 1, 1/s, ratio, bytes or W. `spread`: its points have a least and a most."""

    name: str
    unit: str
    points: tuple[Point, ...]
    spread: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """The time axis: where it begins and ends (UTC), and how wide a bucket is."""

    first_us: int
    last_us: int
    width_us: int


@dataclass(frozen=True, slots=True)
class History:
    """A run's attempts and series on their axis."""

    axis: Axis
    attempts: Sequence[Mapping[str, Any]]
    series: Sequence[Series]


async def history(reading: Reading, run_id: str) -> History | None:
    """What is known of a run's time; None before its first attempt."""
    attempts = await reading.rows("attempts", run_id=run_id)
    if not attempts:
        return None
    first_us, last_us = min(row["began_us"] for row in attempts), max(row["last_us"] for row in attempts)
    axis = Axis(first_us, last_us, max(LEAST_US, -(-(last_us - first_us) // BUCKETS)))
    place = {"run_id": run_id, "first_us": first_us, "width_us": axis.width_us}
    requests, flying, gaps, answers, resources = await asyncio.gather(
        reading.rows("requests_over_time", **place), reading.rows("in_flight_over_time", **place),
        reading.rows("gaps_over_time", **place), reading.rows("answers_over_time", **place),
        reading.rows("resources_over_time", last_us=last_us, **place),
    )  # fmt: skip
    told = [
        Series("Requests in flight", "1", _points(flying)),
        Series("Time to first token", "ns", _points(requests), spread=True),
        Series("Between tokens", "ns", _points(gaps), spread=True),
        Series("Samples answered", "1/s", _points(answers)),
        *_resources(resources),
    ]
    return History(axis, attempts, [series for series in told if series.points])


def _points(rows: Rows, name: str = "middle") -> tuple[Point, ...]:
    known = [row for row in rows if row[name] is not None and row["bucket"] >= 0]
    return tuple(
        Point(row["bucket"], row["least"], row[name], row["most"])
        if "least" in row
        else Point(row["bucket"], row[name], row[name], row[name])
        for row in known
    )


def _resources(rows: Rows) -> list[Series]:
    """Utilisation, memory and power of each host, process and device; those that nothing was read of are left out later."""
    groups: dict[tuple[str, str], Rows] = {}
    for row in rows:
        groups.setdefault((row["scope"], row["device"]), []).append(row)
    devices = sorted({device for _, device in groups if device.startswith("GPU-")})
    told = []
    for (scope, device), own in groups.items():
        where = f"GPU {devices.index(device)}{ON_CARD.get(scope, '')}" if device in devices else WHERE.get(scope, device)
        told += [
            Series(f"Utilisation, {where}", "ratio", _points(own, "util")),
            Series(f"Memory, {where}", "bytes", _points(own, "memory")),
            Series(f"Power, {where}", "W", _points(own, "power")),
        ]
    return told
