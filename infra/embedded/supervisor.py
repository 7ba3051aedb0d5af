"""`python -m infra.embedded.supervisor`: starts the stack's processes in order, starts again what dies, and ends all of it.

What it knows stands in `<home>/stack.json`: each process's pid with its start time, so that no foreign process that has got the same
pid is ever taken for one of ours; restarts; the last exit. If the supervisor itself is killed, `down` and the next `up` find its
children there.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from infra.embedded.processes import Process, endpoint, environment, free_address, log_of, stack
from infra.settings import Settings
from streams.errors import Conflict, NotFound, Unavailable

START_S, END_S, DOWN_S = 240.0, 12.0, 30.0
FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_S = 0.5, 10.0, 30.0
TICK_S = 0.2
Told = Callable[[str, str], None]


@dataclass(slots=True)
class Status:
    """A process as the state file has it. `state`: starting, up, restarting, down. `metrics`: where it serves its state."""

    name: str
    state: str = "down"
    pid: int = 0
    started: float = 0.0
    since: float = 0.0
    restarts: int = 0
    last_exit: int | None = None
    metrics: str = ""

    @property
    def alive(self) -> bool:
        """This very process runs."""
        return _same(self.pid, self.started) is not None


def _same(pid: int, started: float) -> psutil.Process | None:
    """The process of that pid, where it is the one that started then."""
    try:
        process = psutil.Process(pid) if pid > 0 else None
        if process and abs(process.create_time() - started) < 0.05 and process.status() != psutil.STATUS_ZOMBIE:
            return process
    except psutil.NoSuchProcess:
        return None
    return None


def state_file(settings: Settings) -> Path:
    """Where the stack's state is kept."""
    return settings.home / "stack.json"


