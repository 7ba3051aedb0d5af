"""Processes for work that must not hold up an event loop. They end with the process that they work for, however that ends."""

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor


def pool(count: int) -> ProcessPoolExecutor:
    """A pool of fresh processes (spawned, so that no thread's lock is inherited)."""
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent)


def _end_with_parent() -> None:
    """A killed parent ends no child, and a pool's worker would wait for its next work for ever."""
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(0)
