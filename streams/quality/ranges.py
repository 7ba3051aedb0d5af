"""Which values a metric can have: no interval says more than that. Of a metric that is not named here nothing is known."""

import math
from typing import Final

from streams.statistics.intervals import ANY, RATIO, Interval

# Means of values from 0 to 1, by lm-eval's names and by those of metrics beside a task's own.
RATIOS: Final = frozenset({
    "acc", "acc_bytes", "acc_mutual_info", "acc_norm", "accuracy", "bleu_acc", "em", "exact", "exact_match", "f1",
    "over_refusal_rate", "pass@1", "pass@10", "pass@100", "pass_at_1", "pct_stereotype", "refusal_rate", "rep_4",
    "rouge1", "rouge1_acc", "rouge2", "rouge2_acc", "rougeL", "rougeL_acc", "rougeLsum", "unrelated_8gram",
})  # fmt: skip
NOT_NEGATIVE: Interval = (0.0, math.inf)
PERCENT: Interval = (0.0, 100.0)
RANGES: Final[dict[str, Interval]] = {
    **dict.fromkeys(RATIOS, RATIO),
    **dict.fromkeys(("perplexity", "word_perplexity", "byte_perplexity"), (1.0, math.inf)),
    **dict.fromkeys(("bits_per_byte", "ter", "mtld"), NOT_NEGATIVE),
    **dict.fromkeys(("bleu", "chrf", "chrf++", "eqbench", "smoothed_bleu_4"), PERCENT),
    "brier": (0.0, 2.0), "brier_score": (0.0, 2.0), "ece": RATIO, "mcc": (-1.0, 1.0), "rating": (0.0, 10.0),
}  # fmt: skip
# Exponentials of means: their error is as many per cent up as down, and no interval of theirs reaches 0.
EXPONENTIAL: Final = frozenset({"perplexity", "word_perplexity", "byte_perplexity"})


def range_of(metric: str) -> Interval:
    """The least and the greatest value that the metric can have."""
    return RANGES.get(metric, ANY)
