"""How varied what was generated is: distinct-n, self-BLEU, repetition, MTLD. They need no right answer.

All such figures go with how much text they are taken from: a longer text, and a greater set of texts, say the same words again. So all are
taken from as much: a text in windows of 50 words (MTLD: 100), a set five texts at a time, whatever there are more of. What is shorter is
taken whole, and compares with what is as short.

Words are runs of letters and digits (with apostrophes within), in lower case; self-BLEU has sacrebleu's tokens.
Source: windows, Covington and McFall, J. Quant. Linguist. 17 (2010) 94-100; sets of as many, Gotelli and Colwell, Ecology Letters 4 (2001)
379-391.
"""

import functools
import math
import re
from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Any, Final

from infra.harness.metrics.measure import Case, Metric, Total, mean_of, of_texts

WORD = re.compile(r"\w+(?:['’]\w+)*")
WINDOW: Final = 50  # words
TEXTS: Final = 5
MTLD_THRESHOLD = 0.72
MTLD_SHORTEST = 10
MTLD_WORDS = 100
Ngram = tuple[str, ...]


def words(text: str) -> list[str]:
    """The text's words."""
    return WORD.findall(text.lower())


def ngrams(tokens: Sequence[str], n: int) -> list[Ngram]:
    """All runs of n tokens."""
    return [tuple(tokens[first : first + n]) for first in range(len(tokens) - n + 1)]


def distinct(n: int, text: str) -> float | None:
    """Different n-grams over all n-grams, the mean over the text's windows of 50 words, 0 to 1; undefined where there is none."""
    return windowed(n, words(text))


def different(n: int, tokens: Sequence[str]) -> float | None:
    """Different n-grams over all n-grams, 0 to 1; undefined where there is none. Source: Li et al., NAACL 2016, arXiv 1510.03055."""
    found = ngrams(tokens, n)
    return len(set(found)) / len(found) if found else None


def windowed(n: int, tokens: Sequence[str], size: int = WINDOW) -> float | None:
    """The mean of the same over every window of so many tokens in a row; of fewer tokens that of all.

    Source: Covington and McFall (2010), for words; the reference is `mattr` of the package lexical-diversity 0.1.1.
    """
    found, inside = ngrams(tokens, n), size - n + 1
    if len(found) <= inside:
        return different(n, tokens)
    seen = Counter(found[:inside])
    shares = [len(seen)]
    for gone, come in zip(found, found[inside:], strict=False):
        seen[come] += 1
        seen[gone] -= 1
        if not seen[gone]:
            del seen[gone]
        shares.append(len(seen))
    return fmean(shares) / inside


def all_distinct(n: int, texts: list[str]) -> Total:
    """Different n-grams over all n-grams of five texts of 50 words, the mean over all sets of five texts that there are; None below five.

    The texts' beginnings are taken, for what models write begins alike. An n-gram that m of k texts have is in a share
    1 - C(k - m, 5) / C(k, 5) of the sets. Its error is the jackknife's, √((k-1)/k · Σ(d_i - mean)²) over texts left out in turn; None
    where only five are there. Source: Hurlbert, Ecology 52 (1971) 577-586, of texts: Gotelli and Colwell (2001), the curve of samples;
    Efron and Tibshirani, An Introduction to the Bootstrap (1993), ch. 11.
    """
    each = [ngrams(words(text)[:WINDOW], n) for text in texts]
    k, own = len(each), [set(found) for found in each]
    total = sum(map(len, each))
    if k < TEXTS or not total:
        return None, None
    having = Counter(one for found in own for one in found)
    sizes = Counter(having.values())
    value = math.fsum(_met(times, k) * count for times, count in sizes.items()) * k / (TEXTS * total)
    if k == TEXTS or any(len(found) == total for found in each):
        return value, None
    rest = math.fsum(_met(times, k - 1) * count for times, count in sizes.items())
    lost = {times: _met(times, k - 1) - _met(times - 1, k - 1) for times in sizes}
    without = [
        (rest - math.fsum(lost[having[one]] for one in mine)) * (k - 1) / (TEXTS * (total - len(found)))
        for mine, found in zip(own, each, strict=True)
    ]
    centre = fmean(without)
    return value, math.sqrt((k - 1) / k * math.fsum((one - centre) ** 2 for one in without))


def _met(times: int, k: int) -> float:
    """The chance that five of k texts hold one of those `times` that have it."""
    return 1.0 - math.prod(max(0, k - times - place) / (k - place) for place in range(TEXTS))


def repetition(n: int, case: Case) -> float | None:
    """1 - different n-grams / n-grams of a text: seq-rep-n. Source: Welleck et al., ICLR 2020, arXiv 1908.04319, section 6.1."""
    found = distinct(n, case.text or "")
    return None if found is None else 1.0 - found


def mtld(case: Case) -> float | None:
    """How many words it takes from a word on until the share of different ones is below 0.72, the mean over all words: MTLD-W.

    It is taken of every 100 words by themselves, the rest left out: at their end it goes on at their beginning, so that no factor is a part
    of one. A factor has 10 words at least. Undefined for texts under 100 words.
    Source: McCarthy and Jarvis, Behavior Research Methods 42 (2010) 381-392, 100 words their least; wrapped: Kyle, Crossley and Jarvis,
    Language Assessment Quarterly 18 (2021) 154-170. The reference is `mtld_ma_wrap` of the package lexical-diversity 0.1.1.
    """
    told = words(case.text or "")
    blocks = [told[first : first + MTLD_WORDS] for first in range(0, len(told) - MTLD_WORDS + 1, MTLD_WORDS)]
    return fmean(_factor(block, start) for block in blocks for start in range(MTLD_WORDS)) if blocks else None


def _factor(told: Sequence[str], start: int) -> int:
    seen, count = set[str](), 0
    while count < MTLD_SHORTEST or len(seen) / count >= MTLD_THRESHOLD:
        seen.add(told[(start + count) % len(told)])
        count += 1
    return count


@functools.cache
def _bleu() -> Any:
    import sacrebleu

    return sacrebleu.BLEU(effective_order=True)


def self_bleu(texts: list[str]) -> Total:
    """The mean of each text's BLEU against four others, 0 to 100: the lower, the more varied. No standard error; None below five texts.

    The others are those a fifth, two, three and four fifths of all texts further on, so that repeats of a document seldom meet.
    Source: Zhu et al., Texygen, SIGIR 2018, arXiv 1802.01886; each BLEU is sacrebleu's of a sentence.
    """
    k = len(texts)
    if k < TEXTS:
        return None, None
    others = [[(place + part * k // TEXTS) % k for part in range(1, TEXTS)] for place in range(k)]
    return fmean(_bleu().sentence_score(texts[place], [texts[one] for one in four]).score for place, four in enumerate(others)), None


DISTINCT = tuple(of_texts(f"distinct_{n}", functools.partial(distinct, n), functools.partial(all_distinct, n)) for n in (1, 2, 3))
SELF_BLEU: tuple[Metric, ...] = (of_texts("self_bleu", lambda _text: None, self_bleu, higher_is_better=False),)
REPETITION = (mean_of("rep_4", "text", functools.partial(repetition, 4), higher_is_better=False),)
MTLD = (mean_of("mtld", "text", mtld),)
