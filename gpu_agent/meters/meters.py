"""The meters that this machine has. Each reads its sensors once; who reads them how often is metering.py's."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from sys import platform

from gpu_agent.meters.host import cgroup, host, process
from gpu_agent.meters.hwmon import hwmon
from gpu_agent.meters.nvml import nvml
from gpu_agent.meters.powermetrics import powermetrics
from gpu_agent.meters.rapl import rapl
from gpu_agent.meters.readings import Read, Reading

SYS = Path("/sys")


def find_meters(pid: Callable[[], int | None], *, rated_w: float | None = None, sys: Path = SYS) -> tuple[list[Read], list[str]]:
    """The meters, and why others are not there. `pid`: the engine's process, once there is one; `rated_w`: of the processors, W."""
    chips = powermetrics(root=os.geteuid() == 0) if platform == "darwin" else rapl(sys)
    found = [nvml(pid), chips, hwmon(sys), cgroup(sys)]
    # Where processors have a meter, nothing is estimated beside it.
    meters = [host(rated_w=None if chips[0] else rated_w), process(pid)]
    return meters + [meter for meter, _ in found if meter], [why for meter, why in found if not meter]


def read_all(meters: list[Read]) -> list[Reading]:
    """A reading of every sensor, each with what taking it took, and with its time where the meter has not told a nearer one."""
    readings = []
    for meter in meters:
        started = time.perf_counter_ns()
        for reading in meter():
            ended = time.perf_counter_ns()
            readings.append({"mono_ns": started, "device_uuid": None} | reading | {"own_cost_ns": ended - started})
            started = ended
    return readings
