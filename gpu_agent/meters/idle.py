"""What each device draws while its agent has no job: the mean power of the last seconds, by its power or by what its counter grew by."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from gpu_agent.meters.readings import Reading
from streams.speed.counters import grown_uj
from streams.speed.sensors import SENSORS

LEAST_NS: Final = 2 * 10**9
MOST: Final = 10  # readings, one a second
Name = tuple[str, str | None]  # sensor, device


@dataclass(slots=True)
class Idle:
    """What was read of each device since the last job ended."""

    seen: dict[Name, deque[Reading]] = field(default_factory=dict)

    def take(self, readings: Iterable[Reading]) -> None:
        """Takes in what was read while there was no job."""
        for reading in readings:
            if reading["sensor"] in SENSORS:
                self.seen.setdefault((reading["sensor"], reading["device_uuid"]), deque(maxlen=MOST)).append(reading)

    def watts(self) -> dict[Name, float]:
        """The mean power of each device, W, where it was read for two seconds; and nothing of the next time without a job."""
        told = {name: watts for name, seen in self.seen.items() if (watts := _mean_w(seen)) is not None}
        self.seen.clear()
        return told


def _mean_w(seen: deque[Reading]) -> float | None:
    first, last = seen[0], seen[-1]
    took_ns = last["mono_ns"] - first["mono_ns"]
    if took_ns < LEAST_NS:
        return None
    powers = [float(reading["power_w"]) for reading in seen if reading.get("power_w") is not None]
    if powers:
        return sum(powers) / len(powers)
    counted = [_grown(one, other) for one, other in zip(seen, list(seen)[1:], strict=False)]
    together_uj = sum(one or 0 for one in counted)
    return None if None in counted else float(together_uj / took_ns * 1000)  # µJ / ns * 1000 = W


def _grown(before: Reading, after: Reading) -> int | None:
    points = ((one["mono_ns"], one["energy_uj"]) for one in (before, after))
    return (
        grown_uj(*points, range_uj=after.get("energy_range_uj")) if None not in (before.get("energy_uj"), after.get("energy_uj")) else None
    )
