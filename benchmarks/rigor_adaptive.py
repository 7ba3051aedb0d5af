"""The cells of `make bench-rigor` about tasks that are asked adaptively; `python -m benchmarks.rigor_adaptive`: how far estimates are off.

Models are drawn from a world, whole runs of some are fitted, and others, held out, are estimated by a part. Of each the estimate and its
interval are held to the share that all of its answers give; beside it as many documents drawn at random, with Wilson's interval.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit

from benchmarks.harness import RESULTS, write
from streams.statistics.intervals import Interval, wilson
from streams.statistics.items import Estimate, estimate, fitted, held_out, informative, part_of
from streams.statistics.spreads import Floats

Draw = np.random.Generator
Find = Callable[[Draw, int], float]
WORLDS: Final = {
    "the model is true": 0.93,
    "a quarter is guessed": 0.9,
    "two abilities": 0.9,
    "quirks": 0.9,
}
RUNS, DOCUMENTS, ASKED, HELD_OUT, SIMULATIONS = (12, 24, 48), 1000, 100, 40, 480
PAGE = RESULTS.parents[1] / "docs" / "adaptive.md"


@dataclass(frozen=True, slots=True)
class Tried:
    """A held-out model: its true share, what the part says, and what as many documents at random say."""

    truth: float
    found: Estimate
    drawn: float
    drawn_interval: Interval | None


def adaptive() -> Iterator[tuple[str, float, Find, int]]:
    """Name, bound, share of intervals that hold, and simulations of each."""
    for (world, bound), runs in itertools.product(WORLDS.items(), RUNS):

        def find(draw: Draw, count: int, world: str = world, runs: int = runs) -> float:
            return _held([(one.found.interval, one.truth) for one in tried(draw, count, world=world, runs=runs)])

        yield f"{world}, runs = {runs}", bound, find, SIMULATIONS


def tried(draw: Draw, count: int, *, world: str, runs: int, ahead: float = 0.0) -> list[Tried]:
    """So many held-out models, with new sources for every HELD_OUT; `ahead`: how much abler than the sources they are."""
    found = list[Tried]()
    while len(found) < count:
        abilities = draw.normal(0, 1, runs + HELD_OUT) + ahead * (np.arange(runs + HELD_OUT) >= runs)
        answers = answered(draw, abilities, world=world, documents=DOCUMENTS)
        sources = answers[:runs]
        items = fitted(sources)
        chosen = informative(items, ASKED)
        part = part_of(items, chosen, misfit=held_out(sources, ASKED).misfit, runs=runs)
        for row in answers[runs:]:
            share = float(row[draw.choice(DOCUMENTS, ASKED, replace=False)].mean())
            found.append(Tried(float(row.mean()), estimate(part, row[list(chosen)]), share, wilson(share, ASKED)))
    return found[:count]


def answered(draw: Draw, abilities: Floats, *, world: str, documents: int) -> Floats:
    """Right and wrong answers of models of these abilities, shape [models, documents]."""
    slopes, hard = np.exp(draw.normal(0, 0.5, documents)), draw.normal(0, 1.3, documents)
    own = abilities[:, None]
    if world == "two abilities":
        other = 0.6 * own + 0.8 * draw.normal(0, 1, own.shape)
        own = np.where(draw.random(documents) < 0.5, own, other)
    lean = slopes * (own - hard)
    if world == "quirks":
        lean = lean + draw.normal(0, 1, lean.shape)
    right = expit(lean)
    if world == "a quarter is guessed":
        right = 0.25 + 0.75 * right
    return (draw.random(right.shape) < right).astype(np.float64)


def _held(pairs: Sequence[tuple[Interval | None, float]]) -> float:
    return float(np.mean([own is not None and own[0] <= truth <= own[1] for own, truth in pairs]))


def _width(intervals: Sequence[Interval | None]) -> float:
    return float(np.mean([own[1] - own[0] for own in intervals if own]))


def judged(found: Sequence[Tried]) -> dict[str, object]:
    """Mean error, coverage and mean width of the estimates, and of documents drawn at random."""
    return {
        "error": float(np.mean([abs(one.found.value - one.truth) for one in found])),
        "coverage": _held([(one.found.interval, one.truth) for one in found]),
        "width": _width([one.found.interval for one in found]),
        "drawn_error": float(np.mean([abs(one.drawn - one.truth) for one in found])),
        "drawn_coverage": _held([(one.drawn_interval, one.truth) for one in found]),
        "drawn_width": _width([one.drawn_interval for one in found]),
    }


def tabled(rows: Sequence[dict[str, object]], *, name: str) -> None:
    """Writes the rows as the table of that name in docs/adaptive.md."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    head = f"| {next(iter(rows[0]))} | runs | error | coverage | width | random: error | coverage | width |\n|{' --- |' * 8}\n"
    told = head + "".join(
        "| " + " | ".join(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()) + " |\n" for row in rows
    )
    before, _, rest = PAGE.read_text().partition(begin)
    PAGE.write_text(f"{before}{begin}{told}{end}{rest.partition(end)[2]}")


def main() -> None:
    """Finds the figures, and writes the result's file and the table of docs/adaptive.md."""
    asked = [(world, runs, 0.0) for world, runs in itertools.product(WORLDS, RUNS)] + [("the model is true", 24, 2.0)]
    rows = list[dict[str, object]]()
    for world, runs, ahead in asked:
        found = tried(np.random.default_rng(24), SIMULATIONS, world=world, runs=runs, ahead=ahead)
        rows.append({"world": world + (f", held-out models abler by {ahead:g}" if ahead else ""), "runs": runs} | judged(found))
    write("adaptive", {"documents": DOCUMENTS, "asked": ASKED, "held_out": SIMULATIONS, "rows": rows})
    tabled(rows, name="figures")


if __name__ == "__main__":
    main()
