"""Audits of runs, read from ClickHouse: how each goes, and what was reported of it under which key."""

from collections.abc import Mapping
from typing import Any, Final

from query_api.reading.facts import event_of
from query_api.reading.paging import LIMIT, Listing
from query_api.reading.runs import Reading
from schemas.trust import RunAudited
from streams.trust.statements import is_reported

LISTING: Final = Listing("audit_list", sorts={"requested_us": "Int64", "changed_us": "Int64"}, key={"run_id": "String"})
TOLD: Final = (
    "state", "equal_ratio", "samples", "equal", "failed", "unmatched", "asked", "tolerance", "differing_by",
    "differing", "metrics", "environment", "differences", "key_id",
)  # fmt: skip


async def audits(
    reading: Reading, *, run_id: str = "", sort: str = "-requested_us", limit: int = LIMIT, cursor: str = ""
) -> dict[str, Any]:
    """A page of audits (of that run, or the one that it is), each with its reports. Raises: NotFound, Malformed."""
    if run_id:
        await reading.known(run_id)
        if not cursor and not await reading.rows("audits_of", of=run_id):  # as of most runs
            return {"audits": [], "next": None}
    found, following = await reading.page(LISTING, sort=sort, limit=limit, cursor=cursor, of=run_id)
    told = await reading.rows("audit_reports", audit_runs=[row["run_id"] for row in found]) if found else []
    return {
        "audits": [row | {"reports": [_report(one) for one in told if one["audit_run"] == row["run_id"]]} for row in found],
        "next": following,
    }


def _report(row: Mapping[str, Any]) -> dict[str, Any]:
    """What was reported; `signed`: its signature holds."""
    event = event_of(RunAudited, row)
    told = event.model_dump(include=set(TOLD))
    return told | {"own": bool(row["own"]), "signed": is_reported(event)}
