"""What a metric is: from a sample its parts, and from all samples' parts its value with a standard error.

Three kinds. A *mean* of numbers. A function of *sums*: each sample gives counts, and the value is of their totals (BLEU, a ratio); its
standard error is that of 2,000 bootstrap draws. A function of all *texts* together (how many different words), whose standard error, where
it has one, leaves out one text at a time.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from streams.statistics.intervals import mean
from streams.statistics.resampling import resampled_means
from streams.statistics.spreads import spread as spread_of

Needs = Literal["answer", "text", "choices", "likelihood"]
Total = tuple[float | None, float | None]  # value, standard error
Groups = Sequence[int] | None  # of each sample, where some of one document or passage depend on each other


@dataclass(frozen=True, slots=True)
class Case:
    """A sample as metrics see it; what its task does not give is empty.

    `text` is what was generated, `references` the right answers. `form` is how many syllables each line is asked to have. `choices` are the
    log-likelihoods of choices, `right` is the place of the right one. `likelihood` (nats) is that of the text `told`: the right choice, or
    the whole document.
    `prompt` is what the model read and `output` what it wrote, before any filter; `document` is as the task has it.
    """

    text: str | None = None
    references: tuple[str, ...] = ()
    choices: tuple[float, ...] = ()
    right: int | None = None
    likelihood: float | None = None
    told: str = ""
    form: tuple[int, ...] = ()
    prompt: str = ""
    output: str | None = None
    document: Any = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric by its figure's name. `parts` gives what is kept of a sample (JSON), None where it is undefined for it.

    `total` gives the figure of all samples and its standard error: none where nobody knows how samples of one group depend on each other.
    """

    name: str
    needs: Needs
    parts: Callable[[Case], Any]
    value: Callable[[Any], float | None]
    total: Callable[[list[Any], Groups], Total]
    higher_is_better: bool = True
    aggregation: str = "mean"


def mean_of(name: str, needs: Needs, measure: Callable[[Case], float | None], *, higher_is_better: bool = True) -> Metric:
    """The mean over samples of a number, with s/√n."""
    return Metric(name, needs, measure, float, _mean, higher_is_better)


def of_sums(
    name: str, needs: Needs, parts: Callable[[Case], list[float] | None], figure: Callable[[list[float]], float | None],
    *, higher_is_better: bool = True, spread: Callable[[list[float]], list[float]] = list,
    whole: Callable[[list[float]], Total] | None = None,
) -> Metric:  # fmt: skip
    """A figure of the sums of samples' counts; `spread` makes counts of parts that are kept shorter.

    `whole` gives value and standard error of all samples' sums, where there is a better way than the figure and its bootstrap.
    """

    def total(items: list[list[float]], groups: Groups) -> Total:
        counts = np.asarray([spread(item) for item in items], dtype=np.float64).T
        if whole:
            value, error = whole(counts.sum(axis=1).tolist())
            return value, None if groups else error
        value = figure([float(one) for one in counts.sum(axis=1)])
        if value is None or counts.shape[1] < 2:
            return value, None
        draws = resampled_means(counts, stream=0, clusters=groups).T * counts.shape[1]
        found = [drawn for draw in draws if (drawn := figure([float(one) for one in draw])) is not None]
        return value, float(np.std(found, ddof=1)) if len(found) > 1 else None

    return Metric(name, needs, parts, lambda item: figure(spread(item)), total, higher_is_better, "sums")


def of_texts(
    name: str, value: Callable[[str], float | None], total: Callable[[list[str]], Total], *, higher_is_better: bool = True
) -> Metric:
    """A figure of all generated texts together; `value` is that of one alone."""

    def of_all(texts: list[str], groups: Groups) -> Total:
        figure, error = total(texts)
        return figure, None if groups else error

    return Metric(name, "text", lambda case: case.text, value, of_all, higher_is_better, "texts")


def _mean(items: Sequence[float], groups: Groups) -> Total:
    values = np.asarray(items, dtype=np.float64)
    finite = all(map(math.isfinite, items))
    own = spread_of(values, groups) if finite and len(items) > 1 else None
    return mean([float(item) for item in items]), math.sqrt(own.variance) if own else None
