"""Results and prices that meet in several workers: each result is reckoned with every price, and nothing is said twice for it."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from agents.care import Care
from agents.cost import Accountant, Reckoned
from agents.ending import CRASHED, end_where_hung
from agents.everywhere import Everywhere
from agents.shards import Shards
from infra.kafka import Log
from infra.partitioning import partition_for
from infra.settings import Settings
from schemas.results import CostSummarised, PricePublished
from schemas.settled import RunSettled
from schemas.trust import DeadLettered
from streams.money.costs import summaries
from streams.money.rates import Rates
from streams.topics import COSTS, DEAD_LETTERS
from tests import measured
from tests.in_memory import InMemory
from tests.processes import ended
from tests.runs import run_named
from tests.unit.test_prices import price
from tests.unit.test_shards import Known, settled

CPU = measured.environment("cpu")
HOME = partition_for(settled()[0].run_id.encode(), 4)
OTHER = next(run for run in map(run_named, range(2, 99)) if partition_for(run.encode(), 4) == HOME)
FIRST, SECOND = price(), price(usd=9, version="2", published_us=2)


def result() -> RunSettled:
    """Of a run that a processor's cores have answered."""
    told, _ = settled()
    return told.model_copy(update={"attempts": (told.attempts[1].model_copy(update={"environment_sha": CPU.sha}),)})


def rates(*prices: PricePublished) -> Rates:
    """What a worker knows."""
    known = Rates()
    for event in (CPU, *prices):
        known.fold(event)
    return known


class Late(Known):
    """Rates of which another worker knows more: they are in the log, and come when they are waited for."""

    def __init__(self, state: Rates, *late: PricePublished) -> None:
        super().__init__(state, away=False)
        self.late = list(late)

    async def catch_up(self) -> None:
        """They are folded."""
        while self.late:
            self.state.fold(self.late.pop())


def worker(memory: InMemory, home: Path, known: Known) -> Shards[object]:
    """One that reckons with what it knows."""
    log = cast("Log", memory)
    return cast("Shards[object]", Shards(log, Settings(home=home), worker="cost", fold=Accountant(log, cast("Everywhere[Rates]", known))))


def said(memory: InMemory) -> list[CostSummarised]:
    """What runs cost, in the log's order within each partition."""
    every = [one.event for (topic, _), records in memory.records.items() if topic == COSTS.name for one in records]
    return [event for event in every if isinstance(event, CostSummarised)]


def moved(home: Path, known: Known, *, then: PricePublished | None = None) -> list[str]:
    """The versions said of a result that comes after its partition has moved to a worker that knows less than the one before."""
    memory, first = InMemory(), result()
    second = first.model_copy(update={"inputs_digest": "other", "event_id": "other"})
    former, later = worker(memory, home, Known(rates(FIRST, SECOND), away=False)), worker(memory, home, known)

    async def act() -> None:
        await former.assigned(range(4))
        record = memory.write(first)
        await former.handle([record])
        await former.revoked()
        await former.assigned(())
        await later.assigned([record.place.partition])
        count = len(said(memory))
        await later.handle([memory.write(second)])
        if then:
            known.state.fold(then)
            await later.ask()
        assert count == 2

    asyncio.run(act())
    return sorted(one.price_version for one in said(memory)[2:])


def test_a_worker_that_lacks_a_price_waits_for_it_before_it_says_anything(tmp_path: Path) -> None:
    """Each version is said of the result, once."""
    assert moved(tmp_path, Late(rates(FIRST), SECOND)) == ["1", "2"]


def test_a_price_that_comes_to_a_worker_after_a_result_is_said_of_it(tmp_path: Path) -> None:
    """Though the worker before had that price, and had reckoned all results with it."""
    assert moved(tmp_path, Known(rates(FIRST), away=False), then=SECOND) == ["1", "2"]


