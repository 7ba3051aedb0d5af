"""The energy counters of processor packages, their memory and the platform, as Linux tells them.

A counter begins again at 0 above `max_energy_range_uj`; each reading says where, so that what it counted can be reckoned
(streams/speed/counters.py). A package's domain has its cores (core) and its graphics (uncore) in it, and not its memory (dram); the
platform's (psys) has all of them in it, and more. streams/speed/sensors.py says what is added up.

Source: Linux, Documentation/power/powercap/powercap.rst; Intel, Software Developer's Manual, vol. 3B, section 16.10.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from gpu_agent.meters.readings import Found, Reading, whole, whole_or_none, word

POWERCAP: Final = Path("class/powercap")
DOMAINS: Final = ("package", "dram", "core", "uncore", "psys")


def rapl(sys: Path) -> Found:
    """The meter of the domains below that /sys; None, and why, where there is no package or it may not be read."""
    zones = [(zone, domain) for zone in sorted((sys / POWERCAP).glob("intel-rapl:*")) if (domain := _domain(zone))]
    packages = [zone for zone, domain in zones if domain == "package"]
    if not packages:
        return None, "no energy counter of the processor (powercap)"
    try:
        for zone in packages:
            whole(zone / "energy_uj")
    except OSError as error:
        return None, f"the processor's energy counter cannot be read ({error.strerror})"
    return lambda: _readings(zones), ""


def _domain(zone: Path) -> str | None:
    return next((domain for domain in DOMAINS if word(zone / "name").partition("-")[0] == domain), None)


def _readings(zones: list[tuple[Path, str]]) -> Iterator[Reading]:
    """A reading of each domain; one that cannot be read now is left out, and makes a gap."""
    for zone, domain in zones:
        with suppress(OSError, ValueError):
            before_ns = time.perf_counter_ns()
            energy_uj = whole(zone / "energy_uj")
            yield {
                "scope": "host" if domain == "psys" else "device", "sensor": f"rapl-{domain}", "method": "counter",
                "device_uuid": zone.name, "energy_uj": energy_uj, "energy_range_uj": whole_or_none(zone / "max_energy_range_uj"),
                "mono_ns": (before_ns + time.perf_counter_ns()) // 2,
            }  # fmt: skip
