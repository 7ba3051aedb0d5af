"""Item response theory: what a document asks of a model, fitted from whole runs, and a whole task's share from a part of its documents.

In the two-parameter logistic model a model of ability t is right on document i with probability P_i(t) = 1 / (1 + exp(-(a_i·t + c_i)));
abilities are standard normal. The parameters are those of the greatest marginal posterior, by EM over a grid of abilities: in each step
every run has a posterior over the grid, and every document's (ln a, c) takes a Newton step on the answers that are then expected. Few
runs tell little of a document: ln a is drawn towards the documents' mean with SD 0.4, c with SD 2.

The estimate is what was answered, and what the posterior of the model's ability expects of the rest (p-IRT). Its variance is that of the
expectation over the posterior, and the rest's own answers'. The model is never quite true, and its parameters are not quite known: so
each source run is estimated too, by parameters fitted without it, and the mean square of those errors over their variance, 1 at least, is
the factor of every variance. With m source runs the interval is Student's with m degrees of freedom. It holds for models such as those of
the sources, however wrong the logistic curves are (docs/adaptive.md has what was found).

Which documents are asked: in each stratum of documents that are about as hard, the most informative ones, by the Fisher information
a_i²·P_i·(1 - P_i) over the sources' abilities. The most informative of all lie together where parameters happen to be overrated.

Source: Birnbaum, in Lord and Novick, Statistical Theories of Mental Test Scores (1968), chapters 17-20; Bock and Aitkin, Psychometrika 46
(1981) 443-459; Mislevy, Psychometrika 51 (1986) 177-195, on priors; Polo et al., tinyBenchmarks, ICML 2024, section 3, on p-IRT.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats
from scipy.special import expit, log_expit, softmax

from streams.statistics.intervals import Interval
from streams.statistics.spreads import Floats

GRID: Final = np.linspace(-4.0, 4.0, 61)
PRIOR: Final = -(GRID**2) / 2
STEPS, SLOPE_SD, INTERCEPT_SD, LONGEST_STEP = 12, 0.4, 2.0, 1.0
FOLDS, STRATA = 6, 10
DIGITS = 6  # what machines agree on, so that they choose alike


@dataclass(frozen=True, slots=True)
class Items:
    """Documents' parameters, shape [documents], and how the sources' abilities lie on the grid, shape [grid]."""

    slopes: Floats
    intercepts: Floats
    abilities: Floats

    @property
    def curves(self) -> Floats:
        """The probability that each ability is right on each document, shape [grid, documents]."""
        return curves(self.slopes, self.intercepts)


@dataclass(frozen=True, slots=True)
class Part:
    """All that the estimate needs: the parameters of what is asked, shape [asked], and of the others only how many are right.

    `rest_mean`, `rest_variance`: of the right answers among the others, at each ability, shape [grid]; `rest` is how many these are.
    `misfit`: the factor of variances, from `runs` source runs.
    """

    slopes: Floats
    intercepts: Floats
    rest: int
    rest_mean: Floats
    rest_variance: Floats
    misfit: float
    runs: int


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Of estimates of runs by parameters fitted without them: the mean square of their errors over their variances, 1 at least, and their
    root mean square error over that of as many documents drawn at random."""

    misfit: float
    error_ratio: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """The share that all documents would give, its standard error, misfit included, and its 95 % interval."""

    value: float
    stderr: float
    interval: Interval


def curves(slopes: Floats, intercepts: Floats) -> Floats:
    """The probability that each ability of the grid is right on each document, shape [grid, documents]."""
    found: Floats = expit(np.outer(GRID, slopes) + intercepts)
    return found


def fitted(answers: Floats) -> Items:
    """The parameters of documents from runs' answers, 1 or 0, NaN where there is none, shape [runs, documents]."""
    asked = np.isfinite(answers).astype(np.float64)
    right = np.where(asked > 0, answers, 0.0)
    logs = np.zeros(answers.shape[1])
    share = (right.sum(0) + 0.5) / (asked.sum(0) + 1)
    intercepts = np.log(share / (1 - share))
    for _ in range(STEPS):
        post = _posteriors(right, asked, np.exp(logs), intercepts)
        logs, intercepts = _stepped(logs, intercepts, post.T @ asked, post.T @ right)
    slopes = np.exp(logs)
    return Items(slopes, intercepts, _posteriors(right, asked, slopes, intercepts).mean(0))


def _posteriors(right: Floats, asked: Floats, slopes: Floats, intercepts: Floats) -> Floats:
    """Each run's posterior over the grid, shape [runs, grid]."""
    lean = np.outer(GRID, slopes) + intercepts
    found: Floats = softmax(right @ log_expit(lean).T + (asked - right) @ log_expit(-lean).T + PRIOR, axis=1)
    return found


