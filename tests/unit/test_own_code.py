"""What code of a task's own raises in a process of its own is a reason there, and ends nobody who waits for it."""

import asyncio
import json
import signal
import time
from collections.abc import Callable
from concurrent.futures import CancelledError as FutureCancelled
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NoReturn

import pytest

from infra.harness import aggregating, processes
from infra.harness.aggregating import aggregated
from infra.harness.limits import Overdue, bounded, heard, rendering, within, words
from infra.harness.processes import ToScore, score_all
from infra.pools import alone
from streams.errors import Permanent


class Base(BaseException):
    """No Exception."""


class Silent(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        """Nothing."""
        raise SystemExit(4)


class Odd(Exception):
    """It cannot be sent to another process and made there again."""

    def __init__(self, first: object, second: object) -> None:
        super().__init__("odd")


ENDING = (SystemExit("bye"), KeyboardInterrupt(), asyncio.CancelledError(), FutureCancelled(), GeneratorExit(), Base("x"), StopIteration(),
          BrokenProcessPool("x"), Odd(1, 2), Silent(), ValueError(Silent()), ValueError([Silent()]))  # fmt: skip


def raising(error: BaseException) -> Callable[..., NoReturn]:
    """What raises it, whatever it is given."""

    def act(*_: Any, **__: Any) -> NoReturn:
        raise error

    return act


@pytest.mark.parametrize("error", ENDING, ids=lambda error: type(error).__name__)
def test_what_would_end_more_than_its_work_is_its_reason(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of building, of aggregating, and of scoring one sample, each beside others."""
    with pytest.raises(Permanent, match=type(error).__name__):
        heard(lambda: bounded(raising(error), "t", 60.0))

    monkeypatch.setattr(aggregating, "aggregate", raising(error))
    assert f"over 2 samples failed: its own code raised {type(error).__name__}" in (
        aggregated("{}", "acc", ["1", "0"], limit_s=60.0).why or ""
    )

    monkeypatch.setattr(processes, "_scorer", raising(error))
    work = [ToScore("{}", json.dumps({"q": 1}), number, (), {}, ()) for number in range(2)]
    for outcome in score_all(work, 60.0):
        assert outcome.broke and type(error).__name__ in (outcome.reason or "")


def test_our_own_errors_and_pythons_pass_as_they_are() -> None:
    """Whoever waits tells them apart."""
    for error in (Overdue(), MemoryError("m"), ValueError("v"), Permanent("p", code="c")):
        with pytest.raises(type(error)) as caught:
            heard(raising(error))
        assert caught.value is error
    assert words(ValueError("v")) == "ValueError: v" and words(Silent()) == "Silent: its text raises SystemExit"


def end_all() -> NoReturn:
    """As `sys.exit` in a task's file."""
    raise SystemExit("bye")


def test_a_pools_process_hands_a_reason_to_who_waits() -> None:
    """Asyncio's loop goes on."""

    async def act() -> str:
        with pytest.raises(Permanent) as caught:
            await alone(end_all)
        return str(caught.value)

    assert asyncio.run(act()) == "its own code raised SystemExit: bye"


@pytest.mark.usefixtures("patient")
def test_who_takes_the_end_of_its_time_for_an_error_of_its_own_is_told_again() -> None:
    """As a bare `except` does; what is around has its own time, and no alarm is left behind."""

    def deaf() -> None:
        try:
            time.sleep(3600)
        except:  # noqa: E722  # as others write it
            time.sleep(3600)

    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(Overdue), within(0.1):
        deaf()
    with pytest.raises(Overdue, match="filling a template"), rendering(0.1):
        deaf()
    with pytest.raises(Overdue, match=r"^$"), within(0.3), rendering(600.0):
        deaf()
    with within(600.0):
        with pytest.raises(Overdue), rendering(0.1):
            deaf()
        assert 300 < signal.getitimer(signal.ITIMER_REAL)[0] < 600
    assert signal.getitimer(signal.ITIMER_REAL)[1] == 0 and signal.getsignal(signal.SIGALRM) is before
