"""The sensors whose readings tell energy: how well each knows it, and of what.

Grades, best first. *counter*: the device counts its energy itself. *integrated*: it tells its power, which was read again and again.
*estimated*: neither; its rated power times its utilisation, which is a guess with a formula, or a power that its maker calls an estimate.

Boundaries. *accelerator*: the whole card. *processor*: the packages, and where it is counted apart their memory (DRAM is in no package's
domain). *host*: all that the machine draws, the others in it, so that it is never added to them.

Source: Intel, Software Developer's Manual, vol. 3B, section 16.10 (RAPL domains); Linux, Documentation/power/powercap/powercap.rst and
Documentation/hwmon/; NVML API reference, nvmlDeviceGetTotalEnergyConsumption, nvmlDeviceGetPowerUsage; macOS, powermetrics(1).
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

Grade = Literal["counter", "integrated", "estimated"]
Boundary = Literal["accelerator", "processor", "host"]
GRADES: Final[tuple[Grade, ...]] = ("counter", "integrated", "estimated")
BOUNDARIES: Final[tuple[Boundary, ...]] = ("accelerator", "processor", "host")
MOST_W: Final = 1e6  # a megawatt: no device draws it, whatever is told


class Known(NamedTuple):
    """How energy is known, and of what."""

    grade: Grade
    boundary: Boundary


SENSORS: Final[Mapping[str, Known]] = MappingProxyType({
    "nvml-total-energy": Known("counter", "accelerator"),
    "nvml-device": Known("integrated", "accelerator"),
    "nvml-rated": Known("estimated", "accelerator"),
    "hwmon-energy": Known("counter", "accelerator"),
    "hwmon-power": Known("integrated", "accelerator"),
    "rapl-package": Known("counter", "processor"),
    "rapl-dram": Known("counter", "processor"),
    "rated": Known("estimated", "processor"),
    "powermetrics": Known("estimated", "processor"),
    "rapl-psys": Known("counter", "host"),
    "hwmon-host": Known("integrated", "host"),
})  # fmt: skip
# What was written before grades had words.
LETTERS: Final = MappingProxyType({"A": "counter, accelerator", "B": "counter, processor"})


def together(known: Iterable[Known]) -> str | None:
    """How a sum over devices is known, in words: by the least good grade, of all boundaries. None where nothing is known."""
    told = list(known)
    if not told:
        return None
    grade = max((one.grade for one in told), key=GRADES.index)
    return f"{grade}, {' and '.join(name for name in BOUNDARIES if any(one.boundary == name for one in told))}"


def micro_watts(power_w: float | None) -> int | None:
    """A power in µW; None where it is not told, or none that a device could draw (outside 0..`MOST_W`): then it is not known."""
    return round(power_w * 1e6) if power_w is not None and 0 <= power_w <= MOST_W else None


def known_of(told: str | None) -> list[Known]:
    """What such words say."""
    grade, _, boundaries = (words(told) or "").partition(", ")
    return [Known(one, name) for one in GRADES if one == grade for name in BOUNDARIES if name in boundaries.split(" and ")]


def words(told: str | None) -> str | None:
    """The same in words, of what was written before there were any too."""
    return LETTERS.get(told or "", told)


def grade_of(told: str | None) -> tuple[str | None, str | None]:
    """The grade and the boundary that such words say."""
    grade, _, boundary = (words(told) or "").partition(", ")
    return grade or None, boundary or None
