"""Several runs of one load, read from ClickHouse: the main figures over them, in seconds and joules."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from query_api.reading.runs import Reading, scaled
from streams.speed.repeated import FIGURES, METHOD, UNITS, Own, Repeated, repeated, said

MOST_RUNS: Final = 100


async def repeated_load(reading: Reading, run_id: str) -> dict[str, Any]:
    """The completed runs of the same load as this one, the newest first, and the figures over them. Raises: NotFound."""
    await reading.known(run_id)
    found = [row["run_id"] for row in await reading.rows("same_load", run_id=run_id, most=MOST_RUNS)]
    figures: dict[str, dict[str, Mapping[str, Any]]] = {one: {} for one in found}
    for row in await reading.rows("performance", run_ids=found) if found else ():
        figures[row["run_id"]][row["metric"]] = row
    told = [repeated(name, owns) for name, _, _, metric, size in FIGURES if (owns := _owns(figures, metric, size))]
    return {"runs": found, "figures": [_shown(one) for one in told], "differ": said(told)}


def _owns(figures: Mapping[str, Mapping[str, Mapping[str, Any]]], metric: str, size: float) -> list[Own]:
    """What each run says of a metric, where it says anything."""
    rows = ((run_id, told[metric]) for run_id, told in figures.items() if metric in told)
    return [
        Own(run_id, row["value"] / size, scaled(row["low"], size), scaled(row["high"], size), row["method"])
        for run_id, row in rows if row["value"] is not None
    ]  # fmt: skip


def _shown(one: Repeated) -> dict[str, Any]:
    method = METHOD if one.low is not None else None
    return asdict(one) | {"unit": UNITS[one.metric], "n": len(one.runs), "differs": one.differs, "method": method}
