"""Processes that tests let end: children of a clean one, for a fork of a process with threads may wait for ever for a lock."""

import asyncio
import importlib
import multiprocessing
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

_BORN: Final = multiprocessing.get_context("forkserver")
_BORN.set_forkserver_preload(
    ["tests.world", "agents.cost", "agents.dispatch", "agents.rank", "agents.seal"]
)  # so that each is there at once


def ended(work: Callable[..., object], *given: object, planted: Mapping[str, object] = MappingProxyType({})) -> int:
    """How a process ended that did this: its exit status; minus the signal that killed it.

    The function, which may be a coroutine's, is one of a module, and what it is given can be pickled. `planted`: what stands in the place
    of names there, as `agents.cost.summaries`.
    """
    process = _BORN.Process(target=_lives, args=(work, given, dict(planted)))
    process.start()
    process.join()
    if (status := process.exitcode) is None:
        msg = "a process that was joined has ended"
        raise AssertionError(msg)
    process.close()
    return status


def _lives(work: Callable[..., object], given: tuple[object, ...], planted: Mapping[str, object]) -> None:
    for name, what in planted.items():
        module, _, attribute = name.rpartition(".")
        setattr(importlib.import_module(module), attribute, what)
    came = work(*given)
    if asyncio.iscoroutine(came):
        asyncio.run(came)
