"""Calls at a moment of the monotonic clock, far closer to it than asyncio's own timers, which epoll rounds up to whole milliseconds.

Source: Linux, timerfd_create(2), which Python has from 3.13 on; where there is none (kqueue counts nanoseconds) the loop's own timers do.
"""

import asyncio
import ctypes
import heapq
import os
import time
from collections.abc import Callable
from itertools import count

CLOCK_MONOTONIC, ABSOLUTE = 1, 1


class Spec(ctypes.Structure):
    """`struct itimerspec`: the interval, which stays 0, and the moment."""

    _fields_ = (
        ("every_s", ctypes.c_long), ("every_ns", ctypes.c_long), ("s", ctypes.c_long), ("ns", ctypes.c_long),
    )  # fmt: skip


class Timer:
    """Timed calls of one event loop. Moments are `perf_counter_ns`. One object serves many calls."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC) if hasattr(self._libc, "timerfd_create") else -1
        if self._fd >= 0:
            loop.add_reader(self._fd, self._ring)

    def at(self, due_ns: int, call: Callable[[], None]) -> None:
        """Calls at that moment, or as soon after it as the loop is free."""
        heapq.heappush(self._waiting, (due_ns, next(self._order), call))
        if self._waiting[0][0] == due_ns:
            self._set()

    async def wait(self, due_ns: int) -> None:
        """Returns at that moment."""
        reached = self._loop.create_future()
        self.at(due_ns, lambda: None if reached.done() else reached.set_result(None))
        await reached

    def close(self) -> None:
        """Forgets what was not yet called."""
        self._waiting.clear()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _set(self) -> None:
        due_ns = self._waiting[0][0]
        if self._fd < 0:
            self._loop.call_later(max(0, due_ns - time.perf_counter_ns()) / 1e9, self._due)
            return
        # A moment of 0 would disarm it.
        spec = Spec(0, 0, *divmod(max(1, due_ns), 10**9))
        self._libc.timerfd_settime(self._fd, ABSOLUTE, ctypes.byref(spec), None)

    def _ring(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return
        self._due()

    def _due(self) -> None:
        """Makes the calls that are due now; what they ask for next comes after what the loop has to read meanwhile."""
        now_ns, due = time.perf_counter_ns(), []
        while self._waiting and self._waiting[0][0] <= now_ns:
            due.append(heapq.heappop(self._waiting)[2])
        for call in due:
            call()
        if self._waiting:
            self._set()
