"""What the servers of a board's rows can take under a service level, beside their latency alone."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from query_api.reading.runs import Reading
from query_api.reading.sweeps import level_of


async def under_level(reading: Reading, rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any] | None]:
    """By the rows' runs: the highest rate that kept a service level in the run that the row's speed was measured in, and which level.

    None where that was no sweep under one, or no rate kept it.
    """
    measured = {row["run_id"]: row["speed_run"] for row in rows}
    wanted = sorted({run_id for run_id in measured.values() if run_id})
    found = {row["run_id"]: row for row in await reading.rows("rates_under_level", run_ids=wanted)} if wanted else {}
    told = {run_id: told_of(row) for run_id, row in found.items()}
    return {run_id: told.get(other) if other else None for run_id, other in measured.items()}


def told_of(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """A run's highest rate that kept its service level; None where it has none."""
    figure = json.loads(row["figure"] or "null")
    if figure is None or figure["value"] is None or not row["slo"]:
        return None
    rate = {"rate_per_s": figure["value"], **{name: figure[name] for name in ("low", "high", "method")}}
    return rate | {"slo": level_of(json.loads(row["slo"]))}
