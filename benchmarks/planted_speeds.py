"""A planted world of speeds: models on machines under loads, whose true figures differ from the roofline by laws that no fit is told.

How much of the roofline is reached falls with a model's depth and with how few requests are under way, differs by engine, by machine and by
model (each by a lognormal factor of its own), and a run measures it with a few per cent of noise.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.predicting.machines import Machine, machine_of
from streams.predicting.physics import reached
from streams.predicting.subjects import FIGURES, Load, Model, Row, Subject

MACHINES: Final = ("NVIDIA T4", "NVIDIA L4", "NVIDIA A10", "NVIDIA L40S", "NVIDIA A100-SXM4-80GB", "NVIDIA H100 80GB HBM3", "NVIDIA H200",
                   "NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 5090", "AMD MI300X", "NVIDIA L40", "NVIDIA V100")  # fmt: skip
ENGINES: Final = ("vllm", "transformers")
LOADS: Final = tuple(Load(in_flight, prompt, 128.0) for in_flight in (1.0, 8.0, 32.0) for prompt in (128.0, 1024.0))
# Standard deviations of the logarithms of what differs by model, by machine, by pair and by run; and how far the laws below reach.
BY_MODEL, BY_MACHINE, BY_PAIR, BY_RUN = 0.12, 0.15, 0.06, 0.04


@dataclass(frozen=True, slots=True)
class Speeds:
    """A world: all rows that could be measured, which are what was measured of them, and the models' and machines' names."""

    rows: tuple[Row, ...]
    models: tuple[str, ...]
    machines: tuple[str, ...]


def speeds(seed: int, *, models: int, machines: int) -> Speeds:
    """A world of so many models and machines; the same seed gives the same."""
    chance = np.random.default_rng(seed)
    made = [_model(number, chance) for number in range(models)]
    chosen = [_machine(name) for name in chance.permutation(MACHINES)[:machines]]
    rows = tuple(_rows(made, chosen, chance))
    return Speeds(rows, tuple(one.name for one in made), tuple(one.name for one in chosen))


def _machine(name: str) -> Machine:
    found = machine_of(name, devices={name: 1}, cores=0)
    assert found is not None
    return found


def _model(number: int, chance: np.random.Generator) -> Model:
    parameters = float(np.exp(chance.uniform(np.log(0.1e9), np.log(70e9))))
    width = float(chance.choice([2.0, 2.0, 1.0, 0.56]))
    return Model(f"model-{number}", parameters, parameters * width, 2e5 * (parameters / 8e9) ** 0.5 * float(chance.uniform(0.3, 1.5)))


def _rows(models: list[Model], machines: list[Machine], chance: np.random.Generator) -> Iterator[Row]:
    of_model = {one.name: chance.normal(0, BY_MODEL, len(FIGURES)) for one in models}
    of_machine = {one.name: chance.normal(0, BY_MACHINE, len(FIGURES)) for one in machines}
    for model in models:
        for machine in machines:
            fits = machine.memory_bytes is not None and model.weights_bytes < 0.9 * machine.memory_bytes
            of_pair = chance.normal(0, BY_PAIR, len(FIGURES))
            for engine in ENGINES:
                for load in LOADS:
                    subject = Subject(model, engine, machine, load)
                    own = of_model[model.name] + of_machine[machine.name] + of_pair + chance.normal(0, BY_RUN, len(FIGURES))
                    if fits and chance.random() < 0.7:
                        yield Row(f"{model.name}/{machine.name}/{engine}/{load}", subject, _figures(subject, own))


def _figures(subject: Subject, own: np.ndarray) -> dict[str, float]:
    """The roofline's figures, times what is not reached of them."""
    slow = 1.35 if subject.engine == "vllm" else 2.2 + 0.6 / subject.load.in_flight
    launched = 4e-5 * (subject.model.parameters / 1e9) ** 0.35 * (1 if subject.engine == "vllm" else 12)  # kernels, whatever their size
    best = reached(subject)
    step = best["itl_p50_s"] * slow + launched
    stretched = step / best["itl_p50_s"]
    ways = {"ttft_p50_s": slow * 1.2 + launched / best["ttft_p50_s"], "itl_p50_s": stretched, "tokens_per_s": 1 / stretched,
            "memory_bytes": 1.08, "j_per_token": 0.55 + 0.3 * stretched}  # fmt: skip
    noise = dict(zip(FIGURES, own, strict=True)) | {"memory_bytes": own[3] * 0.2}
    return {name: float(best[name] * ways[name] * np.exp(noise[name])) for name in FIGURES}
