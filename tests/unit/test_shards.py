"""State by partition: what follows from a record is said though the log is away for a moment; a state that is none is folded anew."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from agents.care import Care
from agents.cost import Accountant, Rates
from agents.everywhere import Everywhere
from agents.shards import Shards
from infra.kafka import Log
from infra.settings import Settings
from infra.snapshots import Snapshots
from schemas.settled import AttemptUsed, RunSettled
from streams.errors import Unavailable
from streams.topics import COSTS, RESULTS
from tests import measured
from tests.in_memory import InMemory
from tests.unit.test_prices import price


class Known:
    """Rates that are here; the log is away the first time somebody waits for more."""

    def __init__(self, state: Rates, *, away: bool) -> None:
        self.state, self.away = state, away

    async def catch_up(self) -> None:
        """Raises: Unavailable, once."""
        if self.away:
            self.away = False
            raise Unavailable("the Kafka broker does not answer")


def settled() -> tuple[RunSettled, Rates]:
    """A result whose first attempt failed before its environment was known, and what prices it."""
    rates, environment = Rates(), measured.environment("H100")
    rates.fold(price())
    rates.fold(environment)
    (result,) = (event for event in measured.run(1, "a", environment) if isinstance(event, RunSettled))
    told: dict[str, Any] = {"job_id": f"{result.run_id}/t/0/0", "agent_id": "a", "first_us": 1, "last_us": 2}
    first = AttemptUsed(**told, attempt=1, environment_sha=None, finished=False)
    second = AttemptUsed(**told, attempt=2, environment_sha=environment.sha, finished=True)
    return result.model_copy(update={"attempts": (first, second)}), rates


@pytest.mark.parametrize("away", [False, True])
def test_a_run_is_reckoned_though_the_log_is_away_for_a_moment(tmp_path: Path, away: bool) -> None:
    """Its batch is tried again, and its record has been folded by then: what follows from it is said all the same."""
    memory, (result, rates) = InMemory(), settled()
    log, known = cast("Log", memory), cast("Everywhere[Rates]", Known(rates, away=away))
    shards = Shards(log, Settings(home=tmp_path), worker="cost", fold=Accountant(log, known))

    async def act() -> None:
        await shards.assigned(range(4))
        await Care("cost", log, Settings(home=tmp_path)).in_parts([memory.write(result)], shards.handle)

    asyncio.run(act())
    assert len([one for (topic, _), records in memory.records.items() if topic == COSTS.name for one in records]) == 1


@pytest.mark.parametrize("state", [b"no JSON", b"[]", b'{"rates": []}', b"{}"])
def test_a_snapshot_that_is_no_state_is_folded_anew(tmp_path: Path, state: bytes) -> None:
    """Whatever it leads to: a snapshot is a cache."""
    memory, (result, rates) = InMemory(), settled()
    log, known = cast("Log", memory), cast("Everywhere[Rates]", Known(rates, away=False))
    settings, fold = Settings(home=tmp_path), Accountant(log, known)

    async def act() -> None:
        record = memory.write(result)
        for partition in range(4):
            await Snapshots(log, settings, processor="cost", version=fold.version).save(
                str(partition), {(RESULTS.name, partition): 0}, state
            )
        shards = Shards(log, settings, worker="cost", fold=fold)
        await shards.assigned(range(4))
        assert shards.next_of(record.place.partition)[RESULTS.name, record.place.partition] == 1

    asyncio.run(act())
    assert any(topic == COSTS.name and records for (topic, _), records in memory.records.items())
