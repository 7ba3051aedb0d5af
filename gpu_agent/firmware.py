"""The firmware that a measurement may depend on, where it can be read: of the board, the processor and each NVIDIA device.

Serial numbers, which only an administrator may read, are none of it.
Sources: Linux, Documentation/ABI/testing/sysfs-class-dmi; proc(5), /proc/cpuinfo; NVML API reference, nvmlDeviceGetVbiosVersion,
nvmlDeviceGetGspFirmwareVersion, nvmlDeviceGetInforomImageVersion.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

BOARD: Final = ("bios_vendor", "bios_version", "bios_date", "board_name", "product_name")
LONGEST: Final = 200  # characters that are told


def firmware(root: Path = Path("/")) -> dict[str, str]:
    """What it is → its version, as each says it; what cannot be read is not there. `root`: of the files."""
    found = {name: _text(root / "sys/class/dmi/id" / name) for name in BOARD}
    found["microcode"] = cpu_field("microcode", root)
    return {name: told for name, told in (found | _devices()).items() if told}


def cpu_field(field: str, root: Path = Path("/")) -> str:
    """What the first processor says of itself under that name; empty where it says nothing."""
    lines = _text(root / "proc/cpuinfo", most=2**16).splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == field), "")


def _text(path: Path, *, most: int = LONGEST) -> str:
    try:
        return path.read_text(errors="replace").strip()[:most]
    except OSError:
        return ""


def _devices() -> dict[str, str]:
    """By the device's number, for the order of a machine's devices is their driver's."""
    import pynvml

    ways = {"VBIOS": pynvml.nvmlDeviceGetVbiosVersion, "GSP firmware": pynvml.nvmlDeviceGetGspFirmwareVersion,
            "InfoROM": pynvml.nvmlDeviceGetInforomImageVersion}  # fmt: skip
    found = dict[str, str]()
    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        for number in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(number)
            for name, asked in ways.items():
                with suppress(pynvml.NVMLError):
                    told = asked(handle)  # bytes, by some releases of the binding
                    found[f"GPU {number} {name}"] = (told.decode(errors="replace") if isinstance(told, bytes) else str(told))[:LONGEST]
    return found
