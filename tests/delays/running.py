"""A server of known delays as a child process, for a test or a benchmark."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tests.delays.record import Sent, sent


@dataclass(frozen=True, slots=True)
class Server:
    """Where it listens."""

    url: str

    def record(self) -> list[Sent]:
        """What it has done since it was last forgotten."""
        return [sent(json.loads(line)) for line in self._ask("GET").splitlines()]

    def forget(self) -> None:
        """Begins anew: no prompt was seen, no request counted."""
        self._ask("DELETE")

    def _ask(self, method: str) -> str:
        answer = httpx.request(method, f"{self.url}/record", verify=False, timeout=30)
        return answer.raise_for_status().text


@contextmanager
def known_delays(*, seed: int = 1, certificate: str | None = None) -> Iterator[Server]:
    """The server with all its behaviours, while it lasts."""
    command = [sys.executable, "-m", "tests.delays", "--seed", str(seed), *(["--certificate", certificate] if certificate else [])]
    with served(command) as server:
        yield server


@contextmanager
def served(command: Sequence[str]) -> Iterator[Server]:
    """What a command serves at the address in its first line, while it lasts."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Server(process.stdout.readline().strip())
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()
