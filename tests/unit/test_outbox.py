"""An agent's outbox: whoever measures never waits for the broker, nothing is lost or out of order, and a file is sent by the next agent."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from gpu_agent import outbox as outboxes
from gpu_agent.outbox import Outbox
from gpu_agent.unsent import unsent_in
from infra.kafka import Log, Outgoing, Place
from schemas.event import Producer
from schemas.measurements import TokensTimed
from streams.errors import Permanent, Unavailable
from tests.in_memory import InMemory
from tests.runs import run_named

R = run_named("r")


class Away(InMemory):
    """A log whose broker is away unless it is `there`; `large`: a request whose record no broker takes."""

    def __init__(self, *, there: bool = True) -> None:
        super().__init__()
        self.there, self.large = asyncio.Event(), -1
        if there:
            self.there.set()

    async def send(self, records: Sequence[Outgoing]) -> list[Place]:
        """Writes, where it can."""
        await self.there.wait()
        if any(self.codec.decode(one.payload, TokensTimed).request_index == self.large for one in records):
            raise Permanent("too large", code="record-too-large")
        return await super().send(records)

    @property
    def numbers(self) -> list[int]:
        """What was written, in its order."""
        return [record.event.request_index for several in self.records.values() for record in several
                if isinstance(record.event, TokensTimed)]  # fmt: skip


def timed(number: int) -> TokensTimed:
    """A measurement of that number."""
    return TokensTimed(
        occurred_us=1, producer=Producer(service="test", version="1"), run_id=R, job_id=f"{R}/perf", attempt=1, request_index=number,
        sequence=0, chunk=0, first_token=0, first_ns=number, gaps=bytes(20),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker is away sooner than in earnest."""
    for name, value in (("PATIENCE_S", 0.05), ("LOOK_EVERY_S", 0.01), ("AGAIN_S", 0.01), ("CLOSE_S", 0.1)):
        monkeypatch.setattr(outboxes, name, value)


async def until(outbox: Outbox, *, kept: int) -> None:
    """Returns when so much has gone to the file."""
    async with asyncio.timeout(10), outbox._changed:
        await outbox._changed.wait_for(lambda: outbox.kept >= kept)


def test_what_is_put_while_the_broker_is_away_is_kept_in_a_file_and_sent_in_order(tmp_path: Path) -> None:
    """Also what was on its way as it went; then the file is empty."""
    log = Away()

    async def act() -> None:
        async with Outbox(cast(Log, log), tmp_path) as outbox:
            await outbox.put([timed(0)])
            await outbox.flush()
            assert outbox.kept == 0
            log.there.clear()
            for number in range(1, 40):
                await outbox.put([timed(number)])
                if number == 20:
                    await until(outbox, kept=20)
            await until(outbox, kept=39)
            assert len(outbox) == 39 and log.numbers == [0]
            log.there.set()
            await outbox.flush()
            assert (len(outbox), outbox.held_up_ns) == (0, 0)

    asyncio.run(act())
    assert log.numbers == list(range(40)) and list(tmp_path.iterdir()) == []


def test_an_agent_that_ends_while_the_broker_is_away_leaves_its_measurements_to_the_next(tmp_path: Path) -> None:
    """Those that it had in memory too."""
    log = Away(there=False)

    async def ended() -> None:
        async with Outbox(cast(Log, log), tmp_path) as outbox:
            await outbox.put([timed(number) for number in range(5)])

    async def next_one() -> None:
        log.there.set()
        async with Outbox(cast(Log, log), tmp_path) as outbox:
            await outbox.put([timed(5)])
            await outbox.flush()

    asyncio.run(ended())
    assert log.numbers == [] and len(list(tmp_path.iterdir())) == 1
    asyncio.run(next_one())
    assert log.numbers == list(range(6)) and list(tmp_path.iterdir()) == []


def test_memory_is_bounded_and_what_that_held_up_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk takes nothing either, whoever measures waits until the broker is back."""
    log = Away()
    monkeypatch.setattr(outboxes, "MOST_BYTES", 2000)

    async def act() -> None:
        async with Outbox(cast(Log, log), tmp_path) as outbox:

            def full(_records: Sequence[Outgoing]) -> None:
                raise OSError(28, "no space left on device")

            log.there.clear()
            with monkeypatch.context() as patched:
                patched.setattr(outbox._unsent, "append", full)
                putting = asyncio.create_task(all_of(outbox))
                await asyncio.sleep(0.2)
                assert not putting.done() and len(outbox) < 20
                log.there.set()
                await putting
            await outbox.flush()
            assert outbox.held_up_ns > 50_000_000

    async def all_of(outbox: Outbox) -> None:
        for number in range(40):
            await outbox.put([timed(number)])

    asyncio.run(act())
    assert log.numbers == list(range(40))


def test_an_agent_ends_though_neither_broker_nor_disk_takes_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is lost is said; its attempt is given to another agent anyway."""
    log = Away(there=False)

    def full(_records: Sequence[Outgoing]) -> None:
        raise OSError(28, "no space left on device")

    async def act() -> None:
        async with Outbox(cast(Log, log), tmp_path) as outbox:
            monkeypatch.setattr(outbox._unsent, "append", full)
            await outbox.put([timed(0)])

    asyncio.run(act())
    told = capsys.readouterr().out
    assert "measurements are lost" in told and "records=1" in told and "no space left" in told


