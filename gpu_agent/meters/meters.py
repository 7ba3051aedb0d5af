"""The meters that this machine has. Each reads its sensor once; who reads them how often is the worker's."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from gpu_agent.meters.rapl import POWERCAP, Read, Reading, rapl


def find_meters(pid: Callable[[], int | None], *, powercap: Path = POWERCAP) -> tuple[list[Read], list[str]]:
    """The meters, and why others are not there. `pid`: the engine's process, once there is one."""
    meters: list[Read] = [_host, lambda: _process(pid())]
    missing = []
    for find in (_nvml, partial(rapl, powercap)):
        meter, why = find()
        if meter:
            meters.append(meter)
        else:
            missing.append(why)
    return meters, missing


def read_all(meters: list[Read]) -> list[Reading]:
    """A reading of every sensor, each with what taking it took, and with its time where the meter has not told a nearer one."""
    readings = []
    for meter in meters:
        started = time.perf_counter_ns()
        for reading in meter():
            readings.append({"mono_ns": started} | reading | {"own_cost_ns": time.perf_counter_ns() - started})
    return readings


def _host() -> Iterator[Reading]:
    memory = psutil.virtual_memory()
    busy = psutil.cpu_percent(interval=None) / 100
    yield {
        "scope": "host",
        "sensor": "psutil-host",
        "method": "psutil",
        "util_ratio": busy,
        "memory_bytes": memory.total - memory.available,
    }


def _process(pid: int | None) -> Iterator[Reading]:
    if pid is None:
        return
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        with process.oneshot():
            yield {"scope": "process", "sensor": "psutil-process", "method": "psutil", "memory_bytes": process.memory_info().rss}


def _nvml() -> tuple[Read | None, str]:
    """NVIDIA devices. Source: NVML API reference, nvmlDeviceGetTotalEnergyConsumption (mJ since the driver was loaded)."""
    import pynvml

    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError as error:
        return None, f"no NVIDIA device (NVML: {error})"

    def read() -> Iterator[Reading]:
        for handle in handles:
            yield from _device(pynvml, handle)

    return read, ""


def _device(pynvml: Any, handle: Any) -> Iterator[Reading]:
    reading: Reading = {"scope": "device", "method": "nvml", "device_uuid": pynvml.nvmlDeviceGetUUID(handle)}
    with suppress(pynvml.NVMLError):
        reading["memory_bytes"] = pynvml.nvmlDeviceGetMemoryInfo(handle).used
        reading["util_ratio"] = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
        reading["temperature_c"] = float(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))
        reading["clock_hz"] = pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM) * 1_000_000
        reading["power_w"] = pynvml.nvmlDeviceGetPowerUsage(handle) / 1e3
    try:
        yield reading | {"sensor": "nvml-total-energy", "energy_uj": pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) * 1000}
    except pynvml.NVMLError:
        yield reading | {"sensor": "nvml-device"}
