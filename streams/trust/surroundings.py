"""What of a run and its audit is compared beside their samples: each task's main metric, and the facts of where they ran."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import numpy as np

from schemas.jobs import EngineUsed, EnvironmentSeen
from schemas.results import RunScored
from schemas.settled import RunSettled
from schemas.trust import EnvironmentDiffers, MetricDiffers
from streams.quality.ranges import countable, width_of
from streams.settling.documents import unpacked
from streams.statistics.differences import difference

FLAGS: Final = "cpu flags"
PACKAGE, ALONE = "package ", "packages that the other lacks"
SUM: Final = 16  # digits of a sum that are told
Facts = dict[str, set[str]]  # a fact's name → its values, of several machines several


def metrics(run: Mapping[str, RunScored], audit: Mapping[str, RunScored], result: RunSettled) -> Iterator[MetricDiffers]:
    """The main metric of each task that both have scored, over the documents of both. `result`: the audit's."""
    for planned in result.plan.tasks if result.plan else ():
        one, other = run.get(planned.task), audit.get(planned.task)
        if one and other and one.documents and other.documents:
            a, b = unpacked(one.documents), unpacked(other.documents)
            shared, mine, its = np.intersect1d(a.ordinals, b.ordinals, assume_unique=True, return_indices=True)
            first, second = a.values[mine], b.values[its]
            there = [place for place in range(len(shared)) if countable(first[place]) and countable(second[place])]
            if there:
                clusters = [a.clusters[place] for place in mine[there]] if a.clusters else None
                found = difference(first[there].tolist(), second[there].tolist(), clusters, width=width_of(planned.main_metric))
                yield MetricDiffers(
                    task=planned.task, metric=planned.main_metric, filter=planned.main_filter, run=float(first[there].mean()),
                    audit=float(second[there].mean()), difference=found.value, low=found.low, high=found.high, n=found.n,
                )  # fmt: skip


def environment(run: RunSettled, audit: RunSettled, seen: Mapping[str, EnvironmentSeen]) -> Iterator[EnvironmentDiffers]:
    """Each fact of engine, scorers and machines that is not the same for both. `seen`: environments by their hashes."""
    yield from _each("engine", *(_of_engine(one.engine) for one in (run, audit)))
    yield from _each("scorer", *({f"scorer of {task.task}": {task.scorer_version} for task in one.tasks} for one in (run, audit)))
    own, other = (_of_machines([seen[sha] for sha in one.environments if sha in seen]) for one in (run, audit))
    yield from _each("machine", _gathered(own, other), _gathered(other, own))


def _each(what: str, run: Facts, audit: Facts) -> Iterator[EnvironmentDiffers]:
    """The facts that differ; of a side of which nothing is known, that alone."""
    if not run or not audit:
        if run or audit:
            yield EnvironmentDiffers(what=what, run="known" if run else None, audit="known" if audit else None)
        return
    for name in sorted(run.keys() | audit.keys()):
        one, other = run.get(name, set()), audit.get(name, set())
        if name == FLAGS:
            one, other = one - other, other - one  # a processor has a hundred of them
        if one != other:
            yield EnvironmentDiffers(what=name, run=_joined(one), audit=_joined(other))


def _joined(told: set[str]) -> str | None:
    return ", ".join(sorted(told)) or None


def _of_engine(engine: EngineUsed | None) -> Facts:
    told = engine.model_dump() if engine else {}
    return {f"engine {name}": {str(value)} for name, value in told.items() if value is not None}


def _of_machines(machines: Iterable[EnvironmentSeen]) -> Facts:
    facts: Facts = {}
    for one in machines:
        for name, value in _of_machine(one):
            facts.setdefault(name, set()).add(value)
    return facts


def _gathered(own: Facts, other: Facts) -> Facts:
    """The facts, of which packages that the other side does not have are one: an agent of an older release names fourteen of hundreds."""
    alone = [name for name in sorted(own) if name.startswith(PACKAGE) and name not in other] if other else []
    if not alone:
        return own
    told = ", ".join(f"{name.removeprefix(PACKAGE)} {'/'.join(sorted(value.partition(',')[0] for value in own[name]))}" for name in alone)
    return {name: values for name, values in own.items() if name not in alone} | {ALONE: {told}}


def _of_machine(one: EnvironmentSeen) -> Iterator[tuple[str, str]]:
    for name, version in one.packages.items():
        told = one.package_sums.get(name)
        yield f"{PACKAGE}{name}", f"{version}, SHA-256 {told[:SUM]}…" if told else version
    yield from ((f"firmware {name}", version) for name, version in one.firmware.items())
    yield from ((FLAGS, flag) for flag in one.cpu_flags)
    devices = Counter((device.name, device.memory_bytes) for device in one.devices)
    yield from (("device", f"{count} × {name}, {memory:,} bytes") for (name, memory), count in devices.items())
    for name in ("driver", "cpu", "cores", "memory_bytes", "os", "container_digest"):
        if (value := getattr(one, name)) is not None:
            yield name, str(value)
