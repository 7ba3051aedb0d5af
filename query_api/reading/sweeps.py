"""A sweep's steps, and what they come to, in seconds and in the shapes that clients rely on."""

from collections.abc import Mapping
from typing import Any

NS = 1e9
SPREAD = ("mean", "p50", "p95", "p99")
# What the steps come to, each with its interval.
REACHED = ("slo_rate_per_s", "knee_rate_per_s", "cliff_rate_per_s", "capacity_requests_per_s")
OF_STEP = ("requests_per_s", "offered_per_s", "output_tokens_per_s", "goodput_per_s")
LATENCIES = ("ttft", "itl", "e2e")


def spread(value: Mapping[str, float | None], name: str) -> dict[str, float | None]:
    """How a latency was distributed, of figures in ns."""
    told = {part: value.get(f"{name}_{part}") for part in SPREAD}
    return {part: one / NS if one is not None else None for part, one in told.items()}


def level_of(slo: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A service level; None where there is none."""
    if slo is None:
        return None
    limits = {f"{name}_s": slo[f"{name}_ns"] / NS if slo[f"{name}_ns"] is not None else None for name in LATENCIES}
    return limits | {"ratio": slo["ratio"]}


def sweep_of(figures: Mapping[str, Mapping[str, Any]], steps: list[dict[str, Any]]) -> dict[str, Any] | None:
    """A sweep, its steps in the order in which they were taken; None of a load that is none. `figures`: the run's."""
    if not steps:
        return None
    reached = {name: _reached(figures[name]) if name in figures else None for name in REACHED}
    return {"steps": [_step(step) for step in steps], **reached}


def _reached(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: row[name] for name in ("value", "low", "high", "why_undefined", "method")}, "note": row["origin"]}


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    value = {one["metric"]: one["value"] for one in step["figures"]}
    trend = next((one["origin"] for one in step["figures"] if one["metric"] == "steady" and one["value"] == 0), None)
    return {
        **{name: step[name] for name in ("step", "rate_per_s", "verdict", "why")},
        **{name: round(value[name]) for name in ("requests", "errors")}, **{name: value.get(name) for name in OF_STEP},
        **{f"{name}_s": spread(value, name) for name in LATENCIES},
        # A queue that grows is what a saturated step is known by.
        "unsteady": trend if step["verdict"] != "saturated" else None,
    }  # fmt: skip
