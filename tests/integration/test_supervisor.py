"""The supervisor: starts again what dies, says so, ends everything, and is not fooled."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.embedded import supervisor
from infra.embedded.ending import end_all
from infra.embedded.processes import Process, last_line
from infra.embedded.state import Status, state_file, status, write
from infra.embedded.watching import Supervisor
from infra.settings import Settings
from streams.errors import Conflict, NotFound
from tests.conftest import environment, free_ports, tied
from tests.flow import PATIENCE_S, until

pytestmark = [pytest.mark.integration, pytest.mark.slow]
RUN = (
    "from infra.embedded import supervisor; from infra.embedded.processes import stack; from infra.settings import Settings; "
    "supervisor.run(Settings(), agents=1, told=lambda n, w: print(n, w, flush=True), processes=stack()[1:3])"
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home and ports of its own."""
    kafka, registry, clickhouse, api = free_ports(4)
    return Settings(
        home=tmp_path, kafka=f"127.0.0.1:{kafka}", registry=f"http://127.0.0.1:{registry}", clickhouse=f"http://127.0.0.1:{clickhouse}",
        api=f"http://127.0.0.1:{api}",
    )  # fmt: skip


@pytest.fixture
def running(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """A supervisor of the registry and the ClickHouse engine, in a process of its own."""
    popen = subprocess.Popen(tied("-c", RUN, at_our_end=signal.SIGTERM), env=environment(settings))
    try:
        until_up(settings, popen, "registry", "clickhouse")
        yield popen
    finally:
        if popen.poll() is None:
            popen.terminate()
            popen.wait(PATIENCE_S)


def states(settings: Settings) -> dict[str, str]:
    """Each process's state."""
    return {one.name: one.state for one in status(settings)}


def until_up(settings: Settings, running: subprocess.Popen[bytes], *names: str) -> None:
    """Waits until the supervisor has all of its processes up; where that does not come, their logs say why."""
    give_up = time.monotonic() + PATIENCE_S
    while states(settings) != dict.fromkeys(names, "up"):
        if running.poll() is not None or time.monotonic() > give_up:
            logs = {name: last_line(name, settings) for name in names}
            raise AssertionError(f"the supervisor's exit {running.returncode}, {states(settings)}: {logs}")
        time.sleep(0.1)


def of(settings: Settings, name: str) -> Status:
    """A process's status."""
    return next(one for one in status(settings) if one.name == name)


def alive(pids: list[int]) -> list[int]:
    """Those that still run."""
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def test_what_dies_is_started_again_and_the_stack_says_so(settings: Settings, running: subprocess.Popen[bytes]) -> None:
    """With another pid, the count of restarts and the exit's code."""
    before = of(settings, "registry")
    os.kill(before.pid, signal.SIGKILL)
    until(lambda: of(settings, "registry").restarts == 1 and of(settings, "registry").state == "up")
    after = of(settings, "registry")
    assert after.pid != before.pid
    assert after.last_exit == -signal.SIGKILL
    assert of(settings, "clickhouse").restarts == 0


def test_a_second_stack_in_the_same_home_is_refused(settings: Settings, running: subprocess.Popen[bytes]) -> None:
    """With the pid of the first."""
    with pytest.raises(Conflict, match=f"already up .pid {running.pid}."):
        supervisor.up(settings, agents=1, told=lambda *_: None)


def test_a_port_that_is_taken_is_named(settings: Settings, running: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """With its holder and the setting to change."""
    other = settings.model_copy(update={"home": tmp_path / "other"})
    with pytest.raises(Conflict, match=r"port \d+ of registry is taken by pid \d+ .*ASSAY_REGISTRY"):
        supervisor.up(other, agents=1, told=lambda *_: None)


def test_down_leaves_nothing_behind(settings: Settings, running: subprocess.Popen[bytes]) -> None:
    """Neither the supervisor nor a child."""
    pids = [running.pid, *(one.pid for one in status(settings))]
    supervisor.down(settings, told=lambda *_: None)
    running.wait(PATIENCE_S)
    assert alive(pids) == []
    with pytest.raises(NotFound, match="nothing is up"):
        supervisor.down(settings, told=lambda *_: None)


def test_a_killed_supervisor_leaves_nothing_that_goes_on_half_alone(settings: Settings) -> None:
    """Neither Java nor Python, neither a store nor an agent, nor the engine's process below it."""
    names = ("broker", "registry", "clickhouse", "gpu_agent")
    chosen = f"processes=[one for one in stack() if one.name in {names}]"
    given = environment(settings.model_copy(update={"engine": "echo"}))
    popen = subprocess.Popen(tied("-c", RUN.replace("processes=stack()[1:3]", chosen), at_our_end=signal.SIGTERM), env=given)
    try:
        until_up(settings, popen, *names)
        family = psutil.Process(popen.pid).children(recursive=True)
        assert len(family) > len(names)
    finally:
        popen.kill()
        popen.wait(PATIENCE_S)
    until(lambda: alive([one.pid for one in family]) == [])
    with pytest.raises(NotFound, match="nothing is up"):
        supervisor.down(settings, told=lambda *_: None)


def test_down_ends_what_a_supervisor_left(settings: Settings) -> None:
    """As it does where no kernel ends it: its children are known from the state file."""
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    known = Status("registry", state="up", pid=left.pid, started=psutil.Process(left.pid).create_time())
    gone = psutil.Process()
    write(settings, gone, [known])
    state_file(settings).write_text(state_file(settings).read_text().replace(f'"pid": {gone.pid}', '"pid": 0'))
    supervisor.down(settings, told=lambda *_: None)
    left.wait(PATIENCE_S)
    assert alive([left.pid]) == []


def test_a_foreign_process_with_a_known_pid_is_left_alone(settings: Settings) -> None:
    """A pid alone is no proof: its start time must fit."""
    foreign = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        told = Status("registry", state="up", pid=foreign.pid, started=psutil.Process(foreign.pid).create_time() - 100)
        assert not told.alive
        end_all([told], told=lambda *_: None)
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()


def test_a_process_that_never_starts_is_tried_with_growing_pauses(settings: Settings) -> None:
    """Its restarts are counted, its pauses grow."""
    told: list[str] = []
    own = Supervisor(settings, [Process("broken", ("no_such_module",))], told=lambda _, what: told.append(what))
    give_up = time.monotonic() + PATIENCE_S
    while sum("starts again" in what for what in told) < 3 and time.monotonic() < give_up:
        for child in own._children:
            own._step(child)
        time.sleep(0.05)
    assert [what.rpartition(" in ")[2] for what in told if "starts again" in what] == ["0.5 s", "1.0 s", "2.0 s"]
