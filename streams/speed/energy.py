"""The energy of a workload's steady window, from cumulative counters, read between by linear interpolation.

It is known only where every counter was read through the whole window without a gap: half of the energy is not the energy. Counters are of
the host that sent the requests, so they are the model's only where its engine runs there.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Final

from schemas.results import Figure
from streams.speed.columns import ABSENT, Table
from streams.speed.counters import grown_uj
from streams.speed.window import Window

GRADES: Final = {"nvml-total-energy": "A", "rapl-package": "B"}
NAMES: Final = ("energy_uj", "energy_per_output_token_uj")
# A reading at each end lies a little within the window: the first comes when the job begins, the last when it has ended.
COVERED: Final = 0.98
Read = tuple[int, int, int | None]  # perf_counter_ns, µJ, range
Sensor = tuple[str, str | None]


def energy(readings: Iterable[Table], window: Window | None, *, boot_id: str, output_tokens: int, elsewhere: bool) -> list[Figure]:
    """The energy, and that of an output token. `elsewhere`: another host's engine answered."""
    if elsewhere:
        return _undefined("a server elsewhere answered; the meters here are the client's")
    counters = _counters(readings, boot_id)
    if not counters:
        return _undefined("no meter here")
    if window is None:
        return _undefined("there is no steady window")
    spent = [_spent(sorted(points), window) for points in counters.values()]
    if any(one is None for one in spent):
        return _undefined("a meter was not read all through the steady window, or was set back in it")
    total, n = sum(one or 0.0 for one in spent), sum(map(len, counters.values()))
    grade = max(GRADES[sensor] for sensor, _ in counters)
    per_token = total / output_tokens if output_tokens else None
    why = None if output_tokens else "the workload has no output token that is known"
    return [
        Figure(metric=NAMES[0], value=total, n=n, unit="µJ", origin=grade),
        Figure(metric=NAMES[1], value=per_token, n=output_tokens, unit="µJ", origin=grade, why_undefined=why),
    ]


def _counters(readings: Iterable[Table], boot_id: str) -> dict[Sensor, list[Read]]:
    """What the counters of that boot of a host showed, by sensor and device."""
    counters: dict[Sensor, list[Read]] = {}
    for table in readings:
        told = table[table.are("boot_id", boot_id) & (table.column("energy_uj") != ABSENT)]
        times, shown, ranges = (told.column(name).tolist() for name in ("mono_ns", "energy_uj", "energy_range_uj"))
        for sensor, device, *read in zip(told.texts("sensor"), told.texts("device_uuid"), times, shown, ranges, strict=True):
            if sensor in GRADES:
                counters.setdefault((sensor, device), []).append((read[0], read[1], None if read[2] == ABSENT else read[2]))
    return counters


def _undefined(why: str) -> list[Figure]:
    return [Figure(metric=name, value=None, n=0, unit="µJ", why_undefined=why) for name in NAMES]


def _spent(points: Sequence[Read], window: Window) -> float | None:
    """What a counter counted within the window; None where that is not known."""
    total, covered_ns = 0.0, 0
    for (before_ns, before_uj, _), (after_ns, after_uj, range_uj) in itertools.pairwise(points):
        inside_ns = min(after_ns, window.end_ns) - max(before_ns, window.start_ns)
        if inside_ns <= 0:
            continue
        before, after = (before_ns, before_uj), (after_ns, after_uj)
        grown = grown_uj(before, after, range_uj=range_uj)
        if grown is None:
            return None
        total += grown * inside_ns / (after_ns - before_ns)
        covered_ns += inside_ns
    return total if covered_ns >= COVERED * (window.end_ns - window.start_ns) else None
