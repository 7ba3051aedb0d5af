"""Processes for work that must not hold up an event loop. They end with the process that they work for, however that ends.

What they run is in part code of others: each may take so much memory, and no more (`ASSAY_PROCESS_MEMORY_MB`). Python then raises
MemoryError where it would else have taken the machine's.
"""

import asyncio
import multiprocessing
import os
import resource
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from infra.settings import Settings

T = TypeVar("T")


def pool(count: int) -> ProcessPoolExecutor:
    """A pool of fresh processes (spawned, so that no thread's lock is inherited)."""
    most_bytes = Settings().process_memory_mb * 2**20
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"), initializer=_begin, initargs=(most_bytes,))


async def alone(work: Callable[[], T]) -> T:
    """Does work anew in a process of its own: one that ended its process took the work of others with it. Raises: BrokenProcessPool."""
    with pool(1) as process:
        return await asyncio.get_running_loop().run_in_executor(process, work)


def _begin(most_bytes: int) -> None:
    """A killed parent ends no child, and a pool's worker would wait for its next work for ever."""
    resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(0)
