"""How a processor ends by itself: where it hangs, and wherever its supervisor is to start it at its last commit.

Who ends so leaves nothing in its hands (infra/in_hand.py): of what hangs it was noted before.
"""

import asyncio
import os
import threading
import time
from typing import Final, NoReturn

import structlog

from agents.care import Care
from infra.in_hand import leave_nothing
from infra.pulse import PULSE
from infra.settings import Settings

CRASHED: Final = 70  # EX_SOFTWARE of sysexits.h
EVERY_S: Final = 1.0
IN_HAND: Final = asyncio.Event()  # a batch is being handled
_watching = threading.Event()


def crash(why: str) -> NoReturn:
    """Ends the process, and says why."""
    structlog.get_logger().error("ending at the last commit", why=why)
    leave()


def leave(code: int = CRASHED) -> NoReturn:
    """Ends the process at once, for another reason than what it has in hand."""
    leave_nothing()
    os._exit(code)


def end_where_hung(care: Care, settings: Settings) -> None:
    """Begins a thread, one in a process, that ends it once what is in hand gets nowhere for too long: its loop may turn no more."""
    if not _watching.is_set():
        _watching.set()
        threading.Thread(target=_watch, args=(care, settings.hang_s), name="hung", daemon=True).start()


def _watch(care: Care, longest_s: float) -> None:
    while not ((IN_HAND.is_set() or care.works) and PULSE.silent_s > longest_s):
        time.sleep(EVERY_S)
    care.hung()
    crash(f"what is in hand gets nowhere, for {PULSE.silent_s:.0f} s")
