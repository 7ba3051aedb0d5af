"""Recommendations held to a planted world: how often the choice is the right one, whether its confidence is true, and what deciding costs.

`make bench-decide` prints the figures and writes benchmarks/results/decide.json (minutes); `--quick` takes few worlds and writes nothing.
The same seeds give the same worlds. Each has 50 models on 8 devices, 200 documents of two tasks a model and one speed run a candidate.

- right: the choice is what an oracle that knows the truth would choose, by the same weights.
- ECE: the mean distance between what was said (confidence) and what came of it, over ten bins of the confidence, weighed by their worlds;
  beside it what chance alone would give were every confidence exactly true.
- regret: how much less the choice is truly worth than the oracle's, on the scale of values from 0 to 1; who breaks a constraint is worth 0.
- what to measure next: until the confidence reaches 90 % or a budget is spent, the best offer for a dollar against one drawn by chance; in
  worlds of 20 models on 8 devices.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness import median, show, write
from benchmarks.planted import DEVICES, RUN_HOURS, SPEED_ERROR, TASKS, USD_PER_DOCUMENT, Planted, planted
from streams.deciding.candidates import TaskScores
from streams.deciding.measuring_next import Offer, worths
from streams.deciding.offering import contenders, documents, models_of, speed_run
from streams.deciding.recommending import recommend
from streams.deciding.screening import Decision, decision, screened
from streams.statistics.spreads import Floats

WORLDS, QUICK, PURSUED = 1000, 60, 60
BINS, SIMULATED = 10, 200
BUDGET_USD, ENOUGH = 4.0, 0.9
FEWER = 20
MORE_DOCUMENTS = (500, 2000)
CANDIDATES, TIMED = 1000, 15


@dataclass(frozen=True, slots=True)
class Told:
    """What was said of a world, and what came of it. `chances` and `kept`: of each that was left, said and true feasibility."""

    confidence: float
    right: bool
    feasible: bool
    regret: float
    chances: tuple[float, ...]
    kept: tuple[bool, ...]


def decided(world: Planted) -> Decision | None:
    """The decision from what has been measured; None where nobody is left."""
    return decision(world.requirement, screened(world.requirement, world.candidates, world.task_scores))


def told_of(world: Planted) -> Told | None:
    """One world's record; None where nobody is left, or nobody truly keeps all."""
    made = decided(world)
    if made is None or made.confidence.choice is None:
        return None
    values, keeps = world.judged(made.weights)
    if not keeps.any():
        return None
    left, sure = [world.places[one.key] for one in made.worlds.candidates], made.confidence
    worth, choice = np.where(keeps, values, 0.0), left[made.confidence.choice]
    oracle = int(np.argmax(np.where(keeps, values, -np.inf)))
    return Told(
        float(sure.chosen.max()), choice == oracle, bool(keeps[choice]), float(worth[oracle] - worth[choice]),
        tuple(sure.feasible.tolist()), tuple(keeps[left].tolist()),
    )  # fmt: skip


def ece(said: Floats, came: Floats) -> float:
    """The expected calibration error over ten bins. Source: Naeini, Cooper and Hauskrecht, AAAI 29 (2015) 2901-2907."""
    bins = np.minimum((said * BINS).astype(int), BINS - 1)
    return float(sum(abs((came - said)[bins == n].sum()) for n in range(BINS)) / len(said))


def by_chance(said: Floats) -> float:
    """The ECE that exactly true confidences would show, on average."""
    chance = np.random.default_rng(1)
    return statistics.mean(ece(said, (chance.random(len(said)) < said).astype(float)) for _ in range(SIMULATED))


def record(told: Sequence[Told]) -> dict[str, Any]:
    """The figures of many worlds."""
    said, right = np.array([one.confidence for one in told]), np.array([one.right for one in told], dtype=float)
    chances = np.concatenate([one.chances for one in told])
    kept = np.concatenate([one.kept for one in told]).astype(float)
    sure, regrets = said >= 0.8, [one.regret for one in told]
    return {
        "worlds": len(told), "right_ratio": _ratio(right.mean()), "mean_confidence": _ratio(said.mean()), "ece": _ratio(ece(said, right)),
        "ece_by_chance": _ratio(by_chance(said)), "confident_ratio": _ratio(sure.mean()),
        "right_where_confident_ratio": _ratio(right[sure].mean()), "feasible_ratio": _ratio(np.mean([one.feasible for one in told])),
        "regret_mean": _ratio(np.mean(regrets)), "regret_where_confident_mean": _ratio(np.mean(np.array(regrets)[sure])),
        "feasibility_ece": _ratio(ece(chances, kept)),
        "reliability": [
            {"confidence": f"{n / BINS:.1f}-{(n + 1) / BINS:.1f}", "worlds": int(own.sum()), "said": _ratio(said[own].mean()),
             "right": _ratio(right[own].mean())}
            for n in range(BINS) if (own := np.minimum((said * BINS).astype(int), BINS - 1) == n).any()
        ],
    }  # fmt: skip


def _ratio(value: float | np.floating[Any]) -> float:
    return round(float(value), 4)


@dataclass(frozen=True, slots=True)
class Bought:
    """An offer, and how it is carried out."""

    offer: Offer
    do: Callable[[], None]


