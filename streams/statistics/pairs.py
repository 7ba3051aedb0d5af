"""Strengths from comparisons in pairs: Bradley and Terry's model with ties, the order in which two stand, and their lengths.

Of two answers, the first of strength λ_i and the second of λ_j, with d = λ_i - λ_j + δ + β·x, a judge says

    first ∝ e^(d/2),    second ∝ e^(-d/2),    tie ∝ ν.

δ is what the first place is worth, β what length is, x = log₂ of how many times as long the first is. Strengths are log-odds, and
add up to 0. The log-likelihood is concave; it is climbed by Newton's method. It has a summit where every model can be reached from every
other by "was at least once as good as" (Ford); where one always wins its strength has no bound, and none is told.

Intervals come from drawing whole clusters (all comparisons on one document) anew: with a draw's counts w, θ + (Σ w·H)⁻¹ Σ w·s is one
step of Newton's from the estimate, s and H being the clusters' scores and informations. It needs no fit per draw, and holds where the
model does not.

Source: Bradley and Terry, Biometrika 39 (1952) 324-345; ties: Davidson, JASA 65 (1970) 317-328; order: Davidson and Beaver, Biometrics 33
(1977) 693-702; when there is an answer: Ford, Am. Math. Monthly 64 (1957) 28-33; length: Dubois, Galambosi, Liang and Hashimoto,
Length-Controlled AlpacaEval (2024), arXiv 2404.04475; the one-step bootstrap: Shao and Tu, The Jackknife and Bootstrap (1995), section 5.4.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.statistics.intervals import Interval
from streams.statistics.resampling import DRAWS, SEED, percentile_interval
from streams.statistics.spreads import Floats

FEWEST: Final = 20  # documents, below which nothing is told
METHOD: Final = "bootstrap of documents"
TELLING: Final = 8  # comparisons that a model won, and lost (a tie counts half each), below which its interval is not told
STEPS, CLOSE, FARTHEST = 60, 1e-9, 12.0  # of Newton's method; log-odds beyond which a strength has no bound
SMALLEST, NO_WIDTH = 1e-9, 1e-6
_CHUNK_CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class Bout:
    """A judge's word on two answers to one document: what the first is `worth`, 1 (better), 0.5 (a tie) or 0; x is `longer`."""

    first: str
    second: str
    worth: float
    longer: float
    cluster: Hashable


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval; `why` says why what is None is."""

    value: float | None
    interval: Interval | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Strength:
    """A model's strength in log-odds, 0 being the mean of all. `points`: how much of a comparison it is expected to win against the others,
    a tie counting half, whatever the order."""

    model: str
    strength: Estimate
    points: Estimate
    bouts: int


@dataclass(frozen=True, slots=True)
class Strengths:
    """Strengths of models, the greatest first. `order`: δ; `length`: β, the log-odds of being twice as long, None where it was left out;
    `ties`: the share of ties between equals, ν/(2 + ν). `why` says why there are none."""

    models: tuple[Strength, ...]
    order: Estimate
    length: Estimate
    ties: Estimate
    bouts: int
    clusters: int
    why: str | None = None


@dataclass(frozen=True, slots=True)
class _Design:
    """Comparisons as numbers: `rows`, shape [bouts, parameters of d]; `said`, [bouts]: 1, 0 or -1 as the first wins, ties or loses;
    `place`, [bouts]: the cluster's number, of `clusters`; `tied`: the last parameter is ln ν, for there are ties."""

    rows: Floats
    said: Floats
    place: NDArray[np.intp]
    clusters: int
    tied: bool


def strengths(bouts: Sequence[Bout], *, length: bool = False) -> Strengths:
    """The strengths of all models that are compared; `length`: as they were if all answers were equally long."""
    names = sorted({name for bout in bouts for name in (bout.first, bout.second)})
    numbers: dict[Hashable, int] = {}
    place = np.asarray([numbers.setdefault(bout.cluster, len(numbers)) for bout in bouts], dtype=np.intp)
    said = np.asarray([2 * bout.worth - 1 for bout in bouts])
    why = _why_not(bouts, names, len(numbers))
    rows = np.empty((0, 0)) if why else _rows(bouts, names, length=length)
    if not why and np.linalg.matrix_rank(rows) < rows.shape[1]:
        why = (
            "all answers are equally long" if length else "no model stood in both places: its strength and the order's cannot be told apart"
        )
    design = _Design(rows, said, place, len(numbers), bool((said == 0).any()))
    found = None if why else _fitted(design)
    if found is None:
        none = Estimate(None, why=why or "one side always wins: there is no bound to its strength")
        return Strengths((), none, none, none, len(bouts), len(numbers), none.why)
    return _told(bouts, names, design, found, length=length)


