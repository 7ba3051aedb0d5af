"""Who writes, and what time it is: the two things that the pure packages must be told."""

import functools
import os
import time
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from schemas.event import Producer

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


@functools.cache
def release() -> str:
    """The version of this code: that of the installed distribution, or of the folder that it runs from, as in the images."""
    try:
        return version("assay")
    except PackageNotFoundError:
        return str(tomllib.loads(PROJECT.read_text())["project"]["version"])


@functools.cache
def producer(service: str) -> Producer:
    """The producer stamp of this process's events."""
    return Producer(service=service, version=release(), commit=os.environ.get("ASSAY_COMMIT", ""))


def now_us() -> int:
    """Microseconds since the epoch, UTC."""
    return time.time_ns() // 1000
