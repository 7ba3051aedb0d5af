"""Which values a metric can have: no interval says more than that. Of a metric that is not named here nothing is known."""

import math
import re
from typing import Final

from streams.statistics.intervals import ANY, RATIO, Interval

# Means of values from 0 to 1, by lm-eval's names and by those of metrics beside a task's own.
RATIOS: Final = frozenset({
    "acc", "acc_bytes", "acc_mutual_info", "acc_norm", "accuracy", "bleu_acc", "canary", "copied_8gram", "distinct_1", "distinct_2",
    "distinct_3", "distinct_draws", "em", "empty", "exact", "exact_match", "expected_maximum_toxicity", "f1", "hidden_8gram",
    "over_refusal_rate", "pass@1", "pass@10", "pass@100", "pass_at_1", "pct_stereotype", "preference", "refusal_rate", "rep_4", "rhyme",
    "rouge1", "rouge1_acc", "rouge2", "rouge2_acc", "rougeL", "rougeL_acc", "rougeLsum", "toxic", "toxicity", "toxicity_probability",
    "unrelated_8gram",
    # Of lm-eval's own tasks (0.4.13, what process_results of each gives).
    "acc_ambig", "acc_disambig", "accuracy_amb", "accuracy_disamb", "anywhere_accuracy", "classification_score", "code_sim_score",
    "consistency_rate", "count_score", "extraction_rate", "f1_abstractive", "flexible_f1", "inst_level_loose_acc", "inst_level_strict_acc",
    "is_included", "json_validity", "libra_score", "math_verify", "mrr", "non_greedy_accuracy", "numerical_match",
    "options_consistency_rate", "partial_accuracy", "precision", "prompt_level_loose_acc", "prompt_level_strict_acc", "qa_f1_score",
    "qa_f1_zh_score", "r@1", "r@2", "recall", "relaxed_accuracy", "retrieval_score", "retrieval_zh_score", "rouge_score", "rouge_zh_score",
    "schema_compliance", "verifiable_reward",
    "F1-Radgraph", "mean_3class_f1", "non_greedy_macro_accuracy", "pass_at_k", "pct_female_preferred", "pct_invalid", "pct_male_preferred",
    "perspective_api_toxicity_score",
    "score",  # LongBench's, LongProc's and RealToxicityPrompts': another name of their own shares
})  # fmt: skip
LARGEST: Final = 1e60  # the fourth powers of many such values, which their skewness needs, can be added still
NOT_NEGATIVE: Interval = (0.0, math.inf)
PERCENT: Interval = (0.0, 100.0)
SIGNED: Interval = (-1.0, 1.0)
RANGES: Final[dict[str, Interval]] = {
    **dict.fromkeys(RATIOS, RATIO),
    **dict.fromkeys(("perplexity", "word_perplexity", "byte_perplexity"), (1.0, math.inf)),
    **dict.fromkeys(("bits_per_byte", "ter", "mtld", "syllable_error", "syllable_spread", "wer"), NOT_NEGATIVE),
    **dict.fromkeys(("age_bias", "average_len"), NOT_NEGATIVE),  # the size of a slope, and words
    **dict.fromkeys(("bleu", "chrf", "chrf++", "eqbench", "self_bleu", "smoothed_bleu_4"), PERCENT),
    # TruthfulQA and its like: the best and the mean over references in per cent, and the best right one less the best wrong one.
    **dict.fromkeys(("bleu_avg", "bleu_max", "rouge1_max", "rouge2_max", "rougeL_avg", "rougeL_max", "percent_parseable"), PERCENT),
    **dict.fromkeys(("bleu_diff", "rouge1_diff", "rouge2_diff", "rougeL_diff"), (-100.0, 100.0)),
    **dict.fromkeys(("amb_bias_score", "disamb_bias_score"), SIGNED),  # BBQ's: twice a share, less one
    "brier": (0.0, 2.0), "brier_score": (0.0, 2.0), "ece": RATIO, "mcc": SIGNED,
    **dict.fromkeys(("bert", "bert_score", "bertscore", "bertscore_f1", "bertscore_precision", "bertscore_recall"), SIGNED),  # cosines
    **dict.fromkeys(("bias_score_ambig", "bias_score_disambig", "difference_male_female", "pearsonr"), SIGNED),
    # Without ends. Likelihoods of choices as lm-eval 0.4.13 aggregates them (e2lmc, crows_pairs, simple_cooccurrence_bias): differences of
    # log-likelihoods. Effects in log-odds (discrim_eval): coefficients of a regression. BLEURT: what a learned regression gives, mostly
    # between 0 and 1, at times below or above (Sellam, Das, Parikh 2020, section 3; README of google-research/bleurt).
    **dict.fromkeys(("likelihood", "likelihood_diff", "bleurt"), ANY),
    **dict.fromkeys(("asian_bias", "black_bias", "female_bias", "hispanic_bias", "native_american_bias", "non_binary_bias"), ANY),
    **dict.fromkeys(("rating", "coherence", "creativity", "style", "prompt_following"), (1.0, 10.0)),  # points of a rubric
}  # fmt: skip
# The same of a part of the documents, whose name the data say (lm-eval 0.4.13: cieacova, SCORE, RULER's lengths, BBQ). RULER's -1 of a
# length that was not asked is no value.
FAMILIES: Final[tuple[tuple[re.Pattern[str], Interval], ...]] = (
    (re.compile(r"(acc|acc_norm|exact_match)_\w+|(\d+|per_option)_(macro_)?accuracy(_[A-Z])?|\d+"), RATIO),
    (re.compile(r"(amb|disamb)_bias_score_\w+"), SIGNED),
)
# Exponentials of means: their error is as many per cent up as down, and no interval of theirs reaches 0.
EXPONENTIAL: Final = frozenset({"perplexity", "word_perplexity", "byte_perplexity"})
# Their error is no less than what holds 0 where they are consistent with it: only the normal interval then does.
CONSISTENT: Final = frozenset({"ece"})


def countable(value: float | None) -> bool:
    """A sample's value that statistics can take in: there, finite, and not larger than `LARGEST`."""
    return value is not None and abs(value) <= LARGEST


def clipped(interval: Interval, metric: str, *, about: float) -> Interval:
    """What of the interval the metric can have; all of it where the value itself lies outside: then the range is another one."""
    low, high = range_of(metric)
    return (max(low, interval[0]), min(high, interval[1])) if low <= about <= high else interval


def range_of(metric: str) -> Interval:
    """The least and the greatest value that the metric can have; open ends where nothing is known of it."""
    return known_range(metric) or ANY


def width_of(metric: str) -> float | None:
    """How wide the metric's range is, infinite where it has no end; None where nothing is known of it."""
    low, high = range_of(metric)
    return None if (low, high) == ANY else high - low


def known_range(metric: str) -> Interval | None:
    """The least and the greatest value that the metric can have; None where nothing is known of it."""
    return RANGES.get(metric) or next((found for family, found in FAMILIES if family.fullmatch(metric)), None)
