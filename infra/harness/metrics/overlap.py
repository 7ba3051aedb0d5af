"""How much of the right answer is in what was generated: exact match, F1, ROUGE, BLEU, chrF, TER.

Of several right answers the best counts, but for BLEU, chrF and TER, which know how to take several.
"""

import functools
import re
import string
from collections import Counter
from typing import Any

from infra.harness.metrics.measure import Case, Metric, mean_of, of_sums

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def normal(text: str) -> str:
    """Lower case, without punctuation, articles and repeated spaces. Source: SQuAD v1.1's evaluate-v1.1.py, normalize_answer."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def exact_match(case: Case) -> float | None:
    """1 where the normalised text is a normalised right answer, else 0; undefined without one. Source: SQuAD v1.1, exact_match_score."""
    if case.text is None or not case.references:
        return None
    return float(normal(case.text) in {normal(one) for one in case.references})


def f1(case: Case) -> float | None:
    """2PR / (P + R) over the normalised words that text and right answer share. Source: SQuAD v1.1's evaluate-v1.1.py, f1_score."""
    if case.text is None or not case.references:
        return None
    return max(_f1(normal(case.text).split(), normal(one).split()) for one in case.references)


def _f1(told: list[str], right: list[str]) -> float:
    shared = sum((Counter(told) & Counter(right)).values())
    return 2.0 * shared / (len(told) + len(right)) if shared else 0.0


def rouge(kind: str, case: Case) -> float | None:
    """The F-measure of shared n-grams (rouge1, rouge2) or of the longest common subsequence (rougeL; rougeLsum by lines), 0 to 1.

    Source: C.-Y. Lin, ROUGE (2004); as rouge-score computes it, without stemming.
    """
    if case.text is None or not case.references:
        return None
    return float(_rouge(kind).score_multi(case.references, case.text)[kind].fmeasure)


@functools.cache
def _rouge(kind: str) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([kind])


@functools.cache
def _sacrebleu(name: str) -> Any:
    import sacrebleu

    return {"bleu": sacrebleu.BLEU, "chrf": sacrebleu.CHRF, "ter": sacrebleu.TER}[name]()


def _counts(name: str, case: Case) -> list[float] | None:
    """What sacrebleu counts in a segment; the sums over segments are all that its score of a corpus needs."""
    if case.text is None or not case.references:
        return None
    (counts,) = _sacrebleu(name)._extract_corpus_statistics([case.text], [[one] for one in case.references])
    return [float(count) for count in counts]


def _score(name: str, sums: list[float]) -> float | None:
    """The corpus score, 0 to 100, of summed counts.

    Source: sacrebleu 2.6, its defaults (BLEU: 13a, exponential smoothing; chrF2: 6 characters, no words): Post (2018), arXiv 1804.08771;
    Papineni et al., ACL 2002; Popović, WMT 2015; Snover et al., AMTA 2006.
    """
    return float(_sacrebleu(name)._compute_score_from_stats([round(one) for one in sums] if name != "ter" else sums).score)


def corpus(name: str, *, higher_is_better: bool = True) -> Metric:
    """One of sacrebleu's metrics over all samples."""
    parts, figure = functools.partial(_counts, name), functools.partial(_score, name)
    return of_sums(name, "answer", parts, figure, higher_is_better=higher_is_better)


EXACT_MATCH = (mean_of("exact_match", "answer", exact_match),)
F1 = (mean_of("f1", "answer", f1),)
ROUGE = tuple(mean_of(kind, "answer", functools.partial(rouge, kind)) for kind in ("rouge1", "rouge2", "rougeL", "rougeLsum"))
BLEU = (corpus("bleu"),)
CHRF = (corpus("chrf"),)
TER = (corpus("ter", higher_is_better=False),)