def offers(world: Planted, made: Decision) -> list[Bought]:
    """More documents of a task for the models that contend, and a speed run of each candidate that does."""
    contend = contenders(made)
    found = [_documents(world, made, task, count, contend) for task in TASKS for count in MORE_DOCUMENTS]
    return [*found, *(_run(world, made, n) for n in contend)]


def _documents(world: Planted, made: Decision, task: str, count: int, contend: tuple[int, ...]) -> Bought:
    scores, models = TaskScores(task, world.models, world.scores[task]), tuple(models_of(made, contend))
    offer = documents(made, scores, count, usd_per_document=USD_PER_DOCUMENT, places=contend)
    return Bought(offer, lambda: world.read(task, count, models))


def _run(world: Planted, made: Decision, place: int) -> Bought:
    one = made.worlds.candidates[place]
    offer = speed_run(made, place, usd=RUN_HOURS * (one.usd_per_hour or 1.0), relative_error=SPEED_ERROR)
    return Bought(offer, lambda: world.run(one.key))


@dataclass(frozen=True, slots=True)
class Pursued:
    """What it took to be sure enough, and whether the choice then was right."""

    usd: float
    steps: int
    reached: bool
    right: bool


def pursue(seed: int, *, best: bool) -> Pursued | None:
    """Measures until sure enough or out of money; None where it was sure from the beginning, or nobody keeps all."""
    world, chance, usd, steps = planted(seed, models=FEWER), np.random.default_rng(seed), 0.0, 0
    while True:
        made = decided(world)
        if made is None or made.confidence.choice is None:
            return None
        reached = float(made.confidence.chosen.max()) >= ENOUGH
        if steps == 0 and reached:
            return None
        if reached or usd >= BUDGET_USD:
            return Pursued(usd, steps, reached, _is_right(world, made, made.confidence.choice))
        open_to = offers(world, made)
        taken = _best(made, open_to) if best else open_to[int(chance.integers(len(open_to)))]
        if taken is None:
            return Pursued(usd, steps, False, _is_right(world, made, made.confidence.choice))
        taken.do()
        usd, steps = usd + taken.offer.usd, steps + 1


def _best(made: Decision, open_to: Sequence[Bought]) -> Bought | None:
    """The best for a dollar; None where nothing on offer is expected to help."""
    first = worths(made.confidence, [one.offer for one in open_to])[0]
    return next(one for one in open_to if one.offer is first.offer) if first.gain else None


def _is_right(world: Planted, made: Decision, choice: int) -> bool:
    values, keeps = world.judged(made.weights)
    oracle = int(np.argmax(np.where(keeps, values, -np.inf)))
    return bool(keeps.any()) and world.truth[oracle].key == made.worlds.candidates[choice].key


def savings(seeds: Sequence[int]) -> dict[str, Any]:
    """Both ways over the same worlds."""
    found: dict[str, list[Pursued]] = {"best for a dollar": [], "by chance": []}
    for seed in seeds:
        first, second = (pursue(seed, best=best) for best in (True, False))
        if first and second:
            found["best for a dollar"].append(first)
            found["by chance"].append(second)
    rows = {name: _means(own) for name, own in found.items()}
    saved = 1 - rows["best for a dollar"]["usd_mean"] / rows["by chance"]["usd_mean"]
    return {"budget_usd": BUDGET_USD, "enough": ENOUGH, **rows, "saved_ratio": _ratio(saved)}


def _means(own: Sequence[Pursued]) -> dict[str, float]:
    names = ("usd", "steps", "reached", "right")
    return {"worlds": len(own), **{f"{name}_mean": _ratio(statistics.mean(getattr(one, name) for one in own)) for name in names}}


def speed() -> dict[str, Any]:
    """What one recommendation over 1,000 candidates takes, in ms of the clock and of the processor."""
    world = planted(0, models=CANDIDATES // len(DEVICES))
    clock, processor = [], []
    for _ in range(TIMED):
        began, used = time.perf_counter(), time.process_time()
        recommend(world.requirement, world.candidates, world.task_scores)
        clock.append((time.perf_counter() - began) * 1e3)
        processor.append((time.process_time() - used) * 1e3)
    return {
        "candidates": len(world.truth),
        "clock_ms": median(clock),
        "fastest_ms": median([min(clock)]),
        "processor_ms": median(processor),
    }


def main() -> None:
    """Plants worlds, decides them, prints what came of it, and writes it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} worlds; nothing is written")
    quick, began = parser.parse_args().quick, time.monotonic()
    told = [one for seed in range(QUICK if quick else WORLDS) if (one := told_of(planted(seed))) is not None]
    found = record(told)
    show(f"{found['worlds']:,} worlds of 50 models on 8 devices", [{k: v for k, v in found.items() if k != "reliability"}])
    show("Said and came", found["reliability"])
    saved = savings(range(QUICK // 4 if quick else PURSUED))
    show("Until sure enough", [{"way": name, **saved[name]} for name in ("best for a dollar", "by chance")])
    took = speed()
    show(f"{took['candidates']:,} candidates", [took])
    if not quick:
        write("decide", {"record": found, "next": saved, "speed": took, "took_s": round(time.monotonic() - began)})


if __name__ == "__main__":
    main()
