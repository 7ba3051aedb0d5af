"""When a processor has to end by itself, for its supervisor to start it at its last commit: Faust gave up, a batch hangs, it is stranded.

A worker is *stranded* when there is something to read and it reads nothing. It was seen with a broker under load: the worker's group had
lost its coordinator, and the worker never joined again, and slept beside a lag that grew. A member that is assigned nothing is idle.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import structlog

from agents.batches import App
from agents.ending import IN_HAND
from infra.kafka import Log
from infra.kafka.connection import DENIED
from infra.pulse import PULSE
from streams.errors import Unavailable
from streams.topics import Topic

EVERY_S: Final = 1.0
ASKED_EVERY_S: Final = 15.0
PLACE_S: Final = 5.0  # a consumer knows its own place at once, or it has none
FOLLOWS: Final = asyncio.Event()  # the state follows the group's assignment: nothing is read meanwhile


async def until_it_must_end(app: App, *, log: Log, topics: Sequence[Topic], longest_s: float) -> str:
    """Returns why, once the processor cannot go on: it read nothing for longer than `longest_s` with something to read, or Faust ended."""
    waiting = [asyncio.create_task(each) for each in (_crashed(app, log), _stranded(app, log, topics, longest_s))]
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in waiting:
            task.cancel()


async def _crashed(app: App, log: Log) -> str:
    while not (app.crashed or app.should_stop):  # noqa: ASYNC110  # Faust offers no event that stands for both
        await asyncio.sleep(EVERY_S / 2)
    why = app.crash_reason
    return f"the consumer ended by itself: {log.away(why) if isinstance(why, DENIED) else repr(why)}"


async def _stranded(app: App, log: Log, topics: Sequence[Topic], longest_s: float) -> str:
    since_s = time.monotonic()
    while True:  # half of the time it must have been silent, the other half there must be a reason why that is wrong
        await asyncio.sleep(min(ASKED_EVERY_S, longest_s / 2))
        try:
            why = await _unread(app, log, topics) if PULSE.silent_s > longest_s / 2 and not (IN_HAND.is_set() or FOLLOWS.is_set()) else None
        except Unavailable:
            why = None  # nobody reads while the broker is away
        if why is None:
            since_s = time.monotonic()
        elif time.monotonic() - since_s > longest_s / 2:
            return f"{why}, for {time.monotonic() - since_s:.0f} s"
        else:
            structlog.get_logger().debug("reads nothing", why=why)


async def _unread(app: App, log: Log, topics: Sequence[Topic]) -> str | None:
    """Why there is something that this worker should read; none where it has read everything, or others read it."""
    if app.conf.broker_client_id not in await log.members(app.conf.id):
        return "its group does not know it"
    ends = await log.ends(topics)
    try:
        async with asyncio.timeout(PLACE_S):
            places = {(tp.topic, tp.partition): await app.consumer.position(tp) or 0 for tp in app.consumer.assignment()}
    except TimeoutError:
        return "its consumer does not know its places"
    left = sum(max(0, ends.get(place, 0) - offset) for place, offset in places.items())
    return f"{left} records wait and none is read" if left else None
