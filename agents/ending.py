"""How a processor ends by itself: where it hangs, and wherever its supervisor is to start it at its last commit.

Who ends so leaves nothing in its hands (infra/in_hand.py): of what hangs it was noted before.
"""

import asyncio
import faulthandler
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

import structlog

from agents.care import ATTENDED, Care
from infra.in_hand import leave_nothing
from infra.pulse import PULSE
from infra.settings import Settings

CRASHED: Final = 70  # EX_SOFTWARE of sysexits.h
EVERY_S: Final = 1.0
LATE_S: Final = 10.0
IN_HAND: Final = asyncio.Event()  # a batch is being handled
_watching = threading.Event()
At = Callable[[asyncio.AbstractEventLoop], Sequence[str]]


def crash(why: str) -> NoReturn:
    """Ends the process, and says why."""
    structlog.get_logger().error("ending at the last commit", why=why)
    leave()


def leave(code: int = CRASHED) -> NoReturn:
    """Ends the process at once, for another reason than what it has in hand."""
    leave_nothing()
    os._exit(code)


def task_of(loop: asyncio.AbstractEventLoop) -> Sequence[str]:
    """What the task is at that the loop runs; nothing, where its name does not say."""
    task = asyncio.current_task(loop)
    return [task.get_name()] if task and task.get_name().startswith(ATTENDED) else []


def end_where_hung(care: Care, settings: Settings, *, at: At = task_of) -> None:
    """Begins a thread, one in a process, that ends it once what is in hand gets nowhere for too long, or its loop turns no more.

    `at`: what the loop is at, beside records.
    """
    if not _watching.is_set():
        _watching.set()
        watched = care, settings.hang_s, asyncio.get_running_loop(), at
        threading.Thread(target=_watch, args=watched, name="hung", daemon=True).start()


def _watch(care: Care, longest_s: float, loop: asyncio.AbstractEventLoop, at: At) -> None:
    """Looks every second, until the loop is closed. Of a process that was stopped itself (SIGSTOP) none of that time counts.

    Where a library holds Python's lock this thread looks no more: the process then ends in twice the time.
    """
    every_s = min(EVERY_S, longest_s / 10)
    turned, still_s, looked_s = threading.Event(), 0.0, time.monotonic()
    try:
        while not (why := _why(care, still_s, longest_s)):
            care.ends_within(2 * longest_s)
            if still_s == 0.0:
                turned.clear()
                loop.call_soon_threadsafe(turned.set)
            time.sleep(every_s)
            still_s = 0.0 if turned.is_set() else still_s + every_s
            if time.monotonic() - looked_s > LATE_S:
                care.did_not_run()
            looked_s = time.monotonic()
    except RuntimeError:  # the loop is closed
        faulthandler.cancel_dump_traceback_later()
        _watching.clear()
        return
    care.hung(longest_s, at=at(loop) if still_s > longest_s else ())
    crash(why)


def _why(care: Care, still_s: float, longest_s: float) -> str | None:
    """Why the process gets nowhere, where it does. `still_s`: for how long its loop has not turned."""
    if still_s > longest_s:
        return f"its loop turns no more, for {still_s:.0f} s"
    if silent := care.silent(longest_s):
        return f"{silent[0]!r} gets nowhere, for more than {longest_s:.0f} s"
    hangs = (IN_HAND.is_set() or care.works) and PULSE.silent_s > longest_s
    return f"what is in hand gets nowhere, for {PULSE.silent_s:.0f} s" if hangs else None
