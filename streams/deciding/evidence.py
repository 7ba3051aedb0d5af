"""What was really measured, as a decision reads it: which models ran where, their speeds under load, and their scores by document.

A *variant* is what quality belongs to: a model's weights on an engine, in one precision and prompt dress. A *place* is the hardware that it
ran on. A variant that ran at one place and was scored at another is a candidate at both, for its quality is the same there. Only runs
that an engine of ours answered count: where a server elsewhere did, its hardware is not known.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from schemas.event import derive_id
from schemas.jobs import EngineUsed, EnvironmentSeen
from schemas.requests import Chat, ModelRef
from schemas.runs import ModelCard
from streams.boards.books import Books
from streams.boards.results import Result
from streams.deciding.operating import Point, points_of

LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Weights:
    """What speed belongs to, beside the place: a model's files on an engine in one precision. `options` are the engine's, as JSON."""

    uri: str
    model_sha: str
    engine: str
    version: str
    options: str
    dtype: str
    quantisation: str


@dataclass(frozen=True, slots=True)
class Place:
    """What a replica runs on: devices (none: the processor) in this region, and how the model lies over them."""

    devices: tuple[str, ...]
    cpu: str
    cores: int
    region: str
    tp: int
    pp: int

    @property
    def name(self) -> str:
        """As people call it: 2 × NVIDIA L40S, or the processor."""
        names = dict.fromkeys(self.devices)
        told = [f"{count} × {name}" if (count := self.devices.count(name)) > 1 else name for name in names]
        return shortened(", ".join(told) or f"{self.cpu} ({self.cores} cores)")

    @property
    def kind(self) -> str:
        """cpu, one-gpu or several-gpus."""
        return "cpu" if not self.devices else "one-gpu" if len(self.devices) == 1 else "several-gpus"


ELSEWHERE: Final = Place(("a server elsewhere",), "", 0, "any", 1, 1)


@dataclass
class Deployed:
    """Weights at a place: the runs that measured them there, the oldest first. `used`, `card` and `model` are the newest run's."""

    weights: Weights
    place: Place
    environment: EnvironmentSeen
    runs: list[Result] = field(default_factory=list)

    @property
    def newest(self) -> Result:
        """The run that ended last."""
        return self.runs[-1]

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """The loads that say something of the model."""
        return points_of(self.runs)

    @cached_property
    def name(self) -> str:
        """What stands for them in their candidates' ids."""
        return derive_id("Deployed", self.weights, self.place)

    @property
    def used(self) -> EngineUsed:
        """The engine as it really ran."""
        used = self.newest.engine
        assert used is not None
        return used

    @property
    def model(self) -> ModelRef:
        """The model as it was asked for."""
        return self.newest.plan.model

    @property
    def card(self) -> ModelCard:
        """What the model's card says; nothing where it has none."""
        return next((run.plan.card for run in reversed(self.runs) if run.plan.card), ModelCard())


