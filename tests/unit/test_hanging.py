"""What hangs over a model's files holds up nobody else: it is refused in time, and whoever asks for that model meanwhile at once."""

import asyncio
import threading
import time

import pytest

from infra.fetching import Told
from infra.hanging import Bringing, Stillness
from streams.errors import Invalid

HANG_S = 0.2
REFUSAL = r"the files of /mnt/slow have not answered for 0\.2 s \(ASSAY_MODEL_HANG_S\): look after the file system"


def test_one_that_hangs_is_refused_and_others_are_brought_meanwhile() -> None:
    """As many as there are; once it answers it is brought again."""
    answers = threading.Event()

    async def act() -> None:
        bringing = Bringing(hang_s=HANG_S)
        hanging = [asyncio.create_task(bringing.of("/mnt/slow", lambda _told: answers.wait(60))) for _ in range(40)]
        assert await asyncio.gather(*[bringing.of(f"/m/{n}", lambda _told: 1) for n in range(40)]) == [1] * 40
        for one in await asyncio.gather(*hanging, return_exceptions=True):
            with pytest.raises(Invalid, match=REFUSAL):
                raise one if isinstance(one, BaseException) else AssertionError(one)
        begun = threading.Event()
        with pytest.raises(Invalid, match=REFUSAL):
            await bringing.of("/mnt/slow", lambda _told: begun.set())
        assert not begun.is_set()  # it is refused at once
        answers.set()
        while True:
            try:
                assert await bringing.of("/mnt/slow", lambda _told: 2) == 2
                return
            except Invalid:
                await asyncio.sleep(0.01)  # its thread has not heard it yet

    asyncio.run(asyncio.wait_for(act(), 300))


def test_a_machine_that_stands_still_hangs_over_nothing() -> None:
    """What lies between two looks counts for two of them at most, however long it was; what moves begins anew."""
    still = Stillness(most_s=2.0, looked_s=10.0)
    looks = [(False, 11.0), (False, 13.0), (False, 4000.0), (True, 4001.0), (False, 4001.5)]
    assert [still.seen(moved=moved, at_s=at_s) for moved, at_s in looks] == [1.0, 3.0, 5.0, 0.0, 0.5]
    answers = threading.Event()

    async def act() -> None:
        bringing = asyncio.create_task(Bringing(hang_s=HANG_S).of("/m", lambda _told: answers.wait(60)))
        await asyncio.sleep(HANG_S / 10)
        time.sleep(2 * HANG_S)  # noqa: ASYNC251  # as it is for a process that does not run
        await asyncio.sleep(HANG_S / 10)
        answers.set()
        assert await bringing

    asyncio.run(act())


def test_one_that_gets_on_may_take_as_long_as_it_needs() -> None:
    """However slowly it does."""

    def slowly(_told: Told) -> int:
        until = time.monotonic() + 4 * HANG_S
        while time.monotonic() < until:
            sum(range(20_000))
            time.sleep(HANG_S / 20)
        return 3

    assert asyncio.run(Bringing(hang_s=HANG_S).of("/m", slowly)) == 3


def test_what_it_raises_is_raised_and_one_that_nobody_waits_for_ends_when_it_tells_how_far_it_is() -> None:
    """As a download does."""
    ended = threading.Event()

    def fetching(told: Told) -> None:
        try:
            while True:
                told(1, 2)
                time.sleep(0.01)
        finally:
            ended.set()

    async def act() -> None:
        bringing = Bringing(hang_s=60)
        with pytest.raises(ZeroDivisionError):
            await bringing.of("/m", lambda _told: 1 // 0)
        task = asyncio.create_task(bringing.of("/m", fetching))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(act())
    assert ended.wait(300)
