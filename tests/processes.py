"""Processes that tests let end: children of a clean one, for a fork of a process with threads may wait for ever for a lock."""

import multiprocessing
from collections.abc import Callable
from typing import Final

_BORN: Final = multiprocessing.get_context("forkserver")
_BORN.set_forkserver_preload(
    ["tests.world", "agents.cost", "agents.dispatch", "agents.rank", "agents.seal"]
)  # so that each is there at once


def ended(work: Callable[..., None], *given: object) -> int:
    """How a process ended that did this: its exit status; minus the signal that killed it.

    The function is one of a module, and what it is given can be pickled.
    """
    process = _BORN.Process(target=work, args=given)
    process.start()
    process.join()
    if (status := process.exitcode) is None:
        msg = "a process that was joined has ended"
        raise AssertionError(msg)
    process.close()
    return status
