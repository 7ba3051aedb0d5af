"""A request over which its planner hangs, or dies: a later start rejects it with its reason, and others are planned."""

import asyncio
import os
from pathlib import Path
from typing import Any, Final, cast

import pytest

from agents.care import Care
from agents.ending import CRASHED, end_where_hung
from agents.plan import Planning
from agents.preparing import Preparing
from infra.kafka import Log
from infra.partitioning import partition_for
from infra.settings import Settings
from schemas.requests import EvaluationRequested
from schemas.runs import RunChanged
from streams.topics import RUNS
from tests.in_memory import InMemory
from tests.processes import ended
from tests.runs import run_named
from tests.unit.test_bounds import asked
from tests.unit.test_breaking_plans import HOME, Prepared, R

HANG_S: Final = 0.5
OTHERS: Final = [run for run in map(run_named, range(40)) if partition_for(run.encode(), 4) == HOME][:2]


class Ending(Prepared):
    """Preparing that ends its process over one request: where its model is brought, by itself, or where it is planned, on the loop."""

    def __init__(self, *, dies: bool) -> None:
        super().__init__(makes=1)
        self.dies = dies

    async def brought(self, request: EvaluationRequested) -> Any:
        """As a library in whose code a fault lies."""
        await asyncio.sleep(0.05)  # others are brought beside it
        if self.dies and request.run_id == R:
            os.abort()
        return await super().brought(request)

    async def plan(self, request: EvaluationRequested, facts: Any, *, asked_us: int, before: Any = None) -> Any:
        """Never comes to an end."""
        while not self.dies and request.run_id == R:
            pass
        return await super().plan(request, facts, asked_us=asked_us, before=before)


async def planned(home: Path, dies: bool, hang_s: float = HANG_S) -> dict[str, RunChanged]:
    """Three requests, planned; what is said of each first."""
    memory, settings = InMemory(), Settings(home=home, hang_s=hang_s)
    care = Care("plan", cast("Log", memory), settings)
    planning = Planning(cast("Log", memory), cast("Preparing", Ending(dies=dies)), care)
    end_where_hung(care, settings)
    state = planning.empty()
    for run_id in (OTHERS[0], R, OTHERS[1]):
        await planning.fold(state, memory.write(asked(run_id=run_id, tasks=[{"name": "t"}])))
    await planning.say(state, HOME)
    await asyncio.gather(*planning._busy.values())
    said = [one.event for one in reversed(memory.records[RUNS.name, HOME])]
    return {one.run_id: one for one in said if isinstance(one, RunChanged)}


@pytest.mark.slow
@pytest.mark.parametrize(("dies", "starts"), [(False, 2), (True, 3)])
def test_a_request_over_which_its_planner_ends_is_rejected_by_a_later_start(dies: bool, starts: int, tmp_path: Path) -> None:
    """Of what hangs its task tells; of what dies nobody knows at first which of several it was, and those are brought one by one.

    So it takes a start more, unless it was alone in hand.
    """
    deaths = 0
    while (status := ended(planned, tmp_path, dies)) != 0:
        assert status in (CRASHED, -6) and deaths < starts
        deaths += 1
    said = asyncio.run(planned(tmp_path, dies, 60.0))  # in pytest's own process, which must not end where the machine stands still
    assert {run_id: one.state for run_id, one in said.items()} == {OTHERS[0]: "planned", R: "rejected", OTHERS[1]: "planned"}
    assert said[R].reason_code == "planning-broke" and "the processor hung, died or was killed over it" in (said[R].message or "")
