"""Standard errors of lm-eval's aggregations: seconds for 100,000 samples, where drawing all anew takes minutes.

What a draw of samples comes to follows from how often each is drawn. F1 and Matthews' correlation need the counts of distinct pairs alone,
and corpus scores (BLEU, chrF, TER) the sums of segments' statistics, as sacrebleu's own bootstrap has it. A perplexity is the exponential
of a mean, whose error follows from the mean's. What stands or falls together (repeats of a document, documents of a passage) is drawn
together. The draws are seeded: the same parts give the same error.
Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 6; the delta method: chapter 21.
"""

import functools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.statistics.spreads import Floats, grouped, spread

Groups = Sequence[int] | None
DRAWS: Final = 1000
SEED: Final = 20240229
FEWEST: Final = 5  # samples that an F1 is about: of fewer its bootstrap tells too little
_CHUNK_CELLS = 4_000_000


def stderr(aggregation: str, items: Sequence[Any], groups: Groups = None) -> float | None:
    """The standard error of an aggregation by its name in lm-eval 0.4.13, api/metrics.py; None below two items or groups and for others.

    `groups`: the group of each item, where those of one stand or fall together; whole groups are drawn then.
    """
    if aggregation not in KNOWN or len(items) < 2 or (groups is not None and len(set(groups)) < 2):
        return None
    return KNOWN[aggregation](items, groups)


def _drawn(amounts: Floats, groups: Groups, extra: Floats | None = None) -> Iterator[Floats]:
    """Sums of draws of items, or of their groups, shape [draws, columns], stretch by stretch; `amounts` are of shape [items, columns].

    `extra`: how often a group of middling size, whose items are all of a column, is there beside them, by column.
    """
    whole = grouped(amounts.T, groups).sums.T
    chances, count = np.ones(len(whole)), len(whole)
    if extra is not None:
        whole = np.vstack([whole, np.eye(len(extra)) * len(amounts) / count])
        chances = np.concatenate([chances, extra])
    draw, step = np.random.default_rng(SEED), max(1, _CHUNK_CELLS // len(whole))
    for first in range(0, DRAWS, step):
        yield draw.multinomial(count, chances / chances.sum(), size=min(step, DRAWS - first)) @ whole


def _of_pairs(function: Callable[[Any, Any, Any], Any], items: Sequence[Any], groups: Groups) -> float:
    """Of a function of (gold, prediction) pairs, whose order says nothing: of how often each pair is there (draws × pairs).

    A sample (or group) that is right is added, in equal parts of all labels, and one that is wrong: of answers that are nearly all right,
    draws hold too few that are not, and say that there is no error. Of two labels that is half a sample in each place of the table.
    0 where the function has no value.
    Source: Agresti, Categorical Data Analysis (3rd ed. 2013), section 3.1; what it holds: docs/rigor.md.
    """
    counts = Counter(map(tuple, items))
    if np.isnan(_at(function, counts)):
        return 0.0
    labels = sorted({label for pair in counts for label in pair})
    labels += [labels[0] - 1] * (len(labels) == 1)  # answers that are all right may be of another label at times
    added = Counter({pair: 1 / len(labels) for one, other in zip(labels, [*labels[1:], labels[0]], strict=True)
                     for pair in ((one, one), (one, other))})  # fmt: skip
    pairs = list(counts | added)
    golds, predictions = (np.asarray(side) for side in zip(*pairs, strict=True))
    extra = np.asarray([added[pair] for pair in pairs])
    if groups is None:
        chances = np.asarray([counts[pair] for pair in pairs]) + extra
        drawn = np.random.default_rng(SEED).multinomial(len(items), chances / chances.sum(), size=DRAWS).astype(np.float64)
    else:
        places = {pair: place for place, pair in enumerate(pairs)}
        drawn = np.concatenate(list(_drawn(np.eye(len(places))[[places[tuple(item)] for item in items]], groups, extra)))
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.std(np.nan_to_num(function(golds, predictions, drawn)), ddof=1))