@dataclass(frozen=True)
class Evidence:
    """All of it. `peaks`: the most memory of each run's engine, in bytes."""

    books: Books
    peaks: Mapping[str, int]

    @cached_property
    def results(self) -> dict[str, Result]:
        """The completed runs that count, by id, in the order of their ids; what judges say is about others."""
        every = (self.books.results[run_id] for run_id in sorted(self.books.results))
        return {run.run_id: run for run in every if run.engine and not run.plan.subject and not run.served_elsewhere}

    @cached_property
    def deployed(self) -> tuple[Deployed, ...]:
        """Weights at places, each with its runs, the oldest first."""
        found: dict[tuple[Weights, Place], Deployed] = {}
        for run in sorted(self.results.values(), key=lambda one: (one.latest_us, one.run_id)):
            seen = self._seen(run)
            if seen is not None:
                weights, place = weights_of(run), place_of(seen, run)
                found.setdefault((weights, place), Deployed(weights, place, seen)).runs.append(run)
        return tuple(found.values())

    @cached_property
    def elsewhere(self) -> tuple[Deployed, ...]:
        """What servers elsewhere answered: of these the hardware is not known, and whoever needs one needs a net."""
        found: dict[Weights, Deployed] = {}
        for run_id in sorted(self.books.results):
            run = self.books.results[run_id]
            if run.engine and run.served_elsewhere and not run.plan.subject and (seen := self._seen(run)):
                found.setdefault(weights_of(run), Deployed(weights_of(run), ELSEWHERE, seen)).runs.append(run)
        return tuple(found.values())

    def _seen(self, run: Result) -> EnvironmentSeen | None:
        """Where the run ran; None where that was on several machines, of which none can be told to be the one."""
        return self.books.environments.get(run.environments[0]) if len(set(run.environments)) == 1 else None

    @cached_property
    def _scored(self) -> dict[Weights, dict[str, Result]]:
        """The newest run in which each of the weights was scored in each dress."""
        found: dict[Weights, dict[str, Result]] = defaultdict(dict)
        for run in sorted(self.results.values(), key=lambda one: (one.latest_us, one.run_id)):
            found[weights_of(run)].update({run.plan.chat.model_dump_json(): run} if run.plan.tasks else {})
        return found

    @cached_property
    def dresses(self) -> dict[Weights, tuple[Chat, ...]]:
        """In which prompt dresses each of the weights was scored; as the tasks have them, where none was."""
        return {weights: tuple(told[key].plan.chat for key in sorted(told)) or (Chat(),) for weights, told in self._scored.items()}

    def dressed(self, weights: Weights, chat: Chat) -> str | None:
        """The newest run that was scored in that dress; None where none was."""
        found = self._scored[weights].get(chat.model_dump_json())
        return found.run_id if found else None

    @cached_property
    def labels(self) -> dict[tuple[Weights, str], str]:
        """What each variant is called: its model, and of several of one model also that in which they differ."""
        variants = [(weights, chat) for weights, chats in self.dresses.items() for chat in chats]
        by_model: dict[tuple[str, str], list[tuple[Weights, Chat]]] = defaultdict(list)
        for weights, chat in variants:
            by_model[weights.uri, weights.engine].append((weights, chat))
        return {
            (weights, chat.model_dump_json()): name
            for (uri, _), own in by_model.items() for (weights, chat), name in zip(own, _named(uri, own), strict=True)
        }  # fmt: skip

    def label(self, weights: Weights, chat: Chat) -> str:
        """What the variant is called."""
        return self.labels[weights, chat.model_dump_json()]


def weights_of(run: Result) -> Weights:
    """What a run's speed belongs to."""
    used, model = run.engine, run.plan.model
    assert used is not None
    options = json.dumps(run.plan.engine.options, sort_keys=True)
    return Weights(model.uri, run.plan.model_sha, used.name, used.version, options, used.dtype, used.quantisation or "")


def place_of(seen: EnvironmentSeen, run: Result) -> Place:
    """Where it ran."""
    used = run.engine
    assert used is not None
    devices = () if used.device == "cpu" else tuple(sorted(device.name for device in seen.devices))
    return Place(devices, seen.cpu, seen.cores, seen.region, used.tp, used.pp)


def _named(uri: str, own: list[tuple[Weights, Chat]]) -> Iterator[str]:
    """A name for each variant of a model on an engine: its differences from the others, in brackets."""
    details = [_details(weights, chat) for weights, chat in own]
    varying = [n for n in range(len(details[0])) if len({told[n] for told in details}) > 1]
    names = [", ".join(told[n] for n in varying if told[n]) for told in details]
    for name, (weights, chat) in zip(names, own, strict=True):
        told = name if names.count(name) == 1 else ", ".join([*filter(None, [name]), short_digest(weights, chat)])
        yield shortened(f"{uri} [{told}]" if told else uri)


def _details(weights: Weights, chat: Chat) -> tuple[str, ...]:
    options = ", ".join(f"{name}={value}" for name, value in json.loads(weights.options).items())
    return weights.version, weights.dtype, weights.quantisation, options, "chat" if chat.template else "", weights.model_sha[:8]


def shortened(name: str) -> str:
    """The name; of a very long one the beginning, and letters that stand for all of it."""
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}… {short_digest(name)}"


def short_digest(*parts: object) -> str:
    """Eight letters that stand for the parts."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:8]


def known_tasks(results: Iterable[Result]) -> dict[str, tuple[str, ...]]:
    """Every name that quality can be asked by: a task by itself, a group with its tasks."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for run in results:
        for planned in run.plan.tasks:
            found[planned.task][planned.task] = None
            if planned.group:
                found[planned.group][planned.task] = None
    return {name: tuple(sorted(tasks)) for name, tasks in found.items()}
