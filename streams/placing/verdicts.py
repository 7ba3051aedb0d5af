"""What is said of a placement: whom it fits and how, whom it does not fit and why, and what was left of what is usual."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from streams.engines import Kind
from streams.placing.ways import Machine, Way

GIB: Final = 2**30
MOST_NAMES, MOST_VERDICTS = 3, 8


def reasons(way: Way, ways: Sequence[Way], machines: Sequence[Machine], engine: str, kind: Kind) -> Iterator[str]:
    yield from verdicts(way, ways, sorted(machines, key=lambda one: one.name), engine, kind)
    if way.sizes.dtype != ways[0].sizes.dtype:
        least = min(one.needed_bytes for one in ways if one.sizes.dtype == ways[0].sizes.dtype)
        yield f"{way.sizes.dtype}, for {ways[0].sizes.dtype} needs {_gib(least)} GiB at least"
    if way.batch != ways[0].batch:
        yield f"{way.batch} tokens at once, for {ways[0].batch} need more than there is"


def verdicts(chosen: Way | None, ways: Sequence[Way], machines: Iterable[Machine], engine: str, kind: Kind) -> Iterator[str]:
    """What is said of each agent, of those alike together: who fits first."""
    said: dict[tuple[bool, str], list[str]] = {}
    for machine in machines:
        said.setdefault(_verdict(chosen, ways, machine, engine, kind), []).append(machine.name)
    for (fits, why), names in sorted(said.items(), key=lambda one: not one[0][0])[:MOST_VERDICTS]:
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        yield f"{'fits' if fits else 'does not fit'} {'agent ' if fits else ''}{', '.join(names[:MOST_NAMES])}{more}: {why}"


def _verdict(chosen: Way | None, ways: Sequence[Way], machine: Machine, engine: str, kind: Kind) -> tuple[bool, str]:
    if f"engine:{engine}" not in machine.capabilities:
        return False, f"it has no engine {engine}"
    if lacking := next((package for package in ways[0].sizes.packages if f"package:{package}" not in machine.capabilities), None):
        return False, f"it has no package {lacking}"
    if chosen is not None and chosen.fits(machine, kind):
        return True, _words(chosen, machine)
    if (device := machine.device(kind)) is None:
        return False, f"engine {engine} runs on {' and '.join(kind.devices)}"
    own = [one for one in ways if one.device == device]
    tried = [one for one in own if one.devices <= len(machine.device_bytes)]
    if not tried:
        return False, f"needs {min(one.parts for one in ways)} devices, has {len(machine.device_bytes)}"
    if any(one.needed_bytes <= machine.room(one.devices) for one in tried):
        return False, f"would run otherwise, on {device}"
    best = min(tried, key=lambda one: one.needed_bytes / one.parts)
    return False, f"needs {_gib(best.needed_bytes)} GiB, has {_gib(machine.room(best.devices))}{_on(best)}"


def _words(way: Way, machine: Machine) -> str:
    spread = "".join(f", {name} {size}" for name, size in (("TP", way.tp), ("PP", way.pp)) if size > 1)
    if way.devices:
        where = f"{way.devices} × {_gib(machine.room(way.devices) // way.devices)} GiB"
    else:
        where = f"{_gib(way.needed_bytes)} of {_gib(machine.total_bytes)} GiB on {way.device}"
    return f"{where}{spread}, {way.sizes.dtype}{f', {way.sizes.quantisation}' if way.sizes.quantisation else ''}"


def _on(way: Way) -> str:
    return f" on {way.devices} device{'s'[: way.devices > 1]}" if way.devices else ""


def _gib(size: int) -> str:
    return f"{size / GIB:.1f}"
