"""What waits says so: in metrics, to whoever watches, and in a log that is not flooded."""

import asyncio
import logging

import pytest

from infra import reach
from infra.logging import _Seldom
from infra.metrics import waits
from infra.retrying import until_available
from streams.errors import Unavailable


def test_waiting_is_measured_while_it_lasts() -> None:
    """And no longer, however it ends."""
    seen: list[bool] = []

    async def attempt() -> str:
        seen.append("a test" in waits())
        if len(seen) < 3:
            raise Unavailable("not yet")
        return "here"

    assert asyncio.run(until_available(attempt, what="a test")) == "here"
    assert seen == [False, True, True]
    assert "a test" not in waits()


def test_giving_up_ends_the_waiting() -> None:
    """The last refusal is passed on."""

    async def attempt() -> None:
        raise Unavailable("never")

    with pytest.raises(Unavailable, match="never"):
        asyncio.run(until_available(attempt, what="another test", give_up_after=2))
    assert "another test" not in waits()


def test_whoever_watches_is_told_when_the_log_goes_and_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once each; while it is away, since when."""
    monkeypatch.setattr(reach, "EVERY_S", 0.0)
    answers = iter([True, False, False, True, True])
    told: list[int | None] = []

    async def check() -> None:
        if not next(answers):
            raise Unavailable("away")

    async def act() -> None:
        watched = reach.Reach(check)
        await watched.watch(lambda: told.append(watched.away_since_us))

    with pytest.raises(RuntimeError):  # the answers have run out
        asyncio.run(act())
    assert len(told) == 2
    assert isinstance(told[0], int) and told[1] is None


def test_a_complaint_that_repeats_is_logged_once_in_a_while() -> None:
    """By the place that it comes from, whatever its words."""
    seldom = _Seldom()

    def line(number: int, words: str) -> logging.LogRecord:
        return logging.LogRecord("library", logging.ERROR, "client.py", number, words, None, None)

    passed = [seldom.filter(line(number, words)) for number, words in ((1, "a"), (1, "b"), (2, "a"), (1, "a"))]
    assert passed == [True, False, True, False]
