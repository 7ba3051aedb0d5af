"""The processor packages' energy counters, as Linux tells them.

A counter begins again at 0 above `max_energy_range_uj`; each reading says where, so that what it counted can be reckoned
(streams/speed/counters.py).
The domain psys has the packages' energy in it, and more, and is none of them; domains within a package are in the package's.

Source: Linux, Documentation/power/powercap/powercap.rst.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

Reading = dict[str, Any]
Read = Callable[[], Iterator[Reading]]
POWERCAP = Path("/sys/class/powercap")


def rapl(folder: Path) -> tuple[Read | None, str]:
    """The meter of the packages in that folder; None, and why, where there is none or it may not be read."""
    zones = [zone for zone in sorted(folder.glob("intel-rapl:*")) if zone.name.count(":") == 1 and _name(zone).startswith("package")]
    if not zones:
        return None, "no energy counter of the processor (powercap)"
    try:
        for zone in zones:
            _whole(zone / "energy_uj")
    except OSError as error:
        return None, f"the processor's energy counter cannot be read ({error.strerror})"
    return lambda: _readings(zones), ""


def _readings(zones: list[Path]) -> Iterator[Reading]:
    """A reading of each package; one that cannot be read now is left out, and makes a gap."""
    for zone in zones:
        with suppress(OSError, ValueError):
            before_ns = time.perf_counter_ns()
            energy_uj = _whole(zone / "energy_uj")
            yield {
                "scope": "device", "sensor": "rapl-package", "method": "counter", "device_uuid": zone.name, "energy_uj": energy_uj,
                "energy_range_uj": _range(zone), "mono_ns": (before_ns + time.perf_counter_ns()) // 2,
            }  # fmt: skip


def _name(zone: Path) -> str:
    path = zone / "name"
    return path.read_text().strip() if path.is_file() else ""


def _range(zone: Path) -> int | None:
    with suppress(OSError, ValueError):
        return _whole(zone / "max_energy_range_uj")
    return None


def _whole(path: Path) -> int:
    return int(path.read_text())
