"""Waiting for what may not be there yet, and saying so."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import TypeVar

import structlog

from infra.in_hand import waiting
from infra.metrics import WAITING
from infra.pulse import PULSE
from streams.errors import Temporary

T = TypeVar("T")
LONGEST_PAUSE_S = 10.0
NOTICE_S = 5.0


async def until_available(attempt: Callable[[], Awaitable[T]], *, what: str, give_up_after: int | None = None) -> T:
    """What `attempt` returns once it no longer raises Temporary; pauses grow from 0.2 to 10 s and are logged."""
    pause_s, failures, began_s = 0.2, 0, time.monotonic()
    try:
        while True:
            try:
                return await attempt()
            except Temporary as error:
                failures += 1
                if give_up_after is not None and failures >= give_up_after:
                    raise
                structlog.get_logger().warning("waiting", what=what, reason=str(error), failures=failures, again_in_s=round(pause_s, 2))
            WAITING.labels(what).set(time.monotonic() - began_s)
            PULSE.touch()
            with waiting():
                await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.7, LONGEST_PAUSE_S)
    finally:
        WAITING.labels(what).set(0)


async def noticed(awaitable: Awaitable[T], *, what: str, most_s: float | None = None) -> T:
    """What the awaitable gives; while that takes long, a log line says so every five seconds.

    It is no hang until it has taken `most_s` (None: whoever works has limits of its own).
    """
    task, waited_s = asyncio.ensure_future(awaitable), 0.0
    outside = ExitStack()
    try:
        while not (await asyncio.wait([task], timeout=NOTICE_S))[0]:
            if not waited_s:
                outside.enter_context(waiting())
            waited_s += NOTICE_S
            WAITING.labels(what).set(waited_s)
            if most_s is None or waited_s < most_s:
                PULSE.touch()
            structlog.get_logger().warning("waiting", what=what, for_s=waited_s)
        return task.result()
    finally:
        task.cancel()
        outside.close()
        if waited_s:
            WAITING.labels(what).set(0)
