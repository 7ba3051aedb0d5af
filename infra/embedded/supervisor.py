"""`python -m infra.embedded.supervisor`: the stack as a whole, brought up and down.

If the supervisor is killed, its processes end too (infra/embedded/tied.py); where the system knows no such thing, `down` and the next
`up` find them in the state file.
"""

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import psutil

from infra.embedded.ending import Told, end_all
from infra.embedded.ports import check_free
from infra.embedded.processes import Process, environment, last_line, log_of, stack
from infra.embedded.state import state_file, status, supervisor_of
from infra.embedded.watching import TICK_S, Supervisor
from infra.settings import Settings, of_process
from streams.errors import Conflict, NotFound, Unavailable

START_S, DOWN_S = 240.0, 30.0


def _prepare(settings: Settings, processes: Sequence[Process], *, told: Told) -> None:
    """Raises: Conflict where the stack is up already; ends what a killed supervisor left behind."""
    if running := supervisor_of(settings):
        raise Conflict(f"the stack is already up (pid {running.pid}); `assay down` ends it", code="already-up")
    end_all([one for one in status(settings) if one.alive], told=lambda name, _: told(name, "left behind, ended"))
    check_free(settings, processes)


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
    run(of_process(), agents=agents, told=_to_log)


def _to_log(name: str, what: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {name}: {what}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
