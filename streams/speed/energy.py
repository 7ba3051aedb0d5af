"""The energy of a workload's steady window: of each device by its counter, read between by linear interpolation; where that does not tell
the whole window by its power, integrated by the trapezoidal rule; else estimated. streams/speed/sensors.py says which sensor is what.

It is known only where every device was read through the whole window without a gap: half of the energy is not the energy. Meters are of
the host that sent the requests, so they are the model's only where its engine runs there.

- `energy_uj`: of the chips, all accelerators and processors that are metered. `origin` says how it is known, and of what.
- `energy_per_output_token_uj`: that, divided by the output tokens of the window.
- `idle_energy_uj`: the part of it that the same chips draw over as long while no job runs, at the power that the agent saw before.
- `host_energy_uj`: of the whole machine, where it has a meter of that.
- `metering_ratio`: the share of a core that reading the meters took in the window.

Idle and active energy apart: Strubell et al. (ACL 2019), section 2; Chung et al., The ML.ENERGY Benchmark (2025), section 3.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from schemas.results import Figure
from streams.speed.columns import ABSENT, Table
from streams.speed.counters import grown_uj, integrated_uj
from streams.speed.sensors import GRADES, SENSORS, Boundary, Grade, Known, together
from streams.speed.window import Window

NAMES: Final = ("energy_uj", "energy_per_output_token_uj", "idle_energy_uj", "host_energy_uj")
# A reading at each end lies a little within the window: the first comes when the job begins, the last when it has ended.
COVERED: Final = 0.98
Shown = tuple[int, int, int | None]  # perf_counter_ns; µJ, or µW; of a counter where it begins again
Name = tuple[Boundary, str | None]  # of a device


@dataclass(slots=True)
class Device:
    """What the meters of a device showed, by grade, and what it draws while no job runs (µW)."""

    shown: dict[Grade, list[Shown]] = field(default_factory=dict)
    idle_uw: int | None = None


def energy(readings: Iterable[Table], window: Window | None, *, boot_id: str, output_tokens: int, elsewhere: bool) -> list[Figure]:
    """The figures above. `elsewhere`: another host's engine answered."""
    here = [table[table.are("boot_id", boot_id)] for table in readings]
    if elsewhere:
        return _undefined("a server elsewhere answered; the meters here are the client's")
    devices = _devices(here)
    if window is None:
        return _undefined("there is no steady window" if devices else "no meter here")
    chips = {name: device for name, device in devices.items() if name[0] != "host"}
    host = {name: device for name, device in devices.items() if name[0] == "host"}
    return [
        *_chips(chips, window, output_tokens),
        _sum("host_energy_uj", host, window, none="no meter of the whole machine"),
        _cost(here, window),
    ]


def _chips(chips: Mapping[Name, Device], window: Window, output_tokens: int) -> list[Figure]:
    total = _sum("energy_uj", chips, window, none="no meter here")
    if total.value is None:
        return [total, *_undefined(total.why_undefined or "", NAMES[1:3])]
    why = None if output_tokens else "the workload has no output token that is known"
    idle_uw = [device.idle_uw for device in chips.values()]
    idle = None if None in idle_uw else sum(one or 0 for one in idle_uw) * window.s
    return [
        total,
        Figure(metric=NAMES[1], value=total.value / output_tokens if output_tokens else None, n=output_tokens, unit="µJ",
               origin=total.origin, why_undefined=why),
        Figure(metric=NAMES[2], value=idle, n=0 if idle is None else len(idle_uw), unit="µJ", origin=total.origin,
               why_undefined="the agent was not idle for two seconds before the job" if idle is None else None),
    ]  # fmt: skip


def _sum(name: str, devices: Mapping[Name, Device], window: Window, *, none: str) -> Figure:
    """What devices took together, by the best meter of each that tells the whole window."""
    if not devices:
        return Figure(metric=name, value=None, n=0, unit="µJ", why_undefined=none)
    total, n, known = 0.0, 0, list[Known]()
    for (boundary, _), device in devices.items():
        told = next(((grade, spent) for grade in GRADES if (spent := _spent(device, grade, window)) is not None), None)
        if told is None:
            why = "a meter was not read all through the steady window, or was set back in it"
            return Figure(metric=name, value=None, n=0, unit="µJ", why_undefined=why)
        total, n = total + told[1], n + len(device.shown[told[0]])
        known.append(Known(told[0], boundary))
    return Figure(metric=name, value=total, n=n, unit="µJ", origin=together(known))


def _devices(readings: Iterable[Table]) -> Mapping[Name, Device]:
    """What the meters of each device showed. A counter whose device tells its power too has both."""
    devices = dict[Name, Device]()
    names = ("mono_ns", "energy_uj", "energy_range_uj", "power_uw", "idle_uw")
    for table in readings:
        columns = [[None if one == ABSENT else one for one in table.column(name).tolist()] for name in names]
        for sensor, uuid, at_ns, uj, range_uj, uw, idle_uw in zip(table.texts("sensor"), table.texts("device_uuid"), *columns, strict=True):
            known = SENSORS.get(sensor or "")
            if known is None or at_ns is None:
                continue
            # A package and its memory are two devices with a name each.
            device = devices.setdefault((known.boundary, f"{sensor} {uuid}" if known.boundary == "processor" else uuid), Device())
            device.idle_uw = idle_uw if idle_uw is not None else device.idle_uw
            if uj is not None and known.grade == "counter":
                device.shown.setdefault("counter", []).append((at_ns, uj, range_uj))
            if uw is not None:
                grade: Grade = "integrated" if known.grade == "counter" else known.grade
                device.shown.setdefault(grade, []).append((at_ns, uw, None))
    return {name: device for name, device in devices.items() if device.shown}


def _undefined(why: str, names: Sequence[str] = NAMES) -> list[Figure]:
    return [Figure(metric=name, value=None, n=0, unit="µJ", why_undefined=why) for name in names]


def _cost(readings: Iterable[Table], window: Window) -> Figure:
    """The share of a core that reading the meters took."""
    costs = [table[window.holds(table.column("mono_ns"))].known("own_cost_ns") for table in readings]
    n = sum(map(len, costs))
    return Figure(metric="metering_ratio", value=sum(int(one.sum()) for one in costs) / (window.s * 1e9), n=n, unit="1")


def _spent(device: Device, grade: Grade, window: Window) -> float | None:
    """What a device took within the window by its meter of that grade, in µJ; None where that is not known."""
    total, covered_ns = 0.0, 0
    between = _counted if grade == "counter" else _integrated
    for before, after in itertools.pairwise(sorted(device.shown.get(grade, ()))):
        inside = (max(before[0], window.start_ns), min(after[0], window.end_ns))
        if inside[0] >= inside[1]:
            continue
        if (spent := between(before, after, inside)) is None:
            return None
        total, covered_ns = total + spent, covered_ns + inside[1] - inside[0]
    return total if covered_ns and covered_ns >= COVERED * (window.end_ns - window.start_ns) else None


def _counted(before: Shown, after: Shown, inside: tuple[int, int]) -> float | None:
    """What a counter counted in a part of the time between two readings."""
    grown = grown_uj(before[:2], after[:2], range_uj=after[2])
    return None if grown is None else grown * (inside[1] - inside[0]) / (after[0] - before[0])


def _integrated(before: Shown, after: Shown, inside: tuple[int, int]) -> float | None:
    """What a power came to in a part of the time between two readings."""
    return integrated_uj(before[:2], after[:2], inside=inside)
