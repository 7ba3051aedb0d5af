"""Batches of Faust's consumer: nothing is lost when workers come, go or die; what was done at a gentle end is not done again."""

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from uuid6 import uuid7

from agents.ending import CRASHED
from infra.identity import producer
from infra.kafka import Log, Place
from infra.kafka.records import MAX_RECORD_BYTES
from infra.settings import Settings
from schemas.requests import CancellationRequested
from schemas.trust import DeadLettered
from streams.topics import CANCELLATIONS, DEAD_LETTERS
from tests.conftest import end, spawn
from tests.flow import PATIENCE_S

pytestmark = pytest.mark.integration
Lines = Counter[tuple[int, int]]


async def published(log: Log, count: int) -> list[Place]:
    """Where that many new events lie, spread over the partitions."""
    stamp = producer("test")
    return await log.publish_all(CancellationRequested(occurred_us=n, producer=stamp, run_id=str(uuid7()), by="test") for n in range(count))


def recorded(files: Sequence[Path]) -> Lines:
    """How often each place was handled."""
    lines = [line.split() for file in files if file.exists() for line in file.read_text().splitlines()]
    return Counter((int(partition), int(offset)) for partition, offset in lines)


async def until_recorded(files: Sequence[Path], places: Sequence[Place]) -> Lines:
    """What was handled, once every place was."""
    wanted, give_up = {(place.partition, place.offset) for place in places}, time.monotonic() + PATIENCE_S
    while missing := wanted - (found := recorded(files)).keys():
        assert time.monotonic() < give_up, f"{len(missing)} of {len(wanted)} not handled, the first {min(missing)}"
        await asyncio.sleep(0.1)
    return found


async def until_more_than(file: Path, count: int) -> None:
    """Waits until more events than that were handled."""
    give_up = time.monotonic() + PATIENCE_S
    while recorded([file]).total() <= count:
        assert time.monotonic() < give_up, f"nothing handled after the first {count}"
        await asyncio.sleep(0.02)


@contextmanager
def worker(settings: Settings, group: str, file: Path) -> Iterator[None]:
    """A processor of the group, ended gently."""
    child = spawn("tests.recording", group, file.name, settings=settings)
    try:
        yield
    finally:
        end(child)
        assert child.returncode == 0


def test_what_is_done_at_a_gentle_end_is_committed_and_not_done_again(stack: Settings) -> None:
    """Every event is handled once over three lives of a worker, ended in the middle of its work."""
    settings, group = stack.model_copy(update={"batch_events": 20}), f"gentle-{uuid.uuid4().hex}"
    file = stack.home / group

    async def act() -> None:
        async with Log(stack, client_id="test") as log:
            places = await published(log, 6000)
            for _ in range(3):
                with worker(settings, group, file):
                    # A life ends once it has handled something: ended before, it had nothing to commit.
                    await until_more_than(file, recorded([file]).total())
            with worker(settings, group, file):
                handled = await until_recorded([file], places)
        assert max(handled.values()) == 1

    asyncio.run(act())


@pytest.mark.kill
def test_nothing_is_lost_when_workers_of_a_group_come_and_go_and_die(stack: Settings) -> None:
    """Partitions move between three workers, some killed, while events come; each event is handled by one of them, at least once."""
    settings, group = stack.model_copy(update={"batch_events": 20}), f"herd-{uuid.uuid4().hex}"
    files, chance = [stack.home / f"{group}-{n}" for n in range(3)], random.Random(5)

    async def act() -> None:
        places: list[Place] = []
        children = {file: spawn("tests.recording", group, file.name, settings=settings) for file in files}
        try:
            async with Log(stack, client_id="test") as log:
                for turn in range(6):
                    places += await published(log, 400)
                    file = files[turn % 3]
                    await asyncio.sleep(chance.uniform(0.5, 4.0))  # the random moment itself: nothing to wait for
                    children[file].kill() if turn % 2 else children[file].terminate()
                    children[file].wait(PATIENCE_S)
                    children[file] = spawn("tests.recording", group, file.name, settings=settings)
                await until_recorded(files, places)
        finally:
            for child in children.values():
                end(child)

    asyncio.run(act())


@pytest.mark.slow
@pytest.mark.parametrize("when", ["strand", "never"])
def test_a_worker_that_its_group_has_lost_ends_itself_and_the_next_one_goes_on(stack: Settings, when: str) -> None:
    """It would else sleep beside what it should read, and say that it is up; or start for ever."""
    group = f"stranded-{uuid.uuid4().hex}"
    file = stack.home / group

    async def act() -> None:
        async with Log(stack, client_id="test") as log:
            places = await published(log, 20)
            child = spawn("tests.recording", group, file.name, when, settings=stack.model_copy(update={"hang_s": 2.0}))
            try:
                assert await asyncio.to_thread(child.wait, PATIENCE_S) == CRASHED
            finally:
                end(child)
            places += await published(log, 20)
            with worker(stack, group, file):
                await until_recorded([file], places)

    asyncio.run(act())


