"""Processes for work that must not hold up an event loop. They end with the process that they work for, however that ends.

What they run is in part code of others: each may take so much memory, and no more (`ASSAY_PROCESS_MEMORY_MB`). Python then raises
MemoryError where it would else have taken the machine's. What it raises is heard there (`heard`), so that it ends nobody who waits for it.
"""

import asyncio
import functools
import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from typing import ParamSpec, TypeVar

from infra.harness.limits import heard
from infra.settings import Settings

T = TypeVar("T")
P = ParamSpec("P")


class Pool(ProcessPoolExecutor):
    """Processes that do what they are given, `heard`."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """The outcome to come."""
        return super().submit(heard, functools.partial(fn, *args, **kwargs))


def pool(count: int) -> ProcessPoolExecutor:
    """A pool of fresh processes (spawned, so that no thread's lock is inherited)."""
    most_bytes = Settings().process_memory_mb * 2**20
    return Pool(count, mp_context=multiprocessing.get_context("spawn"), initializer=_begin, initargs=(most_bytes,))


def end(processes: ProcessPoolExecutor) -> None:
    """Ends a pool together with what it works at, which may take half an hour; whoever waits for that reads BrokenProcessPool."""
    working = tuple((processes._processes or {}).values())  # from Python 3.14 on: kill_workers
    processes.shutdown(wait=False, cancel_futures=True)
    for process in working:
        process.kill()


async def alone(work: Callable[[], T]) -> T:
    """Does work anew in a process of its own: one that ended its process took the work of others with it. Raises: BrokenProcessPool."""
    process = pool(1)
    try:
        return await asyncio.get_running_loop().run_in_executor(process, work)
    finally:
        end(process)


def apart(work: Callable[[], T]) -> T:
    """Does work in a copy of this process, which may have no other thread: it may end that. Raises: BrokenProcessPool."""
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")  # others' libraries bear no copies of themselves
    process = Pool(1, mp_context=context, initializer=_begin, initargs=(Settings().process_memory_mb * 2**20,))
    try:
        return process.submit(work).result()
    finally:
        end(process)


def _begin(most_bytes: int) -> None:
    """A killed parent ends no child, and a pool's worker would wait for its next work for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's is its parent's to hear
    resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(0)
