"""Two runs' loads compared, read from ClickHouse."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from query_api.reading.runs import Reading, scaled
from streams.errors import Invalid
from streams.speed.against import COMPARED, against, unlike
from streams.speed.repeated import Own


async def loads_compared(reading: Reading, a: str, b: str) -> dict[str, Any]:
    """Figure by figure, and in what the loads were asked for differently. Raises: NotFound; Invalid where a run has no load."""
    states = await asyncio.gather(reading.state(a), reading.state(b))
    rows, *asked = await asyncio.gather(
        reading.rows("performance", run_ids=[a, b]), reading.rows("request", run_id=a), reading.rows("request", run_id=b)
    )
    found = against(*(_owns(rows, run_id) for run_id in (a, b)))
    return {
        **{side: {name: state[name] for name in ("run_id", "model", "state")} for side, state in zip("ab", states, strict=True)},
        "figures": [asdict(one) | {"method": one.method} for one in found], "unlike": unlike(*map(_asked, asked)),
    }  # fmt: skip


def _owns(rows: Sequence[Mapping[str, Any]], run_id: str) -> dict[str, Own]:
    """What a run says of the figures that are compared, by their names. Raises: Invalid where it has no load."""
    told = {row["metric"]: row for row in rows if row["run_id"] == run_id}
    if not told:
        raise Invalid(f"run {run_id} has no load that was measured: `assay perf` measures one", code="no-load")
    return {
        name: Own(run_id, row["value"] / size, scaled(row["low"], size), scaled(row["high"], size), row["method"])
        for name, _, _, metric, size in COMPARED if (row := told.get(metric)) and row["value"] is not None
    }  # fmt: skip


def _asked(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A request's engine, workload and service level, field by field."""
    told: dict[str, Any] = {}
    for name in ("engine", "workload", "slo"):
        part = json.loads(rows[0][name] or "null") if rows else None
        told |= {f"{name} {field}": value for field, value in (part or {}).items()}
    return told
