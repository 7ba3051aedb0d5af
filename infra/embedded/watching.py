"""Starts the stack's processes in order, starts again what dies, and ends all of it."""

import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from infra.embedded import state, tied
from infra.embedded.ending import Told, end_all, end_group
from infra.embedded.processes import Process, environment, free_address, log_of
from infra.embedded.state import Status
from infra.settings import Settings

FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_S = 0.5, 10.0, 30.0
TICK_S = 0.2


@dataclass(slots=True)
class _Child:
    process: Process
    status: Status
    popen: subprocess.Popen[bytes] | None = None
    pause_s: float = FIRST_PAUSE_S
    again_at: float = 0.0


class Supervisor:
    """Runs until `stop`."""

    def __init__(self, settings: Settings, processes: Sequence[Process], *, told: Told) -> None:
        self._settings = settings
        self._children = [_Child(process, Status(process.name)) for process in processes]
        self._told = told
        self._stopped = threading.Event()
        self._own = psutil.Process()

    def stop(self, *_: object) -> None:
        """Ends the stack soon."""
        self._stopped.set()

    def run(self) -> None:
        """Starts, watches and at last ends every process."""
        self._write()
        try:
            while not self._stopped.wait(TICK_S):
                changed = [self._step(child) for child in self._children]
                if any(changed):
                    self._write()
        finally:
            self._end()

    def _step(self, child: _Child) -> bool:
        """Moves a child on; True where its status changed."""
        if child.popen is None:
            return self._due(child) and self._start(child)
        code = child.popen.poll()
        if code is not None:
            return self._died(child, code)
        if child.status.state == "starting" and child.process.ready(self._settings, metrics=child.status.metrics):
            return self._change(child, "up")
        if child.status.state == "up" and time.time() - child.status.since > STEADY_S:
            child.pause_s = FIRST_PAUSE_S
        return False

    def _due(self, child: _Child) -> bool:
        up = {other.process.name for other in self._children if other.status.state == "up"}
        return set(child.process.needs) <= up and time.monotonic() >= child.again_at

    def _start(self, child: _Child) -> bool:
        log = log_of(child.process.name, self._settings)
        log.parent.mkdir(parents=True, exist_ok=True)
        if child.process.address is None:
            child.status.metrics = free_address()
        given = environment(child.process, self._settings.model_copy(update={"metrics": child.status.metrics}))
        at_our_end = signal.SIGKILL if child.process.needs else signal.SIGTERM
        with log.open("ab") as out:
            child.popen = tied.start(child.process.command, environment=given, out=out, at_our_end=at_our_end)
        child.status.pid = child.popen.pid
        with suppress(psutil.NoSuchProcess):
            child.status.started = psutil.Process(child.popen.pid).create_time()
        return self._change(child, "starting")

    def _died(self, child: _Child, code: int) -> bool:
        child.popen = None
        child.status.last_exit, child.status.restarts = code, child.status.restarts + 1
        child.again_at = time.monotonic() + child.pause_s
        end_group(child.status.pid)
        self._told(child.process.name, f"ended with {code}; starts again in {child.pause_s:.1f} s")
        child.pause_s = min(2 * child.pause_s, LONGEST_PAUSE_S)
        return self._change(child, "restarting")

    def _change(self, child: _Child, to: str) -> bool:
        child.status.state, child.status.since = to, time.time()
        self._told(child.process.name, to)
        return True

    def _write(self) -> None:
        state.write(self._settings, self._own, [child.status for child in self._children])

    def _end(self) -> None:
        """Ends the processes against the order of starting: who writes before what is written to."""
        stores = [child for child in self._children if not child.process.needs]
        others = [child for child in self._children if child.process.needs]
        for group in (others, stores):
            end_all([child.status for child in group], told=self._told)
        for child in self._children:
            child.status.state = "down"
            if child.popen:
                child.popen.wait(5)
        self._write()