def test_a_later_price_has_those_versions_said_alone_that_it_may_change(tmp_path: Path) -> None:
    """So many prices, each of a version of its own, so many events; of an older version, its own and those after it."""
    memory, known, count = InMemory(), rates(FIRST), 12
    shards = worker(memory, tmp_path, Known(known, away=False))

    async def act() -> None:
        await shards.assigned(range(4))
        await shards.handle([memory.write(result())])
        for version in range(2, count + 1):
            known.fold(price(usd=version, version=str(version), published_us=version))
            await shards.ask()

    asyncio.run(act())
    assert [one.price_version for one in said(memory)] == [str(version) for version in range(1, count + 1)]

    async def late() -> None:
        known.fold(price(usd=0.5, version="10", published_us=10, valid_from_us=1))
        await shards.ask()

    asyncio.run(late())
    assert [one.price_version for one in said(memory)[count:]] == ["10", "11", "12"]


def test_a_result_that_is_not_final_is_told_apart_and_not_reckoned_again_beside_one_that_is(tmp_path: Path) -> None:
    """It may come after the final one, from whoever had its partition before."""
    memory, known, final = InMemory(), rates(FIRST), result()
    shards = worker(memory, tmp_path, Known(known, away=False))
    stale = final.model_copy(update={"final": False, "inputs_digest": "less", "event_id": "less"})

    async def act() -> None:
        await shards.assigned(range(4))
        await shards.handle([memory.write(final)])
        await shards.handle([memory.write(stale)])
        known.fold(SECOND)
        await shards.ask()

    assert final.final
    asyncio.run(act())
    assert [(one.price_version, one.complete) for one in said(memory)] == [("1", True), ("1", False), ("2", True)]


@pytest.mark.parametrize("together", [False, True])
def test_a_later_result_s_costs_come_last_also_where_a_price_comes_before_either_is_read(tmp_path: Path, together: bool) -> None:
    """Of what is in the log, that alone is reckoned again which was reckoned before; of results that come together the last alone."""
    memory, known, first = InMemory(), rates(FIRST), result()
    shards = worker(memory, tmp_path, Known(known, away=False))
    second = first.model_copy(update={"inputs_digest": "other", "event_id": "other", "occurred_us": first.occurred_us + 1})

    async def act() -> None:
        await shards.assigned(range(4))
        records = [memory.write(first), memory.write(second)]
        known.fold(SECOND)
        await shards.ask()
        for batch in [records] if together else [[one] for one in records]:
            await shards.handle(batch)

    asyncio.run(act())
    wanted = [summary.digest for run in (first, second) for summary in summaries(run, known.book, known.environments)]
    assert [one.inputs_digest for one in said(memory)] == (wanted[2:] if together else wanted)


HURTS = result().run_id


def hanging(run: RunSettled, *given: Any, **named: Any) -> Any:
    """Never comes to an end over one run."""
    while run.run_id == HURTS:
        pass
    return summaries(run, *given, **named)


async def reckoned_anew(home: Path, hang_s: float = 0.5) -> InMemory:
    """The log of an accountant that is assigned a partition of two results."""
    memory, settings = InMemory(), Settings(home=home, hang_s=hang_s)
    for one in (result(), RunSettled.model_validate(result().model_dump(exclude={"event_id"}) | {"run_id": OTHER})):
        memory.write(one, partition=HOME)
    accountant = Accountant(cast("Log", memory), cast("Everywhere[Rates]", Known(rates(FIRST), away=False)))
    shards: Shards[Reckoned] = Shards(cast("Log", memory), settings, worker="cost", fold=accountant)
    accountant.at = shards.at
    end_where_hung(Care("cost", cast("Log", memory), settings), settings)
    await shards.assigned([HOME])
    return memory


def test_a_result_over_which_reckoning_hangs_when_a_price_comes_is_a_dead_letter_by_the_third_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No record is in hand then: all results of a partition are read again. Others are reckoned."""
    planted = {"agents.cost.summaries": hanging}
    assert [ended(reckoned_anew, tmp_path, planted=planted) for _ in range(2)] == [CRASHED, CRASHED]
    monkeypatch.setattr("agents.cost.summaries", hanging)
    memory = asyncio.run(reckoned_anew(tmp_path, 60.0))  # in pytest's own process, which must not end where the machine stands still
    assert {one.run_id for one in said(memory)} == {OTHER}
    (letter,) = [one.event for (topic, _), records in memory.records.items() if topic == DEAD_LETTERS.name for one in records]
    assert isinstance(letter, DeadLettered) and letter.reason_code == "cannot-reckon"
