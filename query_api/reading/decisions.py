"""Decisions as they stand, each with its newest outcome, read from ClickHouse; and what all of them come to."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from query_api.reading.paging import Listing
from query_api.reading.runs import Reading
from streams.deciding.outcomes import Decided, confident, saved
from streams.errors import NotFound

LISTING: Final = Listing("decision_list", sorts={"decided_us": "Int64"}, key={"decision_id": "String"})
OUTCOME: Final = (
    "reported_by",
    "before_usd_nano",
    "after_usd_nano",
    "before_quality",
    "after_quality",
    "satisfaction_ratio",
    "outcome_note",
)


async def page(reading: Reading, *, sort: str, limit: int, cursor: str = "") -> dict[str, Any]:
    """A page of decisions, and the figures of all. Raises: Malformed."""
    rows, following = await reading.page(LISTING, sort=sort, limit=limit, cursor=cursor, decision_id="")
    every = [_decided(row) for row in await reading.rows("decision_list", decision_id="")]
    figures = {"decisions": len(every), "confident": asdict(confident(every)), "saved": asdict(saved(every))}
    return {"decisions": [_row(row) for row in rows], "figures": figures, "next": following}


async def one(reading: Reading, decision_id: str) -> dict[str, Any]:
    """A decision. Raises: NotFound."""
    rows = await reading.rows("decision_list", decision_id=decision_id)
    if not rows:
        raise NotFound(f"no decision {decision_id}; `assay decisions show` lists them", code="unknown-decision")
    return _row(rows[0])


def _decided(row: Mapping[str, Any]) -> Decided:
    sure = row["confidence"] if row["confidence"] is not None else row["stated_ratio"]
    return Decided(sure, row["before_usd_nano"], row["after_usd_nano"])


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its outcome apart; null where none was reported."""
    told = {name: value for name, value in row.items() if name not in OUTCOME}
    outcome = {"by": row["reported_by"], "note": row["outcome_note"], "saved_ratio": _decided(row).saved_ratio}
    outcome |= {name: row[name] for name in ("before_quality", "after_quality", "satisfaction_ratio")}
    for side in ("before", "after"):
        nano = row[f"{side}_usd_nano"]
        outcome[f"{side}_usd_per_month"] = None if nano is None else nano / 1e9
    return told | {"outcome": outcome if row["reports"] else None}