def _why_not(bouts: Sequence[Bout], names: Sequence[str], documents: int) -> str | None:
    if documents < FEWEST:
        return f"fewer than {FEWEST} documents: too few"
    if len(names) < 2:
        return f"both runs are of one model, {names[0]}: there is nothing to be stronger than"
    edges = {(bout.first, bout.second) for bout in bouts}
    reached = _reached(names[0], edges | {(b, a) for a, b in edges})
    if reached < set(names):
        return f"not connected: nothing compares {', '.join(sorted(reached))} with {', '.join(sorted(set(names) - reached))}"
    good = {(b.first, b.second) for b in bouts if b.worth > 0} | {(b.second, b.first) for b in bouts if b.worth < 1}
    # Who is reached along "was once as good as" is ahead of, or level with, the first model; against it, behind or level.
    for told, onward in ((good, True), ({(b, a) for a, b in good}, False)):
        found = _reached(names[0], told)
        if others := set(names) - found:
            ahead, behind = (others, found) if onward else (found, others)
            return f"too one-sided: {', '.join(sorted(behind))} never beat or equalled {', '.join(sorted(ahead))}"
    return None


def _reached(start: str, edges: Iterable[tuple[str, str]]) -> set[str]:
    """The models that can be reached from one along the edges."""
    onward: dict[str, set[str]] = {}
    for one, other in edges:
        onward.setdefault(one, set()).add(other)
    found, left = {start}, [start]
    while left:
        new = onward.get(left.pop(), set()) - found
        found |= new
        left += new
    return found


def _rows(bouts: Sequence[Bout], names: Sequence[str], *, length: bool) -> Floats:
    """What d is made of: +1 and -1 at the two models (the last has none: its strength follows), 1 for the order, x."""
    number = {name: place for place, name in enumerate(names)}
    each = np.arange(len(bouts))
    rows = np.zeros((len(bouts), len(names) + 1 + length))
    rows[each, [number[bout.first] for bout in bouts]] += 1
    rows[each, [number[bout.second] for bout in bouts]] -= 1
    rows[:, len(names)] = 1
    if length:
        rows[:, -1] = [bout.longer for bout in bouts]
    return np.delete(rows, len(names) - 1, axis=1)


def _chances(design: _Design, found: Floats) -> tuple[Floats, Floats, Floats]:
    """What the model expects: win less loss, a tie, and how decided, win plus loss; each of shape [bouts]."""
    half = design.rows @ found[: design.rows.shape[1]] / 2
    top = np.maximum(np.abs(half), found[-1] if design.tied else 0.0)
    win, loss = np.exp(half - top), np.exp(-half - top)
    tie = np.exp(found[-1] - top) if design.tied else np.zeros_like(half)
    whole = win + loss + tie
    return (win - loss) / whole, tie / whole, (win + loss) / whole


def _likelihood(design: _Design, found: Floats) -> float:
    half = design.rows @ found[: design.rows.shape[1]] / 2
    own = np.where(design.said == 0, found[-1] if design.tied else 0.0, design.said * half)
    logs = np.logaddexp(half, -half)
    return float((own - (np.logaddexp(logs, found[-1]) if design.tied else logs)).sum())


def _steps(design: _Design, found: Floats) -> tuple[Floats, Floats]:
    """Each comparison's score, [bouts, parameters], and its information: of d, of d with ln ν, of ln ν, [3, bouts]."""
    ahead, tie, decided = _chances(design, found)
    scores = (design.said - ahead)[:, None] / 2 * design.rows
    if design.tied:
        scores = np.hstack([scores, ((design.said == 0) - tie)[:, None]])
    return scores, np.stack([(decided - ahead**2) / 4, -tie * ahead / 2, tie * (1 - tie)])


def _information(design: _Design, weights: Floats) -> Floats:
    """Σ w·H over comparisons whose informations are those `weights`, shape [3, bouts]: [parameters, parameters]."""
    rows = design.rows
    inner: Floats = rows.T @ (rows * weights[0][:, None])
    if not design.tied:
        return inner
    edge = rows.T @ weights[1]
    return np.block([[inner, edge[:, None]], [edge[None, :], weights[2].sum()]])


