"""Environments of engines: where an engine's packages are, and how they get there.

An engine runs in the agent's own environment where its packages are there; else in one of its own, that an image brings, or below the home,
made from its hashed requirement file (environments.py); some have one for machines with an NVIDIA GPU and one for others.
"""

import ctypes
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from infra import environments
from streams.engines import KINDS, install_command, kind_of
from streams.errors import Invalid

# Where an image brings environments of engines, beside those that are made below a home.
BROUGHT: Final = Path("/opt/engines")
REQUIREMENTS: Final = Path(__file__).parent / "requirements"
State = Literal["here", "own", "outdated", "missing"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an engine is: `here` in this environment, in its `own`, in one that is `outdated`, for its requirements have changed, or
    `missing`. `python` runs it, None where nothing can; `sha` names what its own environment was made from."""

    engine: str
    state: State
    python: Path | None = None
    sha: str | None = None


def place_of(engine: str, home: Path) -> Place:
    """Where the engine is on this machine. Raises: Invalid where there is none of that name."""
    kind = kind_of(engine)
    # Of an engine with a build for CPUs the agent's own environment has the other (infra/requirements/gpu_agent.txt).
    usable = kind.requirements_cpu is None or has_nvidia_gpu()
    if usable and all(find_spec(one) is not None for one in kind.packages):
        return Place(engine, "here", Path(sys.executable))
    wanted = requirements_of(engine)
    brought = wanted is not None and environments.made_from(BROUGHT / engine) == wanted_sha(wanted)
    folder = BROUGHT / engine if brought else folder_of(engine, home)
    if wanted is None or (sha := environments.made_from(folder)) is None:
        return Place(engine, "missing")
    return Place(engine, "own" if sha == wanted_sha(wanted) else "outdated", environments.python_of(folder), sha)


def runnable(engine: str, home: Path) -> Path:
    """The python that runs the engine. Raises: Invalid, with the command that installs it."""
    place = place_of(engine, home)
    if place.python is None or place.state == "outdated":
        raise Invalid(f"engine {engine} is {_lacking(place)} on this machine; {what_to_do(engine)}", code="engine-missing")
    return place.python


def offered(home: Path) -> list[str]:
    """The engines that can run on this machine."""
    return sorted(engine for engine in KINDS if place_of(engine, home).state in ("here", "own"))


def installed(home: Path) -> dict[str, str]:
    """The engines that run in environments of their own, with the hashes of what these are made from."""
    return {one.engine: one.sha for one in (place_of(engine, home) for engine in KINDS) if one.state == "own" and one.sha}


def what_to_do(engine: str) -> str:
    """What brings an engine here."""
    command = install_command(engine)
    return f"`{command}` installs it" if command else "`make setup` installs it"


def _lacking(place: Place) -> str:
    return "not of the version that is wanted" if place.state == "outdated" else "not installed"


def folder_of(engine: str, home: Path) -> Path:
    """The folder of the engine's own environment, as it is made on this machine."""
    return home.resolve() / "engines" / engine


def requirements_of(engine: str) -> str | None:
    """The requirement file of the engine's own environment on this machine; None where it has none."""
    kind = kind_of(engine)
    return kind.requirements_cpu if kind.requirements_cpu and not has_nvidia_gpu() else kind.requirements


@cache
def has_nvidia_gpu() -> bool:
    """Whether an NVIDIA GPU can be used from here, as its driver says. Source: NVML API reference, nvmlInit, nvmlDeviceGetCount."""
    count = ctypes.c_uint()
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    return nvml.nvmlInit_v2() == 0 and nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) == 0 and count.value > 0


def wanted_sha(requirements: str) -> str:
    """The hash of a requirement file."""
    return environments.sha_of(REQUIREMENTS / requirements)


def install(engine: str, home: Path, *, quiet: bool = False) -> Place:
    """Makes the engine's own environment, or goes on where an earlier try was ended: what was fetched is kept. uv shows its progress.

    Raises: Invalid for an engine that needs none, Unavailable where packages cannot be fetched.
    """
    requirements = requirements_of(engine)
    if requirements is None:
        raise Invalid(f"engine {engine} comes with the agent's own environment; {what_to_do(engine)}", code="engine-own")
    if (there := place_of(engine, home)).state in ("here", "own"):
        return there
    environments.make(folder_of(engine, home), REQUIREMENTS / requirements, quiet=quiet)
    return place_of(engine, home)
