"""Runs that somebody may change: their organisation's own, where others' public ones may be looked at."""

from collections.abc import Mapping
from typing import Any

from query_api.operations.problems import Forbidden
from query_api.state import State


async def header_of_own(state: State, run: Mapping[str, Any]) -> dict[str, str]:
    """Whose the run with that row of `run_states` is, and who may see it: what is said of it tells the same.

    Raises: Forbidden where it is another organisation's.
    """
    run_id, organisation = run["run_id"], run["organisation_id"]
    if not state.seen.owns(organisation):
        raise Forbidden(f"run {run_id} is public, and {organisation}'s: only they may cancel, retract or label it")
    asked = await state.reading.rows("visibility", run_id=run_id)
    return {"organisation_id": organisation, **(asked[0] if asked else {})}
