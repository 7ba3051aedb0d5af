"""The processes of the embedded stack: what each runs, what it needs, and how to tell that it is up."""

import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from infra.settings import Settings
from infra.trust import allows_tasks

Ready = Callable[[Settings], bool]


@dataclass(frozen=True, slots=True)
class Process:
    """A process: its name, its module with arguments, what must be up before, its settings' field that holds its address.

    One without an address of its own serves its state where the supervisor tells it to (ASSAY_METRICS).
    """

    name: str
    module: tuple[str, ...]
    needs: tuple[str, ...] = ()
    address: str | None = None
    path: str | None = None
    threads: int = 1

    @property
    def command(self) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", *self.module]

    def ready(self, settings: Settings, *, metrics: str) -> bool:
        """It answers at its address; one without is ready when it says so at the address of its metrics."""
        address = str(getattr(settings, self.address)) if self.address else metrics
        host, port = endpoint(address)
        path = self.path if self.address else "/readyz"
        if path is None or address.startswith("https:"):  # its certificate names another host than this
            return _accepts(host, port)
        try:
            return httpx.get(f"http://{host}:{port}{path}", timeout=2).is_success
        except httpx.HTTPError:
            return False


def endpoint(address: str) -> tuple[str, int]:
    """Host and port of an address, with or without a scheme."""
    parts = urlsplit(address if "//" in address else f"//{address.partition(',')[0]}")
    return parts.hostname or "127.0.0.1", parts.port or 80


def free_address() -> str:
    """An address on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _accepts(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


STORES = ("broker", "registry", "clickhouse")
PROCESSORS = ("plan", "dispatch", "score", "code", "settle", "rank", "cost", "seal")
# Secrets that are told to some processes alone: the supervisor passes them on. An API key is nobody's here but the command line's; a master
# key is of those who read texts, or write what people or models wrote.
TEXTS = ("query_api", "agents.plan", "agents.score", "agents.code", "agents.settle", "agents.seal", "gpu_agent", "supervisor")
LOGGING = (
    "registry",
    *(f"agents.{name}" for name in (*PROCESSORS, "project")),
    "gpu_agent",
    "query_api",
    "supervisor",
)  # who asks the registry
SECRETS = {
    "seal_key": ("agents.seal", "supervisor"), "session_secret": ("query_api", "supervisor"), "api_key": (),
    "oidc_client_secret": ("query_api", "supervisor"), "clickhouse_password": ("agents.project", "query_api", "supervisor"),
    "reader_key": ("query_api", "supervisor"), "master_key": TEXTS, "registry_password": LOGGING,
}  # fmt: skip


def stack(agents: int = 1) -> tuple[Process, ...]:
    """Every process, in the order of starting."""
    own = ("broker", "registry")
    return (
        Process("broker", ("infra.embedded.broker",), address="kafka"),
        Process("registry", ("infra.embedded.registry",), address="registry", path="/"),
        Process("clickhouse", ("infra.embedded.clickhouse",), address="clickhouse", path="/ping", threads=2),
        Process("query_api", ("query_api",), needs=STORES, address="api", path="/readyz"),
        *(Process(f"agents.{name}", ("agents", name), needs=own) for name in PROCESSORS),
        Process("agents.project", ("agents", "project"), needs=STORES),
        *(Process(_agent(number), ("gpu_agent",), needs=own, threads=2) for number in range(1, agents + 1)),
    )


def _agent(number: int) -> str:
    return "gpu_agent" if number == 1 else f"gpu_agent-{number}"


def environment(process: Process, settings: Settings) -> Mapping[str, str]:
    """The environment that a process gets: all settings by name, its folder absolute, few threads."""
    given = settings.model_dump(exclude_none=True) | {"home": settings.home.resolve(), "allow_task_code": allows_tasks(settings)}
    if settings.seal_keys is not None:
        given["seal_keys"] = settings.seal_keys.resolve()
    for name in ("text_keys", "master_key_file"):
        if (path := getattr(settings, name)) is not None:
            given[name] = path.resolve()
    if settings.datasets is not None:
        given["datasets"] = settings.datasets.resolve()
    threads = str(min(process.threads, os.cpu_count() or 1))
    fixed = {"PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": threads, "HF_DATASETS_CACHE": _cache(settings)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    for name, told in SECRETS.items():
        if process.name.partition("-")[0] not in told:
            given.pop(name)
    return kept | fixed | {f"ASSAY_{name.upper()}": str(value) for name, value in given.items()}


def _cache(settings: Settings) -> str:
    return str((settings.home / "harness" / "datasets").resolve())


def log_of(process: str, settings: Settings) -> Path:
    """The file that a process's output goes to."""
    return settings.home / "logs" / f"{process}.log"


def last_line(name: str, settings: Settings) -> str:
    """The last line of a process's log."""
    path = log_of(name, settings)
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1][:300] if lines else f"nothing ({path})"