def _fitted(design: _Design) -> Floats | None:
    """The estimate, by Newton's method with halved steps; None where it runs away, for no bound holds it."""
    found = np.zeros(design.rows.shape[1] + design.tied)
    likelihood = _likelihood(design, found)
    for _ in range(STEPS):
        scores, weights = _steps(design, found)
        step: Floats = np.linalg.lstsq(_information(design, weights), scores.sum(axis=0), rcond=None)[0]
        share = 1.0
        while (higher := _likelihood(design, found + share * step)) < likelihood and share > CLOSE:
            share /= 2
        found, likelihood = found + share * step, max(higher, likelihood)
        if np.abs(found[: design.rows.shape[1]]).max() > FARTHEST:
            return None
        if np.abs(step).max() < CLOSE:
            return found
    return found


def _drawn(design: _Design, found: Floats) -> Floats:
    """Estimates from clusters drawn anew, shape [DRAWS, parameters], by one step of Newton's."""
    scores, weights = _steps(design, found)
    count, size = design.clusters, scores.shape[1]
    score = np.zeros((count, size))
    np.add.at(score, design.place, scores)
    order = np.argsort(design.place, kind="stable")
    ends = np.searchsorted(design.place[order], np.arange(count + 1))
    informations = np.stack([
        _information(replace(design, rows=design.rows[own]), weights[:, own]).ravel()
        for own in (order[first:last] for first, last in pairwise(ends))
    ])  # fmt: skip
    draw, even = np.random.default_rng([SEED, 0]), np.full(count, 1 / count)
    step, drawn = max(1, _CHUNK_CELLS // count), []
    for first in range(0, DRAWS, step):
        counts = draw.multinomial(count, even, size=min(step, DRAWS - first)).astype(np.float64)
        whole = (counts @ informations).reshape(-1, size, size) + np.eye(size) * SMALLEST
        drawn.append(found + np.linalg.solve(whole, (counts @ score)[..., None])[..., 0])
    return np.concatenate(drawn)


def _told(bouts: Sequence[Bout], names: Sequence[str], design: _Design, found: Floats, *, length: bool) -> Strengths:
    """The estimates with their intervals. Of figures that few comparisons decide, the interval is left out."""
    drawn = np.vstack([found, _drawn(design, found)])
    own = np.hstack([drawn[:, : len(names) - 1], np.zeros((len(drawn), 1))])
    own -= own.mean(axis=1, keepdims=True)
    equal = np.exp(drawn[:, -1]) if design.tied else np.zeros(len(drawn))
    points = _points(own, equal)
    models = tuple(
        Strength(name, _estimate(own[:, at], design, few), _estimate(points[:, at], design, few), _times(bouts, name))
        for at, name in enumerate(names) for few in [_few(bouts, name)]
    )  # fmt: skip
    ties = int((design.said == 0).sum())
    rare = None if ties >= TELLING else f"fewer than {TELLING} ties: too few for an interval"
    return Strengths(
        tuple(sorted(models, key=lambda one: -(one.strength.value or 0.0))), _estimate(drawn[:, len(names) - 1], design, None),
        _estimate(drawn[:, len(names)], design, None) if length else Estimate(None, why="length was left out"),
        _estimate(equal / (2 + equal), design, rare), len(bouts), design.clusters,
    )  # fmt: skip


def _points(own: Floats, equal: Floats) -> Floats:
    """What each model is expected to win against the others, [draws, models]: P(win) + P(tie)/2, for d/2 and ν."""
    half = (own[:, :, None] - own[:, None, :]) / 2
    win = (np.exp(half) + equal[:, None, None] / 2) / (np.exp(half) + np.exp(-half) + equal[:, None, None])
    count = own.shape[1]
    told: Floats = (win.sum(axis=2) - 0.5) / (count - 1)
    return told


def _estimate(drawn: Floats, design: _Design, few: str | None) -> Estimate:
    """The first is the estimate, the others are draws. Where all are the same nothing says how sure it is, and no interval has no width."""
    low, high = percentile_interval(drawn[1:], n=design.clusters)
    why = few or ("no document says otherwise: nothing tells how sure it is" if high - low < NO_WIDTH else None)
    return Estimate(float(drawn[0]), None if why else (low, high), why)


def _times(bouts: Sequence[Bout], name: str) -> int:
    return sum(name in (bout.first, bout.second) for bout in bouts)


def _few(bouts: Sequence[Bout], name: str) -> str | None:
    """Why there is no interval, where a model won or lost too rarely: then it hangs on single documents."""
    worth = [bout.worth if bout.first == name else 1 - bout.worth for bout in bouts if name in (bout.first, bout.second)]
    won = sum(worth)
    return (
        None
        if TELLING <= won <= len(worth) - TELLING
        else f"fewer than {TELLING} comparisons {'won' if won < TELLING else 'lost'}: too few"
    )
