"""Who writes, and what time it is: the two things that the pure packages must be told."""

import functools
import os
import time
from importlib.metadata import PackageNotFoundError, version

from schemas.event import Producer


@functools.cache
def producer(service: str) -> Producer:
    """The producer stamp of this process's events."""
    try:
        release = version("assay")
    except PackageNotFoundError:
        release = "0+unknown"
    return Producer(service=service, version=release, commit=os.environ.get("ASSAY_COMMIT", ""))


def now_us() -> int:
    """Microseconds since the epoch, UTC."""
    return time.time_ns() // 1000
