"""A record over whose fold a processor hangs: the process ends within its time, and the third start passes it; others go on."""

import asyncio
import re
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, cast

import pytest

from agents.care import PASSED, Care
from agents.cost import Accountant, Pricing
from agents.dispatch import Dispatcher
from agents.ending import CRASHED, end_where_hung
from agents.everywhere import Everywhere
from agents.seal import Sealer
from agents.shards import Shards
from infra.kafka import Log, Place, Record
from infra.settings import Settings
from infra.stumbles import SURE, Stumbles
from schemas.trust import DeadLettered
from streams.money.rates import Rates
from streams.queue.dispatch import Pool
from streams.topics import DEAD_LETTERS
from streams.trust.ledger import Ledger
from tests.in_memory import CODEC, InMemory
from tests.measured import price
from tests.processes import ended
from tests.runs import run_named
from tests.unit.test_results import planned
from tests.unit.test_shards import settled

HANG_S: Final = 0.5
PATIENCE_S: Final = 60.0  # of a life in pytest's own process, which must not end where the machine stands still
CULPRIT: Final = 1  # of three records in a partition
Life = Callable[[Log, Settings], Coroutine[Any, Any, None]]


def sleeping() -> None:
    """Never returns, as a loop without an end."""
    while True:
        time.sleep(0.01)


def matching() -> None:
    """Never returns, and lets no other thread of Python do anything."""
    re.fullmatch("(a+)+", 60 * "a" + "b")


def hanging(of: type, name: str, *, hang: Callable[[], None] = sleeping) -> None:
    """Lets a fold hang over the second record that it is given."""
    fold, met = getattr(of, name), list[object]()

    def hung(*given: Any, **named: Any) -> Any:
        met.append(given)
        if len(met) == CULPRIT + 1:
            hang()
        return fold(*given, **named)

    setattr(of, name, hung)


class Reckoning(Accountant):
    """It folds all of the past, and says nothing of it."""

    def wanted(self, *_: object) -> bool:
        """All of it."""
        return True

    async def say(self, *_: object) -> None:
        """Nothing."""


async def everywhere(log: Log, settings: Settings) -> None:
    """State that every worker has whole: prices."""
    await Everywhere(log, settings, worker="w", fold=Pricing(CODEC)).restore()


async def shards(log: Log, settings: Settings) -> None:
    """The past of a partition: results."""
    end_where_hung(Care("w", log, settings), settings)
    await Shards(log, settings, worker="w", fold=Reckoning(log, cast("Everywhere[Rates]", None))).assigned(range(4))


async def dispatcher(log: Log, settings: Settings) -> None:
    """A pool."""
    dispatcher = Dispatcher(log, settings)
    end_where_hung(dispatcher._care, settings)
    for record in records_of(log):
        await dispatcher._fold(record)


async def sealer(log: Log, settings: Settings) -> None:
    """A ledger."""
    sealer = Sealer(log, settings)
    end_where_hung(sealer._care, settings)
    for record in records_of(log):
        sealer._ledger.meets(run_named("r"), (record.place.topic, record.place.partition), record.place.offset)
        await sealer._taken(record)


def records_of(log: Log) -> list[Record]:
    """What was written, but the dead letters."""
    return [one for (topic, _), each in cast("InMemory", log).records.items() if topic != DEAD_LETTERS.name for one in each]


def written(life: Life) -> InMemory:
    """A log of three records of one partition, as the processor reads them."""
    memory = InMemory()
    for number in range(3):
        if life is everywhere:
            memory.write(price("cpu_hour", 1.0 + number, unit="core-hour"), partition=0)
        elif life is shards:
            memory.write(settled()[0])
        else:
            memory.write(planned(run_named("r"), samples=1))
    return memory


async def stuck(log: Log, settings: Settings) -> None:
    """Nothing in hand, and a loop that turns no more."""
    end_where_hung(Care("w", log, settings), settings)
    await asyncio.sleep(3 * HANG_S)
    sleeping()


def lives(life: Life, settings: Settings, hang: Callable[[], None] | None) -> None:
    """A life that hangs over the second record."""
    if hang:
        hanging({"everywhere": Rates, "shards": Accountant, "dispatcher": Pool, "sealer": Ledger}[life.__name__], "fold", hang=hang)
    asyncio.run(life(cast("Log", written(life)), settings))


def lived(life: Life, settings: Settings, hang: Callable[[], None] | None = None) -> int:
    """How a process ended that hangs over the second record; 0: it came to its end."""
    return ended(lives, life, settings, hang)


@pytest.mark.parametrize("life", [everywhere, shards, dispatcher, sealer])
def test_a_record_over_whose_fold_a_process_hangs_is_passed_by_the_third_start(life: Life, tmp_path: Path) -> None:
    """Its thread ends it, and notes over which; the third start goes on to the end, and says what it passed."""
    settings = Settings(home=tmp_path, hang_s=HANG_S)
    culprit = records_of(cast("Log", written(life)))[CULPRIT].place
    for starts in (1, 2):
        assert lived(life, settings, sleeping) == CRASHED
        name = f"dispatch-{settings.pool}" if life is dispatcher else "seal" if life is sealer else "w"
        assert Stumbles(settings, worker=name).hangs(f"taken {culprit.topic}/{culprit.partition}/{culprit.offset}") == starts * SURE
    memory = written(life)
    asyncio.run(life(cast("Log", memory), settings.model_copy(update={"hang_s": PATIENCE_S})))
    letters = [one.event for (topic, _), each in memory.records.items() if topic == DEAD_LETTERS.name for one in each]
    assert [(Place(one.topic, one.partition, one.offset), one.message) for one in letters if isinstance(one, DeadLettered)] == [
        (culprit, PASSED)
    ]


def test_code_that_lets_no_thread_do_anything_ends_its_process_too(tmp_path: Path) -> None:
    """By a thread that is none of Python's, in twice the time: what was near it is suspected by whoever starts next."""
    assert lived(everywhere, Settings(home=tmp_path, hang_s=HANG_S), matching) == 1


def test_a_loop_that_turns_no_more_ends_its_process_though_nothing_is_in_hand(tmp_path: Path) -> None:
    """Whatever it is that hangs; a loop that turns, and waits long, does not."""
    began_s = time.monotonic()
    assert lived(stuck, Settings(home=tmp_path, hang_s=HANG_S)) == CRASHED
    assert time.monotonic() - began_s > 4 * HANG_S
