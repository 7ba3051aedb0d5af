"""A fault in each processor, over one run: it is told with its reason, no process ends for ever, and the runs of others complete."""

import asyncio
from typing import Any

import pytest

from infra.kafka import Log
from schemas.requests import EvaluationRequested
from schemas.trust import DeadLettered
from streams.topics import DEAD_LETTERS
from tests.faults import PROCESSES, STORES, Stack, faulty
from tests.flow import request
from tests.planted import ENV, WHERE

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.timeout(1800)]
MOST_ENDS = 2  # of a process, over one record


def told(stack: Stack, run_id: str) -> dict[str, Any]:
    """The run as the API tells it; empty while it does not."""
    answer = stack.get(f"/v1/runs/{run_id}")
    return dict(answer.json()) if answer is not None and answer.is_success else {}


async def publish(stack: Stack, *requests: EvaluationRequested) -> None:
    """Asks for the runs."""
    async with Log(stack.settings, client_id="test") as log:
        await log.publish_all(requests)


async def letters(stack: Stack) -> list[DeadLettered]:
    """All dead letters."""
    async with Log(stack.settings, client_id="test") as log:
        return [record.event async for record in log.read([DEAD_LETTERS]) if isinstance(record.event, DeadLettered)]


def test_a_fault_in_each_processor_stops_nobody_else(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What broke is that run's failure or a dead letter, and says over what."""
    planted = {name: request("assay_copy", limit=1, model=f"planted-{name}") for name in WHERE}
    monkeypatch.setenv(ENV, ",".join(f"{name}={one.run_id}" for name, one in planted.items()))
    commands = {f"agents.{name}": ("tests.planted", name) for name in WHERE}
    with faulty(tmp_path_factory.mktemp("planted"), commands=commands) as stack:
        stack.start(*STORES, *PROCESSES)
        stack.until(stack.ready, what="the API is ready")
        asyncio.run(publish(stack, *planted.values()))
        innocent = request("assay_copy", limit=4, model="innocent")
        asyncio.run(publish(stack, innocent))
        stack.until(lambda: told(stack, innocent.run_id).get("state") == "completed", what="the innocent run completes")
        for name, state in (
            ("plan", "rejected"),
            ("settle", "failed"),
            ("score", "completed"),
            ("rank", "completed"),
            ("seal", "completed"),
        ):
            stack.until(lambda name=name, state=state: told(stack, planted[name].run_id).get("state") == state, what=f"{name}: {state}")  # type: ignore[misc]
        for name in ("plan", "settle"):
            assert "TypeError: planted" in told(stack, planted[name].run_id)["message"]
        wanted = {f"agents.{name}" for name in ("dispatch", "score", "rank", "cost", "seal", "project")}

        def lettered() -> set[str]:
            return {one.producer.service for one in asyncio.run(letters(stack)) if "planted" in one.message}

        stack.until(lambda: lettered() >= wanted, what="dead letters of each")
        ended = [name for name, _ in stack.ended]
        assert all(ended.count(name) <= MOST_ENDS for name in set(ended)), ended
        last = request("assay_copy", limit=4, model="last")
        asyncio.run(publish(stack, last))
        stack.until(lambda: told(stack, last.run_id).get("state") == "completed", what="the last run completes")
        for run_id in (innocent.run_id, last.run_id):
            stack.until(lambda run_id=run_id: bool(stack.get(f"/v1/runs/{run_id}/cost")), what="its cost")  # type: ignore[misc]
