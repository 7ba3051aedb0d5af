"""NVIDIA devices: energy, power, utilisation, memory, clocks, temperature, what holds the clocks down, and the memory of processes.

A device that counts its energy tells it; one that does not tells its power; of one that tells neither it is estimated, as its power limit
times its utilisation. A device that is divided (MIG) tells the energy of the whole card, and the memory of each of its parts.

Processes are told by the driver's numbers: in a container that has numbers of its own, whose memory it is cannot be said, and is not.

Source: NVML API reference: nvmlDeviceGetTotalEnergyConsumption (mJ since the driver was loaded), nvmlDeviceGetPowerUsage (mW),
nvmlDeviceGetUtilizationRates (percent of the last sample period), nvmlClocksEventReasons, nvmlDeviceGetMigDeviceHandleByIndex,
nvmlDeviceGetComputeRunningProcesses; Linux, include/linux/proc_ns.h, PROC_PID_INIT_INO.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil

from gpu_agent.meters.readings import Found, Read, Reading

# What makes a device slower than it could be; that it is idle, or is set so, does not.
HELD_BY: Final = {
    0x4: "power-cap", 0x8: "hardware-slowdown", 0x20: "thermal", 0x40: "hardware-thermal", 0x80: "power-brake", 0x200: "board-limit",
    0x400: "reliability",
}  # fmt: skip

# The memory of a process that is none of the engine's: what is measured beside it is not the engine's alone.
OTHERS: Final = "nvml-other"
NAMESPACE: Final = Path("/proc/self/ns/pid")
FIRST_NAMESPACE: Final = "pid:[4026531836]"


def nvml(pid: Callable[[], int | None], *, namespace: Path = NAMESPACE) -> Found:
    """The meter of all devices; None, and why, where there is none. `pid`: the engine's process; `namespace`: of this one's number."""
    import pynvml

    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError as error:
        return None, f"no NVIDIA device (NVML: {error})"
    return (
        (_meter(pynvml, handles, pid, alike=_numbered_alike(namespace)), "") if handles else (None, "no NVIDIA device (NVML: none is here)")
    )


def _meter(pynvml: Any, handles: list[Any], pid: Callable[[], int | None], *, alike: bool) -> Read:
    def told(name: str, *arguments: Any) -> Any:
        """What NVML says, or None: what one device tells another does not."""
        try:
            return getattr(pynvml, name)(*arguments)
        except pynvml.NVMLError:
            return None

    def read() -> Iterator[Reading]:
        for handle in handles:
            yield _device(told, handle)
            if alike:
                yield from _processes(told, handle, pid())
            yield from _parts(told, handle)

    return read


def _device(told: Callable[..., Any], handle: Any) -> Reading:
    memory, busy = told("nvmlDeviceGetMemoryInfo", handle), told("nvmlDeviceGetUtilizationRates", handle)
    celsius, mhz = told("nvmlDeviceGetTemperature", handle, 0), told("nvmlDeviceGetClockInfo", handle, 1)  # of the chip; of its processors
    milli_j, milli_w = told("nvmlDeviceGetTotalEnergyConsumption", handle), told("nvmlDeviceGetPowerUsage", handle)
    reasons = told("nvmlDeviceGetCurrentClocksEventReasons", handle) or told("nvmlDeviceGetCurrentClocksThrottleReasons", handle)
    sensor, method, power_w = _energy(told, handle, milli_j, milli_w, busy)
    return {
        "scope": "device", "device_uuid": told("nvmlDeviceGetUUID", handle), "sensor": sensor, "method": method,
        "memory_bytes": None if memory is None else memory.used, "util_ratio": None if busy is None else busy.gpu / 100,
        "temperature_c": None if celsius is None else float(celsius), "clock_hz": None if mhz is None else mhz * 1_000_000,
        "energy_uj": None if milli_j is None else milli_j * 1000, "power_w": power_w,
        "throttle": None if reasons is None else ",".join(name for bit, name in HELD_BY.items() if reasons & bit),
    }  # fmt: skip


def _energy(told: Callable[..., Any], handle: Any, milli_j: Any, milli_w: Any, busy: Any) -> tuple[str, str, float | None]:
    """The sensor's name, the method, and the power."""
    power_w = None if milli_w is None else milli_w / 1000
    if milli_j is not None:
        return "nvml-total-energy", "nvml", power_w
    limit = told("nvmlDeviceGetPowerManagementDefaultLimit", handle) if power_w is None and busy is not None else None
    return ("nvml-rated", "estimated", limit / 1000 * busy.gpu / 100) if limit is not None else ("nvml-device", "nvml", power_w)


def _processes(told: Callable[..., Any], handle: Any, pid: int | None) -> Iterator[Reading]:
    """The device's memory that the engine's processes hold, all together; and of each that is none of them: it is at work there too."""
    holding = [one for one in told("nvmlDeviceGetComputeRunningProcesses", handle) or () if one.usedGpuMemory is not None]
    about = {"scope": "process", "method": "nvml", "device_uuid": told("nvmlDeviceGetUUID", handle)}
    own = {one.pid for one in holding if pid is not None and _descends(one.pid, pid)}
    if own:
        yield about | {"sensor": "nvml-process", "memory_bytes": sum(one.usedGpuMemory for one in holding if one.pid in own)}
    for one in holding:
        if one.pid not in own:
            yield about | {"sensor": OTHERS, "memory_bytes": one.usedGpuMemory}


def _descends(pid: int, engine: int) -> bool:
    """Whether a process is the engine's, or one that it, or one of its own, has started."""
    with suppress(psutil.Error):
        return pid == engine or any(one.pid == engine for one in psutil.Process(pid).parents())
    return False


def _numbered_alike(namespace: Path) -> bool:
    """Whether processes have the driver's numbers here; in a container they have others, unless it shares the host's."""
    with suppress(OSError):
        return namespace.readlink().name == FIRST_NAMESPACE
    return True


def _parts(told: Callable[..., Any], handle: Any) -> Iterator[Reading]:
    """The parts of a device that is divided."""
    if (told("nvmlDeviceGetMigMode", handle) or (0,))[0] != 1:
        return
    for index in range(told("nvmlDeviceGetMaxMigDeviceCount", handle) or 0):
        part = told("nvmlDeviceGetMigDeviceHandleByIndex", handle, index)
        memory = None if part is None else told("nvmlDeviceGetMemoryInfo", part)
        if memory is not None:
            yield {"scope": "device", "sensor": "nvml-mig", "method": "nvml", "device_uuid": told("nvmlDeviceGetUUID", part),
                   "memory_bytes": memory.used}  # fmt: skip
