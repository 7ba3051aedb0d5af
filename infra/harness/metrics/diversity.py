"""How varied what was generated is: distinct-n, self-BLEU, repetition, MTLD. They need no right answer.

Words are runs of letters and digits (with apostrophes within), in lower case; self-BLEU has sacrebleu's tokens.
"""

import functools
import math
import re
from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from infra.harness.metrics.measure import Case, Metric, Total, mean_of, of_texts

WORD = re.compile(r"\w+(?:['’]\w+)*")
MTLD_THRESHOLD = 0.72
ORDERS = 4
Ngram = tuple[str, ...]


def words(text: str) -> list[str]:
    """The text's words."""
    return WORD.findall(text.lower())


def ngrams(tokens: Sequence[str], n: int) -> list[Ngram]:
    """All runs of n tokens."""
    return [tuple(tokens[first : first + n]) for first in range(len(tokens) - n + 1)]


def distinct(n: int, text: str) -> float | None:
    """Different n-grams over all n-grams of the text's words, 0 to 1; undefined where there is none."""
    return different(n, words(text))


def different(n: int, tokens: Sequence[str]) -> float | None:
    """Different n-grams over all n-grams, 0 to 1; undefined where there is none. Source: Li et al., NAACL 2016, arXiv 1510.03055."""
    found = ngrams(tokens, n)
    return len(set(found)) / len(found) if found else None


def all_distinct(n: int, texts: list[str]) -> Total:
    """The same over all texts together, with the jackknife's standard error √((k-1)/k · Σ(d_i - mean)²) over k texts left out in turn.

    Source: Li et al. (2016); Efron and Tibshirani, An Introduction to the Bootstrap (1993), ch. 11.
    """
    each = [Counter(ngrams(words(text), n)) for text in texts]
    together = sum(each, Counter[Ngram]())
    count, different = together.total(), len(together)
    if not count:
        return None, None
    own = [sum(1 for one, times in found.items() if together[one] == times) for found in each]
    without = [(different - alone) / (count - found.total()) for alone, found in zip(own, each, strict=True) if count > found.total()]
    k = len(without)
    centre = fmean(without) if without else 0.0
    error = math.sqrt((k - 1) / k * math.fsum((one - centre) ** 2 for one in without)) if k == len(texts) and k > 1 else None
    return different / count, error


def repetition(n: int, case: Case) -> float | None:
    """1 - different n-grams / n-grams of a text: seq-rep-n. Source: Welleck et al., ICLR 2020, arXiv 1908.04319, section 6.1."""
    found = distinct(n, case.text or "")
    return None if found is None else 1.0 - found


def mtld(case: Case) -> float | None:
    """Words over factors: stretches over which the share of different words falls to 0.72; the mean of both directions.

    The rest at the end is a part of a factor: (1 - share) / (1 - 0.72). Undefined where no word comes twice.
    Source: McCarthy and Jarvis, Behavior Research Methods 42 (2010) 381–392.
    """
    told = words(case.text or "")
    factors = [_factors(told), _factors(told[::-1])]
    return fmean(len(told) / one for one in factors) if all(factors) else None


def _factors(told: Sequence[str]) -> float:
    whole, seen, count, share = 0.0, set[str](), 0, 1.0
    for word in told:
        seen.add(word)
        count += 1
        share = len(seen) / count
        if share <= MTLD_THRESHOLD:
            whole, seen, count, share = whole + 1, set(), 0, 1.0
    return whole + (1 - share) / (1 - MTLD_THRESHOLD)


@functools.cache
def _bleu() -> Any:
    import sacrebleu

    return sacrebleu.BLEU(effective_order=True)


def self_bleu(texts: list[str]) -> Total:
    """The mean of each text's BLEU against all others, 0 to 100: the lower, the more varied. No standard error; None below two texts.

    Of an n-gram it needs but the two texts that have it most often, so it takes time in proportion to the texts, not to their pairs.
    Source: Zhu et al., Texygen, SIGIR 2018, arXiv 1802.01886; each BLEU is sacrebleu's of a sentence.
    """
    if len(texts) < 2:
        return None, None
    told = [_bleu()._preprocess_segment(text.rstrip()).split() for text in texts]
    counts = [Counter(one for n in range(1, ORDERS + 1) for one in ngrams(tokens, n)) for tokens in told]
    most = _most(counts)
    lengths = sorted(len(tokens) for tokens in told)
    return fmean(_against_others(place, len(told[place]), found, most, lengths) for place, found in enumerate(counts)), None


def _most(counts: Sequence[Counter[Ngram]]) -> dict[Ngram, tuple[int, int, int]]:
    """Of each n-gram its highest count, the text that has it, and the highest count among the others."""
    most: dict[Ngram, tuple[int, int, int]] = {}
    for place, found in enumerate(counts):
        for one, count in found.items():
            highest, owner, second = most.get(one, (0, -1, 0))
            most[one] = (count, place, highest) if count > highest else (highest, owner, max(second, count))
    return most


def _against_others(
    place: int, length: int, found: Counter[Ngram], most: dict[Ngram, tuple[int, int, int]], lengths: Sequence[int]
) -> float:
    correct, total = [0] * ORDERS, [max(0, length - n) for n in range(ORDERS)]
    for one, count in found.items():
        highest, owner, second = most[one]
        correct[len(one) - 1] += min(count, second if owner == place else highest)
    others = list(lengths)
    others.remove(length)
    # Of two lengths as close, sacrebleu takes the shorter.
    closest = min(others, key=lambda other: (abs(other - length), other))
    return float(_bleu().compute_bleu(correct, total, length, closest, smooth_method="exp", effective_order=True).score)


DISTINCT = tuple(of_texts(f"distinct_{n}", functools.partial(distinct, n), functools.partial(all_distinct, n)) for n in (1, 2, 3))
SELF_BLEU: tuple[Metric, ...] = (of_texts("self_bleu", lambda _text: None, self_bleu, higher_is_better=False),)
REPETITION = (mean_of("rep_4", "text", functools.partial(repetition, 4), higher_is_better=False),)
MTLD = (mean_of("mtld", "text", mtld),)
