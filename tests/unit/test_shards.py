"""State by partition: what follows from a record is said though the log is away for a moment; a state that is none is folded anew."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from agents.building import Building
from agents.care import Care
from agents.cost import Accountant, Reckoned
from agents.everywhere import Everywhere
from agents.plan import Planning
from agents.preparing import Preparing
from agents.shards import Shards
from infra.kafka import Log, Place
from infra.partitioning import partition_for
from infra.settings import Settings
from infra.snapshots import Snapshots
from schemas.event import Event
from schemas.requests import EvaluationRequested, ModelRef, TaskChoice
from schemas.runs import RunChanged
from schemas.settled import AttemptUsed, RunSettled
from streams.errors import Unavailable
from streams.money.rates import Rates
from streams.topics import COSTS, RESULTS, RUNS
from tests import measured
from tests.in_memory import InMemory
from tests.pool import STAMP
from tests.runs import run_named
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


def test_a_result_is_reckoned_though_its_partition_moves_between_two_tries(tmp_path: Path) -> None:
    """No snapshot lies behind a record whose effect is not said: whoever has the partition next says it."""
    memory, (result, rates) = InMemory(), settled()
    log, settings = cast("Log", memory), Settings(home=tmp_path)
    former, later = (
        Shards(log, settings, worker="cost", fold=Accountant(log, cast("Everywhere[Rates]", Known(rates, away=away))))
        for away in (True, False)
    )

    async def act() -> None:
        await former.assigned(range(4))
        await former.close()
        record = memory.write(result)
        with pytest.raises(Unavailable):
            await former.handle([record])
        await former.revoked()
        await former.assigned(())
        await later.assigned([record.place.partition])
        assert later.places()[RESULTS.name, record.place.partition] == 1

    asyncio.run(act())
    assert len([one for (topic, _), records in memory.records.items() if topic == COSTS.name for one in records]) == 1


class Breaking(Preparing):
    """A preparing over which every request breaks."""

    async def brought(self, request: EvaluationRequested) -> Any:
        """Raises: KeyError."""
        raise KeyError(request.run_id)


class Refusing(InMemory):
    """A log that takes nothing until `there`; `asked` once somebody has tried."""

    def __init__(self) -> None:
        super().__init__()
        self.there, self.asked = False, asyncio.Event()

    async def publish_all(self, events: Sequence[Event]) -> list[Place]:
        """Raises: Unavailable."""
        self.asked.set()
        if not self.there:
            raise Unavailable("the Kafka broker does not answer")
        return await super().publish_all(events)


def test_a_request_that_breaks_its_planner_is_in_snapshots_until_it_is_refused(tmp_path: Path) -> None:
    """Whoever has its partition next refuses it."""
    memory, settings = Refusing(), Settings(home=tmp_path)
    log = cast("Log", memory)
    fold = Planning(log, Breaking(log, settings, Building(log, processes=1, limit_s=1.0)), Care("plan", log, settings))
    request = EvaluationRequested(
        occurred_us=1, producer=STAMP, run_id=run_named(1), model=ModelRef(uri="m"), tasks=(TaskChoice(name="t"),)
    )

    async def act() -> None:
        state = fold.empty()
        await fold.fold(state, memory.write(request))
        await fold.say(state, partition_for(request.partition_key(), 4))
        await memory.asked.wait()
        assert fold.loaded(fold.dumping(state)()).open.keys() == {request.run_id}
        memory.there = True
        await asyncio.gather(*fold._busy.values())

    asyncio.run(act())
    (said,) = [one.event for (topic, _), records in memory.records.items() if topic == RUNS.name for one in records]
    assert isinstance(said, RunChanged) and (said.state, said.reason_code) == ("rejected", "planning-broke")


def test_others_have_their_turn_while_a_run_is_reckoned_under_many_versions(tmp_path: Path) -> None:
    """Between two versions at least; each is said."""
    memory, (result, rates), turns, versions = InMemory(), settled(), 0, 300
    for version in range(2, versions + 1):
        rates.fold(price(usd=version, version=str(version), published_us=version))
    environment = measured.environment("cpu")
    rates.fold(environment)
    attempt = result.attempts[1].model_copy(update={"environment_sha": environment.sha})
    log, known = cast("Log", memory), cast("Everywhere[Rates]", Known(rates, away=False))
    accountant = Accountant(log, known)

    async def turning() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def act() -> None:
        beside, state = asyncio.create_task(turning()), accountant.empty()
        await accountant.fold(state, memory.write(result.model_copy(update={"attempts": (attempt,)})))
        await accountant._reckon(state.new)
        beside.cancel()

    asyncio.run(act())
    assert len([one for (topic, _), records in memory.records.items() if topic == COSTS.name for one in records]) == versions
    assert turns >= versions


class Slow(Accountant):
    """A fold whose snapshot's bytes take until somebody lets them be made; the second time they cannot be made."""

    def __init__(self, log: Log, rates: Everywhere[Rates]) -> None:
        super().__init__(log, rates)
        self.go, self.made = threading.Event(), 0

    def dumping(self, state: Reckoned) -> Callable[[], bytes]:
        """As it is now."""
        made = super().dumping(state)

        def write() -> bytes:
            assert self.go.wait(300)
            self.made += 1
            if self.made == 2:
                raise KeyError("no bytes")
            return made()

        return write


def test_a_snapshot_is_written_beside_the_work_and_what_keeps_it_from_it_ends_nobody(tmp_path: Path) -> None:
    """Batches go on meanwhile; it is of the moment at which it was begun, and the end waits for the last."""
    memory, (result, rates) = InMemory(), settled()
    log, known = cast("Log", memory), cast("Everywhere[Rates]", Known(rates, away=False))
    settings, fold = Settings(home=tmp_path, snapshot_s=0.001), Slow(log, known)
    snapshots = Snapshots(log, settings, processor="cost", version=fold.version)
    shards = Shards(log, settings, worker="cost", fold=fold)

    async def saved() -> int | None:
        found = await snapshots.load(str(first.place.partition))
        return found.offsets[RESULTS.name, first.place.partition] if found else None

    async def act() -> None:
        await shards.assigned(range(4))
        for record in (first, memory.write(result), memory.write(result)):
            await asyncio.sleep(0.01)
            await shards.handle([record])
        assert await saved() is None
        fold.go.set()
        await shards.revoked()
        assert fold.made >= 2
        assert await saved() in (1, 2, 3)
        await shards.handle([memory.write(result)])
        await shards.close()
        assert await saved() == 4

    first = memory.write(result)
    asyncio.run(act())


@pytest.mark.parametrize("state", [b"no JSON", b"[]", b'{"prices": 3, "next": 0}', b'{"prices": [], "next": "x"}', b"{}"])
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
