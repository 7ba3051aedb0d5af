"""A stack whose stores tests stop and start: each store and each process by its name, ended by its pid."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import httpx

from agents.__main__ import AGENTS
from infra.settings import Settings
from tests.conftest import end, free_ports, settings_in, spawn
from tests.flow import PATIENCE_S

STORES: dict[str, tuple[str, ...]] = {name: (f"infra.embedded.{name}",) for name in ("broker", "registry", "clickhouse")}
PROCESSES: dict[str, tuple[str, ...]] = {f"agents.{name}": ("agents", name) for name in AGENTS}
PROCESSES |= {"gpu_agent": ("gpu_agent",), "query_api": ("query_api",)}


class Stack:
    """Stores and processes, started and killed one by one. `keep` starts again the processes that ended, as a supervisor does.

    `commands`: what is run in place of some processes.
    """

    def __init__(self, settings: Settings, *, commands: Mapping[str, tuple[str, ...]] = MappingProxyType({})) -> None:
        self.settings = settings
        self._commands = {**STORES, **PROCESSES, **commands}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.ended: list[tuple[str, int]] = []
        self.metrics: dict[str, str] = {}

    def start(self, *names: str) -> None:
        """Starts what is named."""
        for name in names:
            self.metrics[name] = f"127.0.0.1:{free_ports(1)[0]}" if name in PROCESSES else ""
            self._running[name] = spawn(*self._commands[name], settings=self.settings.model_copy(update={"metrics": self.metrics[name]}))

    def code(self, name: str) -> int:
        """The exit code of a child that ends by itself."""
        return self._running[name].wait(PATIENCE_S)

    def kill(self, name: str) -> None:
        """SIGKILL, as the kernel or a person would."""
        os.kill(self._running[name].pid, signal.SIGKILL)
        self._running[name].wait()

    def keep(self) -> None:
        """Notes the processes that ended by themselves, and starts them again."""
        for name in PROCESSES.keys() & self._running.keys():
            code = self._running[name].poll()
            if code is not None:
                self.ended.append((name, code))
                self.start(name)

    def end(self) -> None:
        """Ends processes, then stores."""
        for name in sorted(self._running, key=lambda name: name in STORES):
            end(self._running[name])

    def log_of(self, name: str) -> str:
        """What a child has written."""
        path = self.settings.home / "logs" / f"{'-'.join(self._commands[name])}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def until(self, holds: Callable[[], bool], *, what: str, patience_s: float = PATIENCE_S) -> None:
        """Waits for a condition, and keeps the processes meanwhile."""
        give_up = time.monotonic() + patience_s
        while not holds():
            self.keep()
            assert time.monotonic() < give_up, f"not within {patience_s:.0f} s: {what}; ended by themselves: {self.ended}"
            time.sleep(0.1)

    def get(self, path: str) -> httpx.Response | None:
        """The API's answer; None where it does not answer."""
        try:
            return httpx.get(f"{self.settings.api}{path}", timeout=60)
        except httpx.HTTPError:
            return None

    def ready(self) -> bool:
        """The API reaches the stores."""
        answer = self.get("/readyz")
        return answer is not None and answer.is_success


@contextmanager
def faulty(home: Path, *, commands: Mapping[str, tuple[str, ...]] = MappingProxyType({}), **settings: object) -> Iterator[Stack]:
    """A stack in a folder, on ports of its own, of which nothing runs yet; all that does is ended."""
    given: dict[str, object] = {"agent_id": "agent-1", "lease_s": 3.0}
    stack = Stack(settings_in(home, **(given | settings)), commands=commands)
    try:
        yield stack
    finally:
        stack.end()
