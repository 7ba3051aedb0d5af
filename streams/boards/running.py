"""How a run was run, as facts with names: its engine as it really was, and the machine; and in which of them two runs differ."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.jobs import EngineUsed, EnvironmentSeen
from schemas.runs import Plan
from streams.boards.results import Result

GIB = 2**30
NAMES = {"name": "engine", "version": "engine version", "tp": "tensor parallel", "pp": "pipeline parallel", "max_len": "context"}


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact that is not the same for both; None where nothing is told of it."""

    name: str
    reference: str | None
    other: str | None


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a run ran, in words; None with the reason where that is not one machine that is known."""

    name: str | None
    why: str | None = None


def machine_of(run: Result, seen: Mapping[str, EnvironmentSeen]) -> Machine:
    """The machine that the run ran on. `seen`: environments by their hashes."""
    if run.served_elsewhere:
        return Machine(None, "a server elsewhere answered, on a machine that is not known")
    if any(sha not in seen for sha in run.environments) or not run.environments:
        return Machine(None, "the machine is not known")
    names = sorted({_named(seen[sha]) for sha in run.environments})
    return Machine(names[0]) if len(names) == 1 else Machine(None, f"it ran on several machines: {'; '.join(names)}")


def _named(one: EnvironmentSeen) -> str:
    """Devices, processor, memory and region: machines of one name are of one kind, whatever packages their engines lean on."""
    devices = Counter((device.name, round(device.memory_bytes / GIB)) for device in one.devices)
    told = [f"{count} × {name} ({memory} GiB)" if count > 1 else f"{name} ({memory} GiB)" for (name, memory), count in devices.items()]
    processor = f"{one.cpu} ({one.cores} cores, {round(one.memory_bytes / GIB)} GiB)"
    return ", ".join([*told, processor, *([one.region] if one.region != "any" else [])])


def differing(reference: Result, other: Result, seen: Mapping[str, EnvironmentSeen]) -> tuple[Fact, ...]:
    """In what two runs were run differently: nothing that is the same is told."""
    first, second = _facts(reference, seen), _facts(other, seen)
    names = dict.fromkeys([*first, *second])
    return tuple(Fact(name, first.get(name), second.get(name)) for name in names if first.get(name) != second.get(name))


def _facts(run: Result, seen: Mapping[str, EnvironmentSeen]) -> dict[str, str]:
    machine = machine_of(run, seen)
    told = _engine(run.engine) if run.engine else {"engine": run.plan.engine.name}
    options = {f"option {name}": value for name, value in sorted(run.plan.engine.options.items())}
    files = {"format": run.plan.model.format} if run.plan.model.format else {}
    return told | options | files | {"machine": machine.name or machine.why or ""}


def _engine(used: EngineUsed) -> dict[str, str]:
    told = used.model_dump() | {"quantisation": used.quantisation or "none"}
    return {NAMES.get(name, name): str(value) for name, value in told.items()}


def unlike_weights(reference: Plan, other: Plan) -> str | None:
    """What to say where nothing tells that both runs' weights are one model's; None where something does, or no weights are known.

    They are one model's where their files are, or where either names the other, or the same model, as what it was made from.
    """
    shas = [plan.model_sha for plan in (reference, other)]
    if not all(shas) or shas[0] == shas[1]:
        return None
    (one, its_bases), (two, other_bases) = _names(reference), _names(other)
    if one in other_bases or two in its_bases or its_bases & other_bases:
        return None
    return (
        f"its weights are other files than the reference's (SHA-256 {shas[1][:12]}… and {shas[0][:12]}…), and neither model's card names "
        "the other as its base: nothing here says that both are one model"
    )


def _names(plan: Plan) -> tuple[str, frozenset[str]]:
    """A model's name, and what it is said to be made from, each as the last part of its address."""
    bases = (plan.card.base if plan.card else None, plan.model.base)
    return _last(plan.model.uri), frozenset(_last(base) for base in bases if base)


def _last(uri: str) -> str:
    return uri.rstrip("/").rpartition("/")[2].casefold()
