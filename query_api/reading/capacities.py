"""What the servers of a board's rows can take under a service level, and did with so many at a time, beside their latency alone."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from query_api.reading.runs import Reading
from query_api.reading.sweeps import level_of

FIGURES: Final = ("slo_rate_per_s", "concurrent_tokens_per_s", "concurrency")
NOTHING: Final[Mapping[str, Any]] = {"under_slo": None, "at_concurrency": None}


async def beside_latency(reading: Reading, rows: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """By the rows' runs, of the run that the row's speed was measured in: `under_slo` and `at_concurrency`, each None where it has none.

    `under_slo`: the highest rate that kept a service level, and which level; `at_concurrency`: the tokens/s of a closed load, and of how
    many at a time it was.
    """
    measured = {row["run_id"]: row["speed_run"] for row in rows}
    wanted = sorted({run_id for run_id in measured.values() if run_id})
    found = await reading.rows("beside_latency", run_ids=wanted, metrics=list(FIGURES)) if wanted else []
    told = {row["run_id"]: told_of(row) for row in found}
    return {run_id: told.get(other, NOTHING) for run_id, other in measured.items()}


def told_of(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a run's figures tell of it."""
    figures = {one["metric"]: one for one in map(json.loads, row["figures"]) if one["value"] is not None}
    return {"under_slo": _under(figures.get("slo_rate_per_s"), row["slo"]), "at_concurrency": _at_concurrency(figures)}


def _under(figure: Mapping[str, Any] | None, slo: str | None) -> dict[str, Any] | None:
    if figure is None or not slo:
        return None
    rate = {"rate_per_s": figure["value"], **{name: figure[name] for name in ("low", "high", "method")}}
    return rate | {"slo": level_of(json.loads(slo))}


def _at_concurrency(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    if not {"concurrent_tokens_per_s", "concurrency"} <= figures.keys():
        return None
    return {"tokens_per_s": figures["concurrent_tokens_per_s"]["value"], "concurrency": round(figures["concurrency"]["value"])}
