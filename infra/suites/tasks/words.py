"""Measures over the words of an answer, for the tasks defined here."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from infra.harness.metrics.diversity import windowed


def expected(document: Mapping[str, Any]) -> str:
    """TAT-QA's answer as text: its parts, and its scale where it has one."""
    return ", ".join(document["answer"]) + (f" {document['scale']}" if document["scale"] else "")


def compared(document: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """`exact_match` of the words, 0 or 1, and `f1` = 2·p·r / (p + r) of the bags of words, 0..1.

    Words are compared without case, articles, currency signs and thousands separators. It is SQuAD's measure; TAT-QA's own also takes
    figures of another scale as equal. Source: Rajpurkar et al., SQuAD, EMNLP 2016, section 6.1.
    """
    wanted, given = _words(expected(document)), _words(results[0])
    both = sum((Counter(wanted) & Counter(given)).values())
    return {"exact_match": float(wanted == given), "f1": 2 * both / (len(wanted) + len(given))}


def varied(document: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Of a text's words: `distinct_2` = different pairs / pairs, `repetition_4` = 1 - different runs of 4 / runs of 4; and `words`.

    The shares are means over windows of 50 words, so that they do not go with a text's length. Raises: ValueError below 4 words, where they
    are undefined.
    Source: Li et al., NAACL 2016, section 5.1 (distinct-n); Welleck et al., ICLR 2020, section 6 (seq-rep-4).
    """
    words = re.findall(r"[^\W_]+(?:['’][^\W_]+)*", results[0].lower())
    pairs, fours = windowed(2, words), windowed(4, words)
    if pairs is None or fours is None:
        raise ValueError(f"a text of {len(words)} words has no runs of 4")
    return {"distinct_2": pairs, "repetition_4": 1 - fours, "words": float(len(words))}


def _words(text: str) -> list[str]:
    plain = re.sub(r"(?<=\d),(?=\d{3})|[$€£]|\b(a|an|the)\b", "", text.lower())
    return re.findall(r"-?\d+(?:\.\d+)?|[^\W\d_]+", plain)
