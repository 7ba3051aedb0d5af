"""Adaptive estimates held to full runs of real models: `python -m benchmarks.adaptive_answers` (minutes).

Two dozen small language models are trained, of six seeds, each for four lengths of training, and answer the bundled tasks of choices whole.
Each is then held out: with the models of the other seeds as sources it is estimated by a part, and the estimate held to its own whole run.
"""

import itertools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.harness import write
from benchmarks.rigor_adaptive import Tried, judged, tabled
from examples.train_models import Shape, train
from gpu_agent.engines.engine import EngineAnswer, EngineRequest
from gpu_agent.engines.transformers import Transformers
from infra.harness.building import Build, build
from infra.harness.chat import Dress
from infra.settings import Settings
from schemas.requests import Chat, ModelRef, TaskChoice
from streams.statistics.intervals import wilson
from streams.statistics.items import estimate, fitted, held_out, informative, part_of
from streams.statistics.spreads import Floats

TASKS: Final = ("assay_agreement", "assay_arithmetic")
SEEDS, LENGTHS, ASKED = range(1, 7), (60, 140, 260, 420), 50


def trained(folder: Path) -> Iterator[Path]:
    """A model for each seed and each length of training, in that order."""
    for seed, steps in itertools.product(SEEDS, LENGTHS):
        into = folder / f"{seed}-{steps}"
        train(Shape("model", layers=2, hidden=48, heads=4, steps=steps, rate=3e-3), into, seed=seed, told=lambda _step, _text: None)
        print(into.name, flush=True)
        yield into


def answered(model: Path, tasks: list[Build]) -> list[list[float]]:
    """1 for each document of each task whose right choice is the likeliest, else 0."""
    engine = Transformers()
    engine.load(ModelRef(uri=str(model)), options={}, device="cpu")
    found = [_right(engine, task) for task in tasks]
    engine.close()
    return found


def _right(engine: Transformers, task: Build) -> list[float]:
    calls = [call for sample in task.samples for call in sample.requests]
    asked = [EngineRequest(n, call.request_type, call.prefix + call.context, call.continuation) for n, call in enumerate(calls)]
    told = sorted((one for one in engine.answer(asked) if isinstance(one, EngineAnswer)), key=lambda one: one.index)
    likely = iter([one.loglikelihood or 0.0 for one in told])
    right = list[float]()
    for sample in task.samples:
        own = [next(likely) for _ in sample.requests]
        right.append(float(int(np.argmax(own)) == json.loads(sample.document)["answer"]))
    return right


def tried(answers: Floats) -> list[Tried]:
    """Every model, held out with those of its seed; `answers`: [models, documents]."""
    draw, seeds, found = np.random.default_rng(24), np.repeat(np.asarray(SEEDS), len(LENGTHS)), list[Tried]()
    for seed in SEEDS:
        sources = answers[seeds != seed]
        items = fitted(sources)
        chosen = informative(items, ASKED)
        part = part_of(items, chosen, misfit=held_out(sources, ASKED).misfit, runs=len(sources))
        for row in answers[seeds == seed]:
            share = float(row[draw.choice(len(row), ASKED, replace=False)].mean())
            found.append(Tried(float(row.mean()), estimate(part, row[list(chosen)]), share, wilson(share, ASKED)))
    return found


def main() -> None:
    """Trains, answers, and writes the result's file and the table of docs/adaptive.md."""
    with tempfile.TemporaryDirectory() as folder:
        told: dict[str, Any] = {"dress": Dress(Chat()), "settings": Settings(home=Path(folder))}
        tasks = [build(TaskChoice(name=name), **told) for name in TASKS]
        models = [answered(model, tasks) for model in trained(Path(folder))]
    runs, rows = len(models) - len(LENGTHS), list[dict[str, object]]()
    for place, task in enumerate(TASKS):
        answers = np.asarray([one[place] for one in models])
        shares = answers.mean(axis=1)
        rows.append({"task": f"{task}, shares {shares.min():.2f} to {shares.max():.2f}", "runs": runs} | judged(tried(answers)))
    write("adaptive_answers", {"asked": ASKED, "models": len(models), "rows": rows})
    tabled(rows, name="answers")


if __name__ == "__main__":
    main()
