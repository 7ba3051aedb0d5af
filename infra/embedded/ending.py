"""Ending processes with all that they started: gently, and after a while by force."""

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress

import psutil

from infra.embedded.state import Status

END_S, KILLED_S = 12.0, 5.0
Told = Callable[[str, str], None]


def end_all(statuses: Iterable[Status], *, told: Told) -> None:
    """Ends processes, and says of each that it is down."""
    statuses = list(statuses)
    families = {one.name: _family(one) for one in statuses}
    for one in statuses:
        for process in families[one.name][:1]:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
    members = [process for family in families.values() for process in family]
    _, left = psutil.wait_procs(members, timeout=END_S)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=KILLED_S)
    for one in statuses:
        end_group(one.pid) if families[one.name] else None
        told(one.name, "down")


def end_group(pid: int) -> None:
    """Ends what a dead process left behind: each has a session of its own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _family(one: Status) -> list[psutil.Process]:
    process = one.process
    if process is None:
        return []
    with suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return []