def _at(function: Callable[[Any, Any, Any], Any], counts: Counter[Any]) -> float:
    """The function of the pairs as they are; NaN where it has no value."""
    golds, predictions = (np.asarray(side) for side in zip(*counts, strict=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(function(golds, predictions, np.asarray([list(counts.values())], dtype=np.float64))[0])


def _f1(golds: Any, predictions: Any, drawn: Any) -> Any:
    """2 TP / (2 TP + FP + FN) of label 1 for each draw, 0 where there is none. Source: van Rijsbergen, Information Retrieval (1979)."""
    both = drawn[:, (golds == 1) & (predictions == 1)].sum(axis=1)
    one = drawn[:, (golds == 1) ^ (predictions == 1)].sum(axis=1)
    return 2 * both / (2 * both + one)


def _of_f1(items: Sequence[Any], groups: Groups) -> float:
    """0 where fewer than FEWEST samples (or groups) are of label 1, or are said to be: its intervals held 0.80 to 0.91 then."""
    told = {place if groups is None else groups[place] for place, pair in enumerate(items) if 1 in pair}
    return _of_pairs(_f1, items, groups) if len(told) >= FEWEST else 0.0


def _matthews(golds: Any, predictions: Any, drawn: Any) -> Any:
    """Matthews' correlation for each draw, of any number of labels, 0 where there is none. Source: Gorodkin (2004), R_K."""
    labels = np.unique(np.concatenate([golds, predictions]))
    actual, told = (np.stack([drawn[:, side == label].sum(axis=1) for label in labels]) for side in (golds, predictions))
    right, total = drawn[:, golds == predictions].sum(axis=1), drawn.sum(axis=1)
    return (right * total - (actual * told).sum(axis=0)) / np.sqrt(
        (total**2 - (actual**2).sum(axis=0)) * (total**2 - (told**2).sum(axis=0))
    )


def _of_perplexity(items: Sequence[float], groups: Groups) -> float:
    """exp(-mean): the mean's standard error times the perplexity itself."""
    values = np.asarray(items, dtype=np.float64)
    return math.exp(-values.mean()) * _of_mean(items, groups)


def _of_corpus(name: str, arguments: Mapping[str, Any], items: Sequence[Any], groups: Groups) -> float:
    """Of a score of all segments together. Source: sacrebleu 2, significance.py, _bootstrap_resample."""
    import sacrebleu.metrics
    from lm_eval.api.metrics import _sacreformat

    metric = getattr(sacrebleu.metrics, name)(**arguments)
    references, predictions = _sacreformat([one[0] for one in items], [one[1] for one in items])
    segments = np.asarray(metric._extract_corpus_statistics(predictions, references), dtype=np.float64)
    sums = np.concatenate(list(_drawn(segments, groups)))
    return float(np.std([metric._compute_score_from_stats(list(one)).score for one in sums], ddof=1))


def _of_median(items: Sequence[float], groups: Groups) -> float:
    """Of the middle of the values, or of the two middles: of draws from n values the m-th is that of the m-th of n numbers from 0 to 1.

    Those are beta-distributed, so that none but the middle ones are drawn; in groups each value counts as often as its group is drawn.
    Source: H. A. David and H. N. Nagaraja, Order Statistics (3rd ed. 2003), sections 2.1 and 2.5.
    """
    values, draw, n = np.asarray(items, dtype=np.float64), np.random.default_rng(SEED), len(items)
    order = np.argsort(values, kind="stable")
    if groups is not None:
        return float(np.std(values[order][_middles(np.asarray(groups)[order], draw)].mean(axis=0), ddof=1))
    middle = (n + 1) // 2
    low = draw.beta(middle, n - middle + 1, size=DRAWS)
    high = low if n % 2 else low + (1 - low) * draw.beta(1, n - middle, size=DRAWS)
    places = np.minimum(np.stack([low, high]) * n, n - 1).astype(np.intp)
    return float(np.std(values[order][places].mean(axis=0), ddof=1))


def _middles(groups: NDArray[np.intp], draw: np.random.Generator) -> NDArray[np.intp]:
    """The places of both middles, shape [2, DRAWS], of sorted items of these groups, whole groups being drawn."""
    count, found = int(groups.max()) + 1, np.empty((2, DRAWS), dtype=np.intp)
    for number in range(DRAWS):
        often = np.bincount(draw.integers(count, size=count), minlength=count)
        reached = np.cumsum(often[groups])
        found[:, number] = np.searchsorted(reached, [reached[-1] / 2, reached[-1] / 2 + 1e-9])
    return found


def _of_mean(items: Sequence[float], groups: Groups) -> float:
    """s/√n, or that of groups (spreads.py)."""
    from lm_eval.api.metrics import mean_stderr

    if groups is None:
        return float(mean_stderr(items)) if len(items) > 1 else math.nan
    own = spread(np.asarray(items, dtype=np.float64), groups)
    return math.sqrt(own.variance) if own else math.nan


def _of_numbers(items: Sequence[float], groups: Groups) -> float:
    """The same, of those that are numbers."""
    there = [place for place, item in enumerate(items) if not math.isnan(item)]
    return _of_mean([items[place] for place in there], [groups[place] for place in there] if groups is not None else None)


def _of_acc_all(items: Sequence[Any], groups: Groups) -> float:
    """Each question's statements are right together or not; of questions that were asked several times nobody knows it."""
    from lm_eval.api.metrics import acc_all_stderr

    return float(acc_all_stderr(items)) if groups is None else math.nan


KNOWN: Final[Mapping[str, Callable[[Sequence[Any], Groups], float]]] = {
    "mean": _of_mean,
    "nanmean": _of_numbers,
    "acc_all": _of_acc_all,
    "f1_score": _of_f1,
    "matthews_corrcoef": functools.partial(_of_pairs, _matthews),
    "perplexity": _of_perplexity,
    "median": _of_median,
    "bleu": functools.partial(_of_corpus, "BLEU", {}),
    "chrf": functools.partial(_of_corpus, "CHRF", {}),
    "chrfpp": functools.partial(_of_corpus, "CHRF", {"word_order": 2}),
    "ter": functools.partial(_of_corpus, "TER", {}),
}
