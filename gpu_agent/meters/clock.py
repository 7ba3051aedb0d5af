"""How this host's monotonic clock stands to UTC."""

import socket
import time
import uuid
from functools import cache
from pathlib import Path

from schemas.measurements import Clock


@cache
def boot_id() -> str:
    """This boot's id: monotonic times of two boots do not compare."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else str(uuid.uuid4())


def clock() -> Clock:
    """Both clocks at one moment; uncertain by the time that reading them took."""
    before = time.perf_counter_ns()
    utc_ns = time.time_ns()
    after = time.perf_counter_ns()
    return Clock(
        host=socket.gethostname(), boot_id=boot_id(), mono_epoch_ns=(before + after) // 2, utc_us=utc_ns // 1000,
        uncertainty_us=max(1, (after - before) // 2000),
    )  # fmt: skip
