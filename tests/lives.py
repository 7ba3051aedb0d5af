"""Processes that end in tests, as processors do."""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from typing import Any

from agents.ending import _watching
from infra.in_hand import HANDS


def ended(act: Callable[[], Coroutine[Any, Any, object]]) -> int:
    """How a process of its own ended that does so: its exit code, or a signal's number, negative."""
    while _watching.is_set():  # what this process watched itself by ends with its loop, a moment later
        time.sleep(0.01)
    if (child := os.fork()) == 0:
        HANDS.clear()
        try:
            asyncio.run(act())
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