def test_records_larger_than_what_is_fetched_at_once_are_handled_like_any_other(stack: Settings) -> None:
    """Of several in a row too, with small ones between; they are as large as the log takes, and do not compress."""
    group = f"large-{uuid.uuid4().hex}"
    file = stack.home / group
    chance = random.Random(1)

    async def act() -> None:
        async with Log(stack, client_id="test") as log:
            places = await published(log, 20)
            for n in range(6):
                large = "".join(chr(chance.randrange(0x4E00, 0x9FFF)) for _ in range(MAX_RECORD_BYTES // 4))
                event = CancellationRequested(occurred_us=n, producer=producer("test"), run_id=str(uuid7()), by="test", trace_parent=large)
                places.append(await log.publish(event))
            places += await published(log, 20)
            with worker(stack, group, file):
                await until_recorded([file], places)

    asyncio.run(act())


@pytest.mark.slow
def test_a_worker_that_has_not_started_ends_when_it_is_asked_to(stack: Settings) -> None:
    """Soon, and as one that has done its work; its consumer's own thread holds it up no longer."""
    group = f"asked-{uuid.uuid4().hex}"

    async def known() -> None:
        async with Log(stack, client_id="test") as log:
            await published(log, 1)

    asyncio.run(known())
    child = spawn("tests.recording", group, group, "never", settings=stack)
    try:
        give_up = time.monotonic() + PATIENCE_S
        while not (stack.home / f"{group}.asked").exists() and time.monotonic() < give_up:
            time.sleep(0.1)
        child.terminate()
        assert child.wait(PATIENCE_S) == 0
    finally:
        end(child)


@pytest.mark.slow
def test_a_worker_whose_batch_holds_up_its_loop_ends_itself_and_the_next_one_goes_on(stack: Settings) -> None:
    """Nothing inside of its loop could notice."""
    group = f"blocked-{uuid.uuid4().hex}"
    file, settings = stack.home / group, stack.model_copy(update={"batch_events": 10, "hang_s": 3.0})

    async def act() -> None:
        async with Log(stack, client_id="test") as log:
            places = await published(log, 200)
            child = spawn("tests.recording", group, file.name, "block", settings=settings)
            try:
                assert await asyncio.to_thread(child.wait, PATIENCE_S) == CRASHED
            finally:
                end(child)
            with worker(stack, group, file):
                await until_recorded([file], places)

    asyncio.run(act())


@pytest.mark.slow
def test_a_record_over_which_a_worker_hangs_is_found_and_passed(stack: Settings) -> None:
    """Once with its batch, twice alone; the others of its batch are handled, and nobody waits for them for ever."""
    group = f"hung-{uuid.uuid4().hex}"
    file, settings = stack.home / group, stack.model_copy(update={"batch_events": 50, "hang_s": 8.0})

    async def life(culprit: int, others: set[tuple[int, int]]) -> bool:
        """Whether a worker has handled all others, before it ended."""
        child = spawn("tests.recording", group, file.name, f"block:{culprit}", settings=settings)
        try:
            while child.poll() is None and others - recorded([file]).keys():  # noqa: ASYNC110  # a file is read
                await asyncio.sleep(0.2)
            return child.poll() is None
        finally:
            end(child)

    async def act() -> None:
        async with Log(stack, client_id="test") as log:
            places = [(place.partition, place.offset) for place in await published(log, 40)]
            culprit = min(offset for partition, offset in places if partition == 0)
            async with asyncio.timeout(PATIENCE_S):
                lives = 1
                while not await life(culprit, {*places} - {(0, culprit)}):
                    lives += 1
            letters = [record.event async for record in log.read([DEAD_LETTERS])]
        told = [one for one in letters if isinstance(one, DeadLettered) and one.producer.service == group]
        assert [(one.offset, one.reason_code, one.message) for one in told] == [
            (culprit, "quarantined", "the processor hung, died or was killed over it again and again, and passes it now")
        ]
        assert lives >= 4

    asyncio.run(act())


def test_a_record_without_a_value_is_a_dead_letter_and_stops_nobody(stack: Settings) -> None:
    """What a foreign producer may send by mistake, with the events behind it."""
    group = f"null-{uuid.uuid4().hex}"
    file = stack.home / group

    async def act() -> None:
        foreign = AIOKafkaProducer(bootstrap_servers=stack.kafka)
        await foreign.start()
        try:
            null = await foreign.send_and_wait(CANCELLATIONS.name, value=None, key=b"x", partition=0)
        finally:
            await foreign.stop()
        async with Log(stack, client_id="test") as log:
            places = await published(log, 20)
            with worker(stack, group, file):
                handled = await until_recorded([file], places)
            assert (0, null.offset) not in handled
            letters = [record.event async for record in log.read([DEAD_LETTERS])]
        told = [one for one in letters if isinstance(one, DeadLettered) and one.producer.service == group]
        assert (CANCELLATIONS.name, 0, null.offset, "not-avro") in [(one.topic, one.partition, one.offset, one.reason_code) for one in told]

    asyncio.run(act())
