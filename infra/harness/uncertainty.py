"""Standard errors of lm-eval's aggregations: seconds for 100,000 samples, where drawing all anew takes minutes.

What a draw of samples comes to follows from how often each is drawn. F1 and Matthews' correlation need the counts of distinct pairs alone,
and corpus scores (BLEU, chrF, TER) the sums of segments' statistics, as sacrebleu's own bootstrap has it. A perplexity is the exponential
of a mean, whose error follows from the mean's. The draws are seeded: the same parts give the same error.
Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 6; the delta method: chapter 21.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

DRAWS: Final = 1000
SEED: Final = 20240229
_CHUNK_CELLS = 4_000_000


def stderr(aggregation: str, items: Sequence[Any]) -> float | None:
    """The standard error of an aggregation by its name in lm-eval 0.4.13, api/metrics.py; None below two items and for others."""
    return KNOWN[aggregation](items) if aggregation in KNOWN and len(items) > 1 else None


def _of_pairs(function: Callable[[Any, Any, Any], Any], items: Sequence[Any]) -> float:
    """Of a function of (gold, prediction) pairs, whose order says nothing: of how often each pair is there (draws × pairs)."""
    counts = Counter(map(tuple, items))
    golds, predictions = (np.asarray(side) for side in zip(*counts, strict=True))
    there = np.asarray(list(counts.values()), dtype=np.float64)
    drawn = np.random.default_rng(SEED).multinomial(len(items), there / there.sum(), size=DRAWS).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.std(np.nan_to_num(function(golds, predictions, drawn)), ddof=1))


def _f1(golds: Any, predictions: Any, drawn: Any) -> Any:
    """2 TP / (2 TP + FP + FN) of label 1 for each draw, 0 where there is none. Source: van Rijsbergen, Information Retrieval (1979)."""
    both = drawn[:, (golds == 1) & (predictions == 1)].sum(axis=1)
    one = drawn[:, (golds == 1) ^ (predictions == 1)].sum(axis=1)
    return 2 * both / (2 * both + one)


def _matthews(golds: Any, predictions: Any, drawn: Any) -> Any:
    """Matthews' correlation for each draw, of any number of labels, 0 where there is none. Source: Gorodkin (2004), R_K."""
    labels = np.unique(np.concatenate([golds, predictions]))
    actual, told = (np.stack([drawn[:, side == label].sum(axis=1) for label in labels]) for side in (golds, predictions))
    right, total = drawn[:, golds == predictions].sum(axis=1), drawn.sum(axis=1)
    return (right * total - (actual * told).sum(axis=0)) / np.sqrt(
        (total**2 - (actual**2).sum(axis=0)) * (total**2 - (told**2).sum(axis=0))
    )


def _of_perplexity(items: Sequence[float]) -> float:
    """exp(-mean): the mean's standard error times the perplexity itself."""
    values = np.asarray(items, dtype=np.float64)
    return float(math.exp(-values.mean()) * values.std(ddof=1) / math.sqrt(len(values)))


def _of_corpus(name: str, arguments: Mapping[str, Any], items: Sequence[Any]) -> float:
    """Of a score of all segments together. Source: sacrebleu 2, significance.py, _bootstrap_resample."""
    import sacrebleu.metrics
    from lm_eval.api.metrics import _sacreformat

    metric = getattr(sacrebleu.metrics, name)(**arguments)
    references, predictions = _sacreformat([one[0] for one in items], [one[1] for one in items])
    segments = np.asarray(metric._extract_corpus_statistics(predictions, references), dtype=np.float64)
    draw, even, count = np.random.default_rng(SEED), np.full(len(segments), 1 / len(segments)), len(segments)
    step = max(1, _CHUNK_CELLS // count)
    sums = np.concatenate([draw.multinomial(count, even, size=min(step, DRAWS - first)) @ segments for first in range(0, DRAWS, step)])
    return float(np.std([metric._compute_score_from_stats(list(one)).score for one in sums], ddof=1))


def _of_median(items: Sequence[float]) -> float:
    values, draw = np.asarray(items, dtype=np.float64), np.random.default_rng(SEED)
    return float(np.std([np.median(values[draw.integers(0, len(values), len(values))]) for _ in range(DRAWS)], ddof=1))


def _of_mean(items: Sequence[float]) -> float:
    from lm_eval.api.metrics import mean_stderr

    return float(mean_stderr(items)) if len(items) > 1 else math.nan


def _of_acc_all(items: Sequence[Any]) -> float:
    from lm_eval.api.metrics import acc_all_stderr

    return float(acc_all_stderr(items))


KNOWN: Final[Mapping[str, Callable[[Sequence[Any]], float]]] = {
    "mean": _of_mean,
    "nanmean": lambda items: _of_mean([item for item in items if not math.isnan(item)]),
    "acc_all": _of_acc_all,
    "f1_score": lambda items: _of_pairs(_f1, items),
    "matthews_corrcoef": lambda items: _of_pairs(_matthews, items),
    "perplexity": _of_perplexity,
    "median": _of_median,
    "bleu": lambda items: _of_corpus("BLEU", {}, items),
    "chrf": lambda items: _of_corpus("CHRF", {}, items),
    "chrfpp": lambda items: _of_corpus("CHRF", {"word_order": 2}, items),
    "ter": lambda items: _of_corpus("TER", {}, items),
}
