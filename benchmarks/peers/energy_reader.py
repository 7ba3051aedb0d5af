"""Run in a peer's environment: reads one energy counter by the peer's own code, each time that a line comes, and says the joules so far.

    python energy_reader.py codecarbon|zeus ZONE

A line is the seconds since the one before; what is said is a number, or `error` and why. It imports nothing of ours.
"""

import importlib
import sys
from collections.abc import Callable
from typing import Any

Joules = Callable[[float], float]
J_A_KWH = 3_600_000.0


def codecarbon(zone: str) -> Joules:
    """By RAPLFile of codecarbon.core.rapl, which its tracker reads at each of its measurements."""
    rapl, units = importlib.import_module("codecarbon.core.rapl"), importlib.import_module("codecarbon.core.units")
    file: Any = rapl.RAPLFile("package-0", f"{zone}/energy_uj", f"{zone}/max_energy_range_uj")
    file.start()
    told = [0.0]

    def joules(seconds: float) -> float:
        file.delta(units.Time.from_seconds(seconds))
        told[0] += file.energy_delta.kWh * J_A_KWH
        return told[0]

    return joules


def zeus(zone: str) -> Joules:
    """By RAPLFile of zeus.device.cpu.rapl, whose process beside it counts wraps."""
    file: Any = importlib.import_module("zeus.device.cpu.rapl").RAPLFile(zone)
    began = file.read()
    return lambda _seconds: float(file.read() - began) / 1e3


def main() -> None:
    """Serves until its input ends."""
    joules = {"codecarbon": codecarbon, "zeus": zeus}[sys.argv[1]](sys.argv[2])
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            print(joules(float(line)), flush=True)
        except Exception as error:  # noqa: BLE001  whatever a peer raises is what it says
            print(f"error {type(error).__name__}: {error}".replace("\n", " "), flush=True)


if __name__ == "__main__":
    main()
