"""What is known of the stack's processes, in `<home>/stack.json`: each one's pid with its start time, restarts, the last exit.

The start time is there so that no foreign process that has got the same pid is ever taken for one of ours.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from infra.settings import Settings


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
    def process(self) -> psutil.Process | None:
        """This very process, where it runs."""
        return same(self.pid, self.started)

    @property
    def alive(self) -> bool:
        """This very process runs."""
        return self.process is not None


def same(pid: int, started: float) -> psutil.Process | None:
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


def write(settings: Settings, own: psutil.Process, statuses: Sequence[Status]) -> None:
    """Keeps the supervisor and its processes; whoever reads meanwhile has the old state or the new one, whole."""
    told = {"supervisor": {"pid": own.pid, "started": own.create_time()}, "processes": [asdict(one) for one in statuses]}
    path = state_file(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(told, indent=1))
    new.replace(path)


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
    return same(told.get("pid", 0), told.get("started", 0.0))
