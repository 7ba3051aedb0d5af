"""Cards of AMD and Intel, and machines that meter all that they draw, as Linux tells them: energy in µJ, power in µW.

Of an AMD chip that is processor and graphics in one (it has no power limit of its own) the package's counter tells the energy, and this
would tell it twice: it is left out.

Source: Linux, Documentation/hwmon/sysfs-interface.rst, acpi_power_meter.rst; Documentation/gpu/amdgpu/thermal.rst;
Documentation/ABI/testing/sysfs-driver-intel-i915-hwmon and -intel-xe-hwmon.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gpu_agent.meters.readings import Found, Reading, whole_or_none, word

HWMON: Final = Path("class/hwmon")
CARDS: Final = ("amdgpu", "i915", "xe")
MACHINE: Final = "power_meter"
POWER: Final = ("power1_average", "power1_input")
KIND: Final = {True: "hwmon-host", False: "hwmon-power"}


def hwmon(sys: Path) -> Found:
    """The meter of all such sensors below that /sys; None, and why, where there is none."""
    folders = [folder for folder in sorted((sys / HWMON).glob("hwmon*")) if _tells(folder)]
    return ((lambda: _readings(folders)), "") if folders else (None, "no card of AMD or Intel, and no meter of the whole machine (hwmon)")


def _tells(folder: Path) -> bool:
    name = word(folder / "name")
    if name == "amdgpu" and not (folder / "power1_cap").exists():
        return False
    return name in (*CARDS, MACHINE) and (_power_uw(folder) is not None or whole_or_none(folder / "energy1_input") is not None)


def _power_uw(folder: Path) -> int | None:
    return next((told for name in POWER if (told := whole_or_none(folder / name)) is not None), None)


def _readings(folders: list[Path]) -> Iterator[Reading]:
    """A reading of each; what cannot be read now is left out."""
    for folder in folders:
        before_ns = time.perf_counter_ns()
        energy_uj, power_uw = whole_or_none(folder / "energy1_input"), _power_uw(folder)
        at_ns = (before_ns + time.perf_counter_ns()) // 2
        if energy_uj is None and power_uw is None:
            continue
        host, device = word(folder / "name") == MACHINE, folder / "device"
        busy, milli_c = whole_or_none(device / "gpu_busy_percent"), whole_or_none(folder / "temp1_input")
        yield {
            "scope": "host" if host else "device", "sensor": "hwmon-energy" if energy_uj is not None and not host else KIND[host],
            "method": "counter" if energy_uj is not None and not host else "integrated", "device_uuid": device.resolve().name,
            "energy_uj": None if host else energy_uj, "power_w": None if power_uw is None else power_uw / 1e6,
            "util_ratio": None if busy is None else busy / 100, "memory_bytes": whole_or_none(device / "mem_info_vram_used"),
            "temperature_c": None if milli_c is None else milli_c / 1000, "mono_ns": at_ns,
        }  # fmt: skip