def _read(settings: Settings) -> dict[str, Any]:
    try:
        return dict(json.loads(state_file(settings).read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def status(settings: Settings) -> list[Status]:
    """Every process of the stack; empty where none was started. One that has died since is down."""
    told = [Status(**row) for row in _read(settings).get("processes", [])]
    for one in told:
        if not one.alive:
            one.state = "down"
    return told


def supervisor_of(settings: Settings) -> psutil.Process | None:
    """The supervisor that runs, if one does."""
    told = _read(settings).get("supervisor", {})
    return _same(told.get("pid", 0), told.get("started", 0.0))


@dataclass(slots=True)
class _Child:
    process: Process
    status: Status
    popen: subprocess.Popen[bytes] | None = None
    pause_s: float = FIRST_PAUSE_S
    again_at: float = 0.0
    deadline: float = 0.0
    told: list[str] = field(default_factory=list)


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
        settings = self._settings.model_copy(update={"metrics": child.status.metrics})
        with log.open("ab") as out:
            child.popen = subprocess.Popen(
                child.process.command, env=environment(child.process, settings), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                cwd=Path.cwd(), start_new_session=True,
            )  # fmt: skip
        child.status.pid = child.popen.pid
        with suppress(psutil.NoSuchProcess):
            child.status.started = psutil.Process(child.popen.pid).create_time()
        return self._change(child, "starting")

    def _died(self, child: _Child, code: int) -> bool:
        child.popen = None
        child.status.last_exit, child.status.restarts = code, child.status.restarts + 1
        child.again_at = time.monotonic() + child.pause_s
        _end_group(child.status.pid)
        self._told(child.process.name, f"ended with {code}; starts again in {child.pause_s:.1f} s")
        child.pause_s = min(2 * child.pause_s, LONGEST_PAUSE_S)
        return self._change(child, "restarting")

    def _change(self, child: _Child, state: str) -> bool:
        child.status.state, child.status.since = state, time.time()
        self._told(child.process.name, state)
        return True

    def _write(self) -> None:
        told = {
            "supervisor": {"pid": self._own.pid, "started": self._own.create_time()},
            "processes": [asdict(child.status) for child in self._children],
        }
        path = state_file(self._settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(told, indent=1))
        new.replace(path)

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


def _family(one: Status) -> list[psutil.Process]:
    process = _same(one.pid, one.started)
    if process is None:
        return []
    with suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return []


def _end_group(pid: int) -> None:
    """Ends what a dead process left behind: each has a session of its own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def end_all(statuses: Iterable[Status], *, told: Told) -> None:
    """Ends processes with all that they started: gently, and after a while by force."""
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
    psutil.wait_procs(left, timeout=5)
    for one in statuses:
        _end_group(one.pid) if families[one.name] else None
        told(one.name, "down")


def _check_free(settings: Settings, processes: Sequence[Process]) -> None:
    """Raises: Conflict where a port that the stack needs is taken."""
    for process in processes:
        if process.address is None:
            continue
        _, port = endpoint(str(getattr(settings, process.address)))
        if holder := _holder(port):
            raise Conflict(
                f"port {port} of {process.name} is taken by {holder}; end that, or set ASSAY_{process.address.upper()} to another port",
                code="port-taken",
            )


def _holder(port: int) -> str | None:
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            try:
                return f"pid {connection.pid} ({psutil.Process(connection.pid).name()})" if connection.pid else "another process"
            except psutil.NoSuchProcess:
                return "another process"
    return None


def _prepare(settings: Settings, processes: Sequence[Process], *, told: Told) -> None:
    """Raises: Conflict where the stack is up already; ends what a killed supervisor left behind."""
    if running := supervisor_of(settings):
        raise Conflict(f"the stack is already up (pid {running.pid}); `assay down` ends it", code="already-up")
    end_all([one for one in status(settings) if one.alive], told=lambda name, _: told(name, "left behind, ended"))
    _check_free(settings, processes)


def run(settings: Settings, *, agents: int, told: Told, processes: Sequence[Process] | None = None) -> None:
    """Runs the stack in this process until SIGTERM or SIGINT. Raises: Conflict."""
    chosen = processes if processes is not None else stack(agents)
    _prepare(settings, chosen, told=told)
    supervisor = Supervisor(settings, chosen, told=told)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, supervisor.stop)
    supervisor.run()


def up(settings: Settings, *, agents: int, told: Told) -> None:
    """Starts the stack in the background, and returns when all of it is up. Raises: Conflict, Unavailable with what the log says."""
    _prepare(settings, stack(agents), told=told)
    log = log_of("supervisor", settings)
    log.parent.mkdir(parents=True, exist_ok=True)
    given = environment(Process("supervisor", ("infra.embedded.supervisor",)), settings)
    with log.open("ab") as out:
        subprocess.Popen(
            [sys.executable, "-m", "infra.embedded.supervisor", "--agents", str(agents)],
            env=given, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    wait_until_up(settings, agents=agents, told=told)


def wait_until_up(settings: Settings, *, agents: int, told: Told) -> None:
    """Returns when every process is up. Raises: Unavailable after four minutes, naming the first that is not."""
    give_up, seen, names = time.monotonic() + START_S, {}, [process.name for process in stack(agents)]  # type: ignore[var-annotated]
    while time.monotonic() < give_up:
        states = {one.name: one.state for one in status(settings)}
        for name, state in states.items():
            if seen.get(name) != state:
                told(name, state)
        seen = states
        if all(states.get(name) == "up" for name in names):
            return
        time.sleep(TICK_S)
    late = next((name for name in names if seen.get(name) != "up"), "supervisor")
    raise Unavailable(f"{late} is not up after {START_S:.0f} s; its log ends: {last_line(late, settings)}", code="not-up")


def last_line(name: str, settings: Settings) -> str:
    """The last line of a process's log."""
    path = log_of(name, settings)
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1][:300] if lines else f"nothing ({path})"


def down(settings: Settings, *, told: Told) -> None:
    """Ends the stack and all that it started. Raises: NotFound where nothing runs."""
    running, left = supervisor_of(settings), [one for one in status(settings) if one.alive]
    if running is None and not left:
        raise NotFound(f"nothing is up in {settings.home}", code="not-up")
    if running is not None:
        running.terminate()
        try:
            running.wait(DOWN_S)
        except psutil.TimeoutExpired:
            running.kill()
    end_all([one for one in status(settings) if one.alive], told=told)
    state_file(settings).unlink(missing_ok=True)


def main() -> None:
    """The supervisor's own process."""
    parser = argparse.ArgumentParser(description="Runs the embedded stack until SIGTERM.")
    parser.add_argument("--agents", type=int, default=1)
    agents: int = parser.parse_args().agents
    run(Settings(), agents=agents, told=_to_log)


def _to_log(name: str, what: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {name}: {what}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
