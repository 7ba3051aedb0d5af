"""The machine, the engine's process and the control group that both live in: memory, processor time, and where nothing measures it, energy.

Source: Linux, Documentation/admin-guide/cgroup-v2.rst (memory.current, cpu.stat).
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from gpu_agent.meters.readings import Found, Read, Reading, whole_or_none, word


def host(*, rated_w: float | None) -> Read:
    """The machine's memory and utilisation; with the rated power of its processors also that power × utilisation."""

    def read() -> Iterator[Reading]:
        memory, busy = psutil.virtual_memory(), psutil.cpu_percent(interval=None) / 100
        yield {
            "scope": "host",
            "sensor": "psutil-host",
            "method": "psutil",
            "util_ratio": busy,
            "memory_bytes": memory.total - memory.available,
        }
        if rated_w is not None:
            yield {"scope": "device", "sensor": "rated", "method": "estimated", "device_uuid": "processors", "power_w": rated_w * busy,
                   "util_ratio": busy}  # fmt: skip

    return read


def process(pid: Callable[[], int | None]) -> Read:
    """The memory and the processor time of a process, while there is one."""

    def read() -> Iterator[Reading]:
        if (number := pid()) is None:
            return
        with suppress(psutil.Error):
            one = psutil.Process(number)
            with one.oneshot():
                took = one.cpu_times()
                yield {"scope": "process", "sensor": "psutil-process", "method": "psutil", "memory_bytes": one.memory_info().rss,
                       "processor_s": took.user + took.system}  # fmt: skip

    return read


def cgroup(sys: Path, *, own: Path = Path("/proc/self/cgroup")) -> Found:
    """The control group of this process, of version 2; None, and why, where it is in none that tells its memory."""
    path = next((line[3:] for line in word(own).splitlines() if line.startswith("0::")), None)
    # In a container the path is that of the host, and what is mounted is the group itself.
    folders = [sys / "fs/cgroup" / (path or "").lstrip("/"), sys / "fs/cgroup"]
    folder = next((one for one in folders if whole_or_none(one / "memory.current") is not None), None)
    if folder is None:
        return None, "no control group that tells its memory (cgroup v2)"

    def read() -> Iterator[Reading]:
        told = dict(line.split() for line in word(folder / "cpu.stat").splitlines())
        took_s = int(told["usage_usec"]) / 1e6 if "usage_usec" in told else None
        yield {"scope": "cgroup", "sensor": "cgroup", "method": "cgroup", "memory_bytes": whole_or_none(folder / "memory.current"),
               "processor_s": took_s}  # fmt: skip

    return read, ""