def test_what_no_record_can_hold_is_told_and_the_rest_is_sent(tmp_path: Path) -> None:
    """Once, to whoever waits for all to be sent."""
    log = Away()
    log.large = 1

    async def act() -> None:
        async with Outbox(cast(Log, log), tmp_path) as outbox:
            await outbox.put([timed(number) for number in range(3)])
            with pytest.raises(Permanent, match="too large"):
                await outbox.flush()
            await outbox.flush()

    asyncio.run(act())
    assert log.numbers == [0, 2]


def test_what_the_broker_answers_by_an_error_is_sent_again(tmp_path: Path) -> None:
    """It may have arrived: the same events then lie in the log twice."""

    class Breaking(Away):
        broken = 2

        async def send(self, records: Sequence[Outgoing]) -> list[Place]:
            """Fails twice, once after it has written."""
            self.broken -= 1
            if self.broken >= 0:
                if not self.broken:
                    await super().send(records)
                raise Unavailable("gone")
            return await super().send(records)

    log = Breaking()

    async def act() -> None:
        async with Outbox(cast(Log, log), tmp_path) as outbox:
            await outbox.put([timed(0), timed(1)])
            await outbox.flush()

    asyncio.run(act())
    assert log.numbers == [0, 1, 0, 1]


@pytest.mark.parametrize("fails", [1, 3])
def test_a_disk_that_fails_now_and_then_holds_up_nobody_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: int) -> None:
    """What lies in the file is sent when it can be read again, in its order."""
    log, read, left = Away(there=False), os.pread, [fails]

    def failing(file: int, length: int, at: int) -> bytes:
        left[0] -= 1
        if left[0] >= 0:
            raise OSError(5, "Input/output error")
        return read(file, length, at)

    async def act() -> None:
        async with Outbox(cast(Log, log), tmp_path) as outbox:
            await outbox.put([timed(number) for number in range(5)])
            await until(outbox, kept=5)
            await outbox.put([timed(number) for number in range(5, 10)])
            monkeypatch.setattr(os, "pread", failing)
            log.there.set()
            async with asyncio.timeout(10):
                await outbox.flush()

    asyncio.run(act())
    assert log.numbers == list(range(10)) and left[0] < 0 and list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_read_is_told_and_left_to_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for all to be sent learns it; what is put after it is sent."""
    log = Away(there=False)

    def broken(_file: int, _length: int, _at: int) -> bytes:
        raise OSError(5, "Input/output error")

    async def act() -> None:
        async with Outbox(cast(Log, log), tmp_path) as outbox:
            await outbox.put([timed(number) for number in range(5)])
            await until(outbox, kept=5)
            with monkeypatch.context() as patched:
                patched.setattr(os, "pread", broken)
                log.there.set()
                with pytest.raises(Permanent, match=r"5 measurements are left to the agent's next start: .*Input/output error"):
                    await outbox.flush()
            await outbox.put([timed(5)])
            await outbox.flush()

    async def next_one() -> None:
        async with Outbox(cast(Log, log), tmp_path) as outbox:
            await outbox.flush()

    asyncio.run(act())
    asyncio.run(next_one())
    assert sorted(log.numbers[-5:]) == list(range(5)) and set(log.numbers) == set(range(6))


def test_what_a_disk_has_changed_is_told_and_the_rest_is_sent(tmp_path: Path) -> None:
    """One record of those that lie in the file."""
    log = Away(there=False)

    async def act() -> None:
        async with Outbox(cast(Log, log), tmp_path) as outbox:
            await outbox.put([timed(9)])
            await until(outbox, kept=1)
            await outbox.put([timed(number) for number in range(5)])
            await until(outbox, kept=6)
            size = outbox._unsent.path.stat().st_size
            byte = os.pread(outbox._unsent._file, 1, size - 50)
            os.pwrite(outbox._unsent._file, bytes([byte[0] ^ 1]), size - 50)
            log.there.set()
            with pytest.raises(Permanent, match="1 measurements are lost: their file is damaged"):
                await outbox.flush()
            await outbox.flush()

    asyncio.run(act())
    assert log.numbers == [9, *range(4)]


def test_the_file_has_what_the_log_does_not(tmp_path: Path) -> None:
    """Killed in the middle: nothing is lost, whatever was sent."""
    log = Away(there=False)

    async def killed() -> None:
        outbox = await Outbox(cast(Log, log), tmp_path).__aenter__()
        await outbox.put([timed(number) for number in range(3)])
        await until(outbox, kept=3)
        for task in outbox._tasks:
            task.cancel()
        os.close(outbox._unsent._file)

    asyncio.run(killed())
    assert [log.codec.decode(one.payload, TokensTimed).request_index for one in unsent_in(tmp_path).following(most=9)] == [0, 1, 2]
