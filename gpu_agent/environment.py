"""Where an agent runs: the facts that a measurement may depend on, all that can be read, named by their hash."""

import fcntl
import hashlib
import json
import os
import platform
import re
import socket
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import IO, Final

import psutil

from gpu_agent.devices import devices
from gpu_agent.firmware import cpu_field, firmware
from infra.identity import now_us, producer
from schemas.jobs import EnvironmentSeen

# What installers write beside a package's own files: scripts, notes, compiled modules, the way to a folder that is worked on.
IMAGE: Final = re.compile(r'^imageid="(?:sha256:)?([0-9a-f]{64})"$', re.MULTILINE).search
ADDED = re.compile(r"\.\.|[^/]*\.dist-info/|[^/]*\.pth$|.*__pycache__").match


def environment(organisation: str, *, region: str, engines: Mapping[str, str], image: str = "") -> EnvironmentSeen:
    """This machine as an event. `engines` that have environments of their own, by what these are made from, stand among the packages.

    `image`: the digest of the container's, where who started it says so.
    """
    found, driver = devices()
    named = packages(distributions())
    facts = {
        "packages": {name: one.version for name, one in named.items()}
        | {f"engine {name}": f"sha256:{sha}" for name, sha in engines.items()},
        "package_sums": {name: told for name, one in named.items() if (told := sum_of(one))},
        "driver": driver,
        "cpu": cpu_field("model name") or platform.processor() or platform.machine(),
        "cpu_flags": tuple(sorted((cpu_field("flags") or cpu_field("Features")).split())),
        "cores": os.cpu_count() or 1,
        "memory_bytes": psutil.virtual_memory().total,
        "devices": tuple(device.model_dump() for device in found),
        "container_digest": image or container_image(),
        "os": platform.platform(),
        "region": region,
        "firmware": firmware(),
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


def packages(installed: Iterable[Distribution]) -> dict[str, Distribution]:
    """Every package by its name; of two copies on the path the first, which is imported. Source: PyPA, Name normalization."""
    found = dict[str, Distribution]()
    for one in installed:
        if name := one.metadata["Name"]:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), one)
    return found


def container_image(root: Path = Path("/")) -> str | None:
    """The digest of the image that this container was made from, where it can be read in it: Podman writes it there; None elsewhere.

    Source: podman-run(1), /run/.containerenv.
    """
    path = root / "run/.containerenv"
    told = IMAGE(path.read_text(errors="replace")) if path.is_file() else None
    return f"sha256:{told[1]}" if told else None


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
