"""What hardware can do at most, by its name: where a prediction begins.

The numbers of devices are their makers' data sheets': dense float16 or bfloat16 with tensor cores, the memory's bandwidth, and the power
limit of the board. Of processors no data sheet is read: nominal numbers a core stand for them, and what was measured on the same processor
corrects them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

NOMINAL_FLOP_PER_S: Final = 80e9  # of a core: 32 float32 operations a cycle (AVX2, FMA) at 2.5 GHz
NOMINAL_BYTES_PER_S: Final = 12.5e9  # of a core: DDR5-4800's 38.4 GB/s a channel over three cores
MOST_BYTES_PER_S: Final = 300e9  # of a processor: eight such channels
NOMINAL_WATTS: Final = 5.0  # of a core: 320 W over 64


@dataclass(frozen=True, slots=True)
class Machine:
    """What a replica runs on, all of its devices together. `name` as people call it; `nominal`: no data sheet says it.

    `bytes_per_s` of its memory, `flop_per_s`, `memory_bytes` (None: not known), `watts`.
    """

    name: str
    bytes_per_s: float
    flop_per_s: float
    watts: float
    memory_bytes: float | None = None
    nominal: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """A device's data sheet. `words` are in its name, as NVML or its maker tells it, and none of `without` is."""

    words: tuple[str, ...]
    bytes_per_s: float
    flop_per_s: float
    memory_bytes: float
    watts: float
    without: tuple[str, ...] = ()


# Source: the makers' data sheets, as of November 2026. Those that are more exactly named come first.
SHEETS: Final = (
    Sheet(("b200",), 7.7e12, 2250e12, 180e9, 1000),
    Sheet(("h200",), 4.8e12, 989e12, 141e9, 700),
    Sheet(("h100", "nvl"), 3.9e12, 835e12, 94e9, 400),
    Sheet(("h100", "pcie"), 2.0e12, 756e12, 80e9, 350),
    Sheet(("h100",), 3.35e12, 989e12, 80e9, 700),
    Sheet(("a100", "pcie", "80gb"), 1.935e12, 312e12, 80e9, 300),
    Sheet(("a100", "80gb"), 2.039e12, 312e12, 80e9, 400),
    Sheet(("a100",), 1.555e12, 312e12, 40e9, 400),
    Sheet(("l40s",), 0.864e12, 362e12, 48e9, 350),
    Sheet(("l40",), 0.864e12, 181e12, 48e9, 300),
    Sheet(("l4",), 0.3e12, 121e12, 24e9, 72),
    Sheet(("a10",), 0.6e12, 125e12, 24e9, 150),
    Sheet(("t4",), 0.32e12, 65e12, 16e9, 70),
    Sheet(("v100",), 0.9e12, 125e12, 32e9, 300),
    Sheet(("rtx", "5090"), 1.792e12, 209e12, 32e9, 575, ("laptop",)),
    Sheet(("rtx", "4090"), 1.008e12, 165e12, 24e9, 450, ("laptop",)),
    Sheet(("rtx", "3090"), 0.936e12, 71e12, 24e9, 350),
    Sheet(("mi325x",), 6.0e12, 1307e12, 256e9, 1000),
    Sheet(("mi300x",), 5.3e12, 1307e12, 192e9, 750),
)


def machine_of(name: str, *, devices: Mapping[str, int], cores: int) -> Machine | None:
    """The machine of these devices, by name and count, or of `cores` of a processor where there are none.

    None where a device has no data sheet here.
    """
    if not devices:
        cores = max(1, cores)
        reached = min(cores * NOMINAL_BYTES_PER_S, MOST_BYTES_PER_S)
        return Machine(name, reached, cores * NOMINAL_FLOP_PER_S, cores * NOMINAL_WATTS, nominal=True)
    found = [(sheet_of(device), count) for device, count in devices.items()]
    known = [(sheet, count) for sheet, count in found if sheet is not None]
    if len(known) < len(found):
        return None
    told = {
        what: sum(getattr(sheet, what) * count for sheet, count in known) for what in ("bytes_per_s", "flop_per_s", "watts", "memory_bytes")
    }
    return Machine(name, **told)


def sheet_of(device: str) -> Sheet | None:
    """The data sheet of a device by its name; None where there is none here."""
    words = set(re.split(r"[^a-z0-9]+", device.lower()))
    for sheet in SHEETS:
        if all(word in words for word in sheet.words) and not words & set(sheet.without):
            return sheet
    return None
