"""Apple's chips, as macOS tells them: the power of processor, graphics and neural engine together, in mW, and how busy the graphics are.

`powermetrics` runs beside the agent, as root, and writes a property list ten times a second, each ended by a zero byte. A power is the mean
of the time since the one before (`elapsed_ns`), and counts for the middle of it. Apple itself calls these powers estimates that are not to
compare devices by, and so their grade says (streams/speed/sensors.py). Not tried on a Mac yet: tests/integration/test_meters.py owns a
program that writes its form.

Source: powermetrics(1), macOS: -i, -f plist, -s cpu_power,gpu_power,thermal.
"""

import os
import plistlib
import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Final
from xml.parsers.expat import ExpatError

from gpu_agent.meters.readings import Found, Reading

EVERY_MS: Final = 100
KEPT: Final = 100  # readings that nobody took yet: ten seconds
PIECE: Final = 65_536
NOMINAL: Final = "Nominal"  # thermal pressure that holds nothing back


def powermetrics(program: str = "powermetrics", *, root: bool) -> Found:
    """The meter; None, and why, where there is no such program, or it may not be run."""
    if (path := shutil.which(program)) is None:
        return None, "no powermetrics"
    if not root:
        return None, "powermetrics runs as root alone"
    command = [path, "-i", str(EVERY_MS), "-f", "plist", "-s", "cpu_power,gpu_power,thermal"]
    # It ends with its first writing after the agent's end, for nobody reads that.
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    waiting: deque[Reading] = deque(maxlen=KEPT)
    threading.Thread(target=_follow, args=(running, waiting), daemon=True).start()

    def read() -> Iterator[Reading]:
        while waiting:
            yield waiting.popleft()

    return read, ""


def _follow(running: "subprocess.Popen[bytes]", waiting: "deque[Reading]") -> None:
    """Takes each list as it is whole; one that cannot be read makes a gap."""
    rest = b""
    with running:
        assert running.stdout is not None
        while piece := os.read(running.stdout.fileno(), PIECE):
            at_ns = time.perf_counter_ns()
            *whole, rest = (rest + piece).split(b"\0")
            waiting.extend(one for text in whole if (one := reading_of(text, at_ns)) is not None)


def reading_of(text: bytes, at_ns: int) -> Reading | None:
    """What a list tells that was whole at that moment; None where it tells no power."""
    try:
        told: dict[str, Any] = plistlib.loads(text.strip())
        milli_w, took_ns = float(told["processor"]["combined_power"]), int(told["elapsed_ns"])
        idle, pressure = told.get("gpu", {}).get("idle_ratio"), told.get("thermal_pressure")
    except (plistlib.InvalidFileException, ExpatError, ValueError, TypeError, AttributeError, LookupError):
        return None
    return {
        "scope": "device", "sensor": "powermetrics", "method": "estimated", "device_uuid": "apple", "power_w": milli_w / 1000,
        "util_ratio": None if idle is None else 1 - float(idle), "mono_ns": at_ns - took_ns // 2,
        "throttle": None if pressure is None else "" if pressure == NOMINAL else f"thermal-{pressure.lower()}",
    }  # fmt: skip
