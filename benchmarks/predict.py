"""Predictions held to what was left out: in planted worlds whose truth is known, and of models that are measured here.

`make bench-predict` prints the figures and writes benchmarks/results/predict.json (minutes); `--quick` takes few worlds and writes nothing.

- *planted*: models on machines under loads (`planted_speeds.py`). In each world three models and one machine are left out of what is
  learned, and predicted. `covered` is the share of intervals that have what was measured: a mean over worlds, beside it its standard error
  and the promised level. `mdape` is the median size of errors, `roofline` that of the roofline alone, `abstained` the share not predicted.
- *here*: Llamas of random weights and several sizes on engine transformers, each timed under several lengths of prompt by the same code
  that loads use, each predicted from all the others. Times are the
  processor's, of one thread: what others take of the machine is not in them.
- *scores*: families of models on tasks (`planted_scores.py`). In each world a model, or a family, is left out, and a task of a model in it
  predicted, without and with its scores of other tasks. `error` is the median in points, `baseline` that of the median of all models.
"""

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from benchmarks.harness import machine, median, show, write
from benchmarks.planted_scores import Scores, scores
from benchmarks.planted_speeds import speeds
from gpu_agent.engines.transformers import Transformers
from infra.models import inspect
from schemas.requests import ModelRef
from streams.predicting.conformal import LEVEL
from streams.predicting.machines import machine_of
from streams.predicting.predicting import Predicted, Predictor
from streams.predicting.scores import Asked, ScoreTold, predicted
from streams.predicting.subjects import Load, Model, Row, Subject
from tests.models import save

WORLDS, QUICK = 20, 3
SCORE_WORLDS, FAMILIES, EACH, TASKS, OTHERS = 200, 8, 4, 5, (0, 3)
MODELS, MACHINES = 20, 7
LEFT_OUT, EVERY = 3, 7  # models that are left out; one in so many of their loads is predicted
SIZES: Final = ((64, 2), (96, 2), (128, 3), (192, 3), (256, 4), (320, 4), (384, 6), (512, 6), (640, 6), (768, 8))  # width, layers
PROMPTS: Final = (32, 128, 384)
WRITTEN, REPEATS = 24, 5

Kinds = dict[tuple[str, str], list[tuple[bool, float, float]]]


def planted(worlds: int) -> list[dict[str, Any]]:
    """Coverage and errors of what was left out, by kind and figure, over planted worlds."""
    by_world: dict[tuple[str, str], list[float]] = defaultdict(list)
    errors: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    asked: dict[tuple[str, str], int] = defaultdict(int)
    for seed in range(worlds):
        told = _left_out(seed, asked)
        for key, several in told.items():
            by_world[key].append(sum(within for within, _, _ in several) / len(several))
            errors[key] += [(error, best) for _, error, best in several]
    return [
        {
            "new": new, "figure": figure, "predicted": len(errors[new, figure]), "promised": LEVEL,
            "covered": round(statistics.fmean(by_world[new, figure]), 3),
            "stderr": round(float(np.std(by_world[new, figure])) / len(by_world[new, figure]) ** 0.5, 3),
            "mdape": median([error for error, _ in errors[new, figure]]), "roofline": median([best for _, best in errors[new, figure]]),
            "abstained": round(1 - len(errors[new, figure]) / asked[new, figure], 3),
        }
        for new, figure in sorted(errors)
    ]  # fmt: skip


def _left_out(seed: int, asked: dict[tuple[str, str], int]) -> Kinds:
    world, chance = speeds(seed, models=MODELS, machines=MACHINES), np.random.default_rng(seed)
    models = {str(name) for name in chance.permutation(world.models)[:LEFT_OUT]}
    machines = {str(name) for name in chance.permutation(world.machines)[:1]}
    new = [(row.subject.model.name in models, row.subject.machine.name in machines) for row in world.rows]
    predictor = Predictor([row for row, out in zip(world.rows, new, strict=True) if not any(out)])
    found: Kinds = defaultdict(list)
    for row, out in [(row, out) for row, out in zip(world.rows, new, strict=True) if any(out)][::EVERY]:
        kind = {(True, False): "model", (False, True): "machine", (True, True): "both"}[out]
        for told in predictor.predict(row.subject):
            asked[kind, told.figure] += 1
            if isinstance(told, Predicted):
                value = row.figures[told.figure]
                found[kind, told.figure].append(
                    (told.low <= value <= told.high, abs(told.value / value - 1), abs(told.roofline / value - 1))
                )
    return found


