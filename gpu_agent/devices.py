"""The devices of this machine, as their driver describes them."""

import platform
import sys
from collections.abc import Sequence
from contextlib import suppress

from schemas.jobs import Device


def device_of(wanted: str, found: Sequence[Device]) -> str:
    """What engines run on here, of what is `wanted` (ASSAY_DEVICE): for `auto` the fastest that is here, as torch takes it too."""
    if wanted != "auto":
        return wanted
    if found:
        return "cuda"
    return "mps" if (sys.platform, platform.machine()) == ("darwin", "arm64") else "cpu"


def devices() -> tuple[tuple[Device, ...], str | None]:
    """The NVIDIA devices with memory in bytes and power limit in watts, and the driver's version; none, where NVML finds none.

    Source: NVML API reference, nvmlDeviceGetName, nvmlDeviceGetEnforcedPowerLimit (mW).
    """
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return (), None
    found = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        limit_w = None
        with suppress(pynvml.NVMLError):
            limit_w = pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3
        memory_bytes = pynvml.nvmlDeviceGetMemoryInfo(handle).total
        uuid, name = pynvml.nvmlDeviceGetUUID(handle), pynvml.nvmlDeviceGetName(handle)
        found.append(Device(uuid=uuid, name=name, memory_bytes=memory_bytes, power_limit_w=limit_w))
    return tuple(found), str(pynvml.nvmlSystemGetDriverVersion())