def _stepped(logs: Floats, intercepts: Floats, asked: Floats, right: Floats) -> tuple[Floats, Floats]:
    """(ln a, c) one Newton step on: of each document, `asked` and `right` are how many are expected at each ability, [grid, documents]."""
    slopes, ability = np.exp(logs), GRID[:, None]
    share = curves(slopes, intercepts)
    excess, weight = right - asked * share, asked * share * (1 - share)
    towards = (logs.mean() - logs) / SLOPE_SD**2, (intercepts.mean() - intercepts) / INTERCEPT_SD**2
    by_log, by_intercept = slopes * (ability * excess).sum(0) + towards[0], excess.sum(0) + towards[1]
    log_log = slopes**2 * (ability**2 * weight).sum(0) + SLOPE_SD**-2
    both, twice = slopes * (ability * weight).sum(0), weight.sum(0) + INTERCEPT_SD**-2
    whole = log_log * twice - both**2
    steps = (twice * by_log - both * by_intercept) / whole, (log_log * by_intercept - both * by_log) / whole
    return logs + np.clip(steps[0], -LONGEST_STEP, LONGEST_STEP), intercepts + np.clip(steps[1], -LONGEST_STEP, LONGEST_STEP)


def informative(items: Items, count: int) -> tuple[int, ...]:
    """Which documents to ask, so many, in ascending order: of each stratum by difficulty the most informative."""
    share = items.curves
    told = np.round(items.abilities @ (items.slopes**2 * share * (1 - share)), DIGITS)
    easy_first = np.argsort(-np.round(items.abilities @ share, DIGITS), kind="stable")
    strata = np.array_split(easy_first, min(STRATA, count))
    ends = np.round(np.linspace(0, count, len(strata) + 1)).astype(int)
    found = [one[np.argsort(-told[one], kind="stable")][:own] for one, own in zip(strata, np.diff(ends), strict=True)]
    return tuple(sorted(np.concatenate(found).tolist()))


def part_of(items: Items, chosen: tuple[int, ...], *, misfit: float = 1.0, runs: int) -> Part:
    """What the estimate from these documents needs."""
    others = np.setdiff1d(np.arange(len(items.slopes)), chosen)
    share = items.curves[:, others]
    asked = np.asarray(chosen)
    return Part(items.slopes[asked], items.intercepts[asked], len(others), share.sum(1), (share * (1 - share)).sum(1), misfit, runs)


def held_out(answers: Floats, count: int) -> HeldOut:
    """How far off the estimates of runs are by parameters that were fitted without them.

    `answers`: [runs, documents], two runs at least, all of them whole; `count` documents are asked.
    """
    fold, squares, ratios = np.arange(len(answers)) % FOLDS, list[float](), list[float]()
    for left_out in sorted(set(fold.tolist())):
        items = fitted(answers[fold != left_out])
        chosen = informative(items, count)
        part = part_of(items, chosen, runs=len(answers))
        for row in answers[fold == left_out]:
            found = estimate(part, row[list(chosen)])
            squares.append((found.value - float(row.mean())) ** 2)
            ratios.append(squares[-1] / found.stderr**2)
    drawn = _variance_at_random(answers, count)
    return HeldOut(max(1.0, float(np.mean(ratios))), float(np.sqrt(np.mean(squares) / drawn)))


def _variance_at_random(answers: Floats, count: int) -> float:
    """The mean variance that the share of so many documents, drawn without replacement, has of the runs': p'(1 - p')/n·(N - n)/(N - 1)."""
    documents = answers.shape[1]
    share = (answers.sum(axis=1) + 0.5) / (documents + 1)
    return float(np.mean(share * (1 - share)) / count * (documents - count) / (documents - 1))


def estimate(part: Part, answers: Floats) -> Estimate:
    """The share of right answers that all documents would give; `answers` to what was asked: 1, 0 or NaN, shape [asked]."""
    there = np.isfinite(answers)
    right, share = np.where(there, answers, 0.0), curves(part.slopes, part.intercepts)
    (post,) = _posteriors(right[None], there.astype(np.float64)[None], part.slopes, part.intercepts)
    unknown = share[:, ~there]
    mean = part.rest_mean + unknown.sum(1)
    own = part.rest_variance + (unknown * (1 - unknown)).sum(1)
    expected = float(post @ mean)
    documents, known = part.rest + len(answers), float(right.sum())
    variance = part.misfit * float(post @ (mean - expected) ** 2 + post @ own)
    stderr, value = variance**0.5 / documents, (known + expected) / documents
    reach = float(stats.t.ppf(0.975, part.runs)) * stderr
    most = (known + part.rest + np.count_nonzero(~there)) / documents
    return Estimate(value, stderr, (max(value - reach, known / documents), min(value + reach, most)))