def measured(sizes: Sequence[tuple[int, int]]) -> Iterator[Row]:
    """Models of these sizes, timed here: the time to the first token, and between tokens."""
    told = machine()
    here = machine_of(f"{told['cpu']} (1 core)", devices={}, cores=1)
    assert here is not None
    torch.set_num_threads(1)
    for width, layers in sizes:
        with tempfile.TemporaryDirectory() as place:
            model, engine = _model(Path(place) / "model", width, layers)
            for prompt in PROMPTS:
                times = [_times(engine, prompt, seed) for seed in range(REPEATS)]
                first, between = (statistics.median(one[n] for one in times) for n in (0, 1))
                subject = Subject(model, "transformers", here, Load(1.0, float(prompt), float(WRITTEN)))
                yield Row(f"{width}/{layers}/{prompt}", subject, {"ttft_p50_s": first, "itl_p50_s": between})
            engine.close()


def _model(folder: Path, width: int, layers: int) -> tuple[Model, Transformers]:
    from transformers import LlamaConfig

    config = LlamaConfig(
        vocab_size=512, hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers, num_attention_heads=width // 32,
        num_key_value_heads=width // 32, max_position_embeddings=512, bos_token_id=0, eos_token_id=1, pad_token_id=2,
    )  # fmt: skip
    reference = ModelRef(uri=str(save(config, folder)))
    facts, engine = inspect(reference), Transformers()
    engine.load(reference, options={}, device="cpu")
    return Model(f"{width}/{layers}", float(facts.parameters), float(facts.weights_bytes), float(facts.kv_bytes_per_token)), engine


def _times(engine: Transformers, prompt: int, seed: int) -> tuple[float, float]:
    arrivals = [time.process_time()]
    arrivals += [time.process_time() for _ in engine.stream(input_tokens=prompt, output_tokens=WRITTEN, seed=seed)]
    return arrivals[1] - arrivals[0], statistics.median(np.diff(arrivals[1:]))


def here(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Each model's figures, predicted from all the others."""
    found: dict[str, list[tuple[bool, float, float]]] = defaultdict(list)
    for name in sorted({row.subject.model.name for row in rows}):
        predictor = Predictor([row for row in rows if row.subject.model.name != name])
        for row in (row for row in rows if row.subject.model.name == name):
            for told in predictor.predict(row.subject, list(row.figures)):
                if isinstance(told, Predicted):
                    value = row.figures[told.figure]
                    found[told.figure].append((told.low <= value <= told.high, abs(told.value / value - 1), abs(told.roofline / value - 1)))
    return [
        {
            "new": "model", "figure": figure, "predicted": len(several), "promised": LEVEL,
            "covered": round(statistics.fmean(within for within, _, _ in several), 3),
            "mdape": median([error for _, error, _ in several]), "roofline": median([best for _, _, best in several]),
        }
        for figure, several in found.items()
    ]  # fmt: skip


def scored(worlds: int) -> list[dict[str, Any]]:
    """Coverage and errors of scores of what was left out, by kind and by how many other tasks were known."""
    return [_scores(new, others, worlds) for new in ("model", "family") for others in OTHERS]


def _scores(new: str, others: int, worlds: int) -> dict[str, Any]:
    found = [_score(scores(seed, families=FAMILIES, each=EACH, tasks=TASKS), new, others, seed) for seed in range(worlds)]
    told = [one for one in found if one is not None]
    within = [float(one[0]) for one in told]
    return {
        "new": new, "other tasks": others, "predicted": len(told), "promised": LEVEL, "covered": round(statistics.fmean(within), 3),
        "stderr": round(float(np.std(within)) / len(within) ** 0.5, 3), "error": median([100 * one[1] for one in told]),
        "baseline": median([100 * one[2] for one in told]), "abstained": round(1 - len(told) / len(found), 3),
    }  # fmt: skip


def _score(world: Scores, new: str, others: int, seed: int) -> tuple[bool, float, float] | None:
    """Whether the interval has the score of the first task, and both errors; None where nothing is said."""
    one = world.known[seed % len(world.known)]
    rest = [row for row in world.known if (row is not one if new == "model" else row.family != one.family)]
    first, *tasks = world.tasks
    told = predicted(Asked(one.family, one.parameters, {task: one.scores[task] for task in tasks[:others]}), first, rest)
    if not isinstance(told, ScoreTold):
        return None
    value = one.scores[first]
    return told.low <= value <= told.high, abs(told.value - value), abs(told.baseline - value)


def main() -> None:
    """Runs both and prints them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few worlds and models; writes nothing")
    quick = parser.parse_args().quick
    worlds = planted(QUICK if quick else WORLDS)
    show(f"planted: {QUICK if quick else WORLDS} worlds of {MODELS} models on {MACHINES} machines", worlds)
    models = here(list(measured(SIZES[:6] if quick else SIZES)))
    show("measured here, each model predicted from the others", models)
    told = scored(SCORE_WORLDS // 10 if quick else SCORE_WORLDS)
    show(f"scores, planted: {FAMILIES} families of {EACH} models on {TASKS} tasks", told)
    if not quick:
        write("predict", {"planted": worlds, "here": models, "scores": told})


if __name__ == "__main__":
    main()
