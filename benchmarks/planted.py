"""A planted world: models and devices whose true quality, speed and cost are known, and measurements of them with noise.

A model's ability at a task is normal; a document is answered rightly with the probability Φ(ability - difficulty), the difficulty being
normal and the same for all models, so that the true quality is Φ(ability/√2). Speed falls with a model's size and rises with a device's
bandwidth, times what suits a pair; a run measures it with a few per cent of lognormal error.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import ndtr

from schemas.requirements import Latency, Preference, Requirement, Spending, Traffic
from streams.deciding.candidates import Candidate, Estimate, TaskScores
from streams.deciding.constraints import Flags, kept_as_measured
from streams.deciding.drawing import Worlds, worlds
from streams.deciding.loads import under
from streams.deciding.preferring import Swing, by_swing
from streams.deciding.requiring import constraints_of, load_of
from streams.statistics.spreads import Floats

TASKS = ("reasoning", "knowledge")
# USD an hour and relative bandwidth; no two bills of a few replicas are alike.
DEVICES = {
    "T4": (0.37, 0.3), "L4": (0.71, 0.35), "A10": (1.01, 0.6), "L40S": (1.59, 0.9), "A100": (2.03, 2.0), "H100": (3.29, 3.4),
    "H200": (4.13, 4.8), "B200": (6.47, 8.0),
}  # fmt: skip
DOCUMENTS, SPEED_ERROR = 200, 0.06
RUN_HOURS, USD_PER_DOCUMENT = 0.1, 0.0002


@dataclass
class Planted:
    """The truth, in the order of keys, and what has been measured of it so far; `places` are the keys' in the truth."""

    seed: int
    models: tuple[str, ...]
    requirement: Requirement
    truth: tuple[Candidate, ...]
    ability: Floats  # [models, tasks]
    chance: np.random.Generator
    places: dict[str, int]
    measured: dict[str, Candidate] = field(default_factory=dict)
    scores: dict[str, Floats] = field(default_factory=dict)

    @property
    def candidates(self) -> list[Candidate]:
        """As measured."""
        return list(self.measured.values())

    @property
    def task_scores(self) -> list[TaskScores]:
        """As measured."""
        return [TaskScores(task, self.models, values) for task, values in self.scores.items()]

    def read(self, task: str, count: int, models: Sequence[str] | None = None) -> None:
        """So many more documents of a task, answered by some of the models."""
        able = self.ability[:, TASKS.index(task)]
        right = self.chance.random((len(self.models), count)) < ndtr(able[:, None] - self.chance.standard_normal(count))
        asked = np.isin(self.models, self.models if models is None else list(models))
        new = np.where(asked[:, None], right.astype(float), np.nan)
        self.scores[task] = np.concatenate([self.scores[task], new], axis=1) if task in self.scores else new

    def run(self, key: str) -> None:
        """One more speed run of a candidate; runs are averaged in their logarithms."""
        true, known = self.truth[self.places[key]], self.measured.get(key)
        runs = 1 + (known.figures["goodput_per_s"].n if known else 0)
        figures = {}
        for name in ("goodput_per_s", "ttft_p95_s"):
            new = np.log(true.figures[name].value) + SPEED_ERROR * self.chance.standard_normal()
            old = np.log(known.figures[name].value) if known else 0.0
            value = float(np.exp((old * (runs - 1) + new) / runs))
            figures[name] = Estimate(value, SPEED_ERROR / np.sqrt(runs) * value, key, runs)
        self.measured[key] = replace(true, figures=figures)

    def true_worlds(self) -> Worlds:
        """The truth under the load."""
        load = load_of(self.requirement)
        assert load is not None
        return under(load, worlds(self.truth, weights=self.requirement.tasks, draws=1))

    def judged(self, weights: Sequence[Swing]) -> tuple[Floats, Flags]:
        """Each candidate's true value by these weights, and whether it truly keeps all constraints; in the order of keys."""
        true = self.true_worlds()
        return by_swing(true.points, weights), np.asarray(kept_as_measured(constraints_of(self.requirement), true).all(axis=0))


def planted(seed: int, *, models: int = 50, devices: int = len(DEVICES)) -> Planted:
    """A world, its requirement, and a first measurement of everything."""
    chance = np.random.default_rng([20261128, seed])
    size = np.exp(chance.uniform(np.log(1), np.log(100), models))
    skill = 0.25 * (np.log(size) - np.log(10)) + 0.35 * chance.standard_normal(models)
    ability = 0.5 + skill[:, None] + 0.2 * chance.standard_normal((models, len(TASKS)))
    names = tuple(f"model-{n:03}" for n in range(models))
    truth = [
        _true(name, device, size=size[n], ability=ability[n], chance=chance)
        for n, name in enumerate(names) for device in list(DEVICES)[:devices]
    ]  # fmt: skip
    truth.sort(key=lambda one: one.key)
    world = Planted(seed, names, _requirement(truth, chance), tuple(truth), ability, chance, {one.key: n for n, one in enumerate(truth)})
    for task in TASKS:
        world.read(task, DOCUMENTS)
    for one in truth:
        world.run(one.key)
    return world


def _true(model: str, device: str, *, size: float, ability: Floats, chance: np.random.Generator) -> Candidate:
    price, bandwidth = DEVICES[device]
    suits = np.exp(0.25 * chance.standard_normal(2))
    figures = {
        "goodput_per_s": Estimate(float(60 * bandwidth / size * suits[0])),
        "ttft_p95_s": Estimate(float(0.05 * size / bandwidth * suits[1])),
        **{f"quality:{task}": Estimate(float(ndtr(own / np.sqrt(2)))) for task, own in zip(TASKS, ability, strict=True)},
    }  # fmt: skip
    return Candidate(f"{model} on {device}", model, "vllm", device, figures, usd_per_hour=price)


def _requirement(truth: Sequence[Candidate], chance: np.random.Generator) -> Requirement:
    """One that about a tenth of the candidates keep, with bounds among them: so that it matters how well they are known."""
    traffic = Traffic(curve_per_s=(2.0, float(chance.uniform(10, 60)), 8.0), input_tokens=800, output_tokens=200)
    points = {"quality": 100.0, "usd_per_month": float(chance.uniform(30, 150))}
    plain = Requirement(
        tasks=dict.fromkeys(TASKS, 1.0), traffic=traffic, preference=Preference(points=points), threshold_ratio=0.8,
    )  # fmt: skip
    load = load_of(plain)
    assert load is not None
    told = under(load, worlds(truth, weights=plain.tasks, draws=1)).points
    bound = {name: float(np.quantile(told[name], chance.uniform(*span))) for name, span in SPANS.items()}
    return plain.model_copy(update={
        "floors": {"quality": bound["quality"]}, "latency": Latency(ttft_p95_s=bound["ttft_p95_s"]),
        "spending": Spending(per_month_usd_nano=round(bound["usd_per_month"] * 1e9)),
    })  # fmt: skip


SPANS = {"quality": (0.3, 0.7), "ttft_p95_s": (0.4, 0.8), "usd_per_month": (0.3, 0.8)}
