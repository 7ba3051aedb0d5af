"""Signs that a model has seen a task's data: text of the document that its prompt did not show, and canaries.

A long run of words that stands in the document, not in the prompt, and all the same in what the model wrote, was hardly made up by chance.
How often chance makes it up all the same, other documents tell: what a text says of them, whose prompt did not show them, it says without
having been asked. Words are compared in lower case without punctuation; of a text with fewer words than an n-gram has nothing is known.

Source: n-grams of 8 to 13 words as the measure of overlap, Brown et al., Language Models are Few-Shot Learners (2020), appendix C, and
Chowdhery et al., PaLM (2022), section 8; canaries, Srivastava et al., Beyond the Imitation Game (2022): text that a data set carries so
that who can say it has read the data.
"""

import hashlib
import math
import re
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from infra.harness.metrics.diversity import Ngram, ngrams
from infra.harness.metrics.measure import Case, Metric, Total, mean_of
from streams.statistics import intervals

N: Final = 8
MOST_KEPT: Final = 4000  # of a document's hidden runs: a sample of them by their hashes, the same for every text
WORD: Final = re.compile(r"\w+")
GUID: Final = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
CANARY: Final = re.compile(rf"canary guid\s+({GUID.pattern})")


def texts_in(document: Any) -> Iterator[str]:
    """All texts of a document, however deep."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, Mapping):
        for value in document.values():
            yield from texts_in(value)
    elif isinstance(document, Sequence):
        for value in document:
            yield from texts_in(value)


def _runs(text: str) -> list[Ngram]:
    """A text's runs of N words, in their order."""
    return ngrams(WORD.findall(text.lower()), N)


def hidden_8gram(case: Case) -> float | None:
    """1 where the text has 8 words in a row of the document or of a right answer that the prompt has not, else 0.

    Undefined where the prompt hides no 8 words: there is nothing to give away.
    """
    hidden = _hidden(case)
    return None if case.output is None or not hidden else float(not hidden.isdisjoint(_runs(case.output)))


def _hidden(case: Case) -> set[Ngram]:
    return {gram for text in (*texts_in(case.document), *case.references) for gram in _runs(text)} - set(_runs(case.prompt))


def hidden_and_said(case: Case) -> list[str] | None:
    """What `unrelated_8gram` needs of a sample: its hidden runs, and those that its text says and its prompt does not, as hashes."""
    hidden = _hidden(case)
    if case.output is None or not hidden:
        return None
    return [_packed(hidden, MOST_KEPT), _packed(set(_runs(case.output)) - set(_runs(case.prompt)))]


def _packed(runs: Iterable[Ngram], most: int | None = None) -> str:
    """Eight bytes of each run's hash, the least first, in base64."""
    return b64encode(b"".join(sorted(hashlib.blake2b(" ".join(run).encode(), digest_size=8).digest() for run in runs)[:most])).decode()


def _unpacked(told: str) -> tuple[int, ...]:
    return tuple(np.frombuffer(b64decode(told), dtype=">u8").tolist())


def unrelated_8gram(parts: list[list[str]]) -> Total:
    """The share of pairs of a text and another document in which the text has 8 hidden words in a row of it: hidden_8gram's null, 0 to 1.

    Documents whose hidden runs are the same (repeats of one) are one document; None below two. The standard error is the jackknife's,
    documents left out in turn with all of their pairs; where no text hits any, that of none in as many texts (intervals.mean_of).
    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), ch. 11.
    """
    names: dict[str, int] = {}
    own = [names.setdefault(hidden, len(names)) for hidden, _ in parts]
    others = len(names) - 1
    if others < 1:
        return None, None
    holders = defaultdict[int, list[int]](list)
    for hidden, name in names.items():
        for run in _unpacked(hidden):
            holders[run].append(name)
    hits = [{name for run in _unpacked(said) for name in holders.get(run, ())} - {mine} for (_, said), mine in zip(parts, own, strict=True)]
    value = math.fsum(map(len, hits)) / len(parts) / others
    return value, _left_out(hits, own, others) or intervals.mean_of([len(one) / others for one in hits], within=intervals.RATIO).stderr


def _left_out(hits: Sequence[set[int]], own: Sequence[int], others: int) -> float | None:
    """The jackknife's standard error over documents; None below three, of which one can be left out."""
    if others < 2:
        return None
    said, held, texts = np.zeros(others + 1), np.zeros(others + 1), np.bincount(own, minlength=others + 1)
    for found, mine in zip(hits, own, strict=True):
        said[mine] += len(found)
        held[list(found)] += 1
    without = (said.sum() - said - held) / ((len(own) - texts) * (others - 1))
    return math.sqrt(others / (others + 1) * float(((without - without.mean()) ** 2).sum()))


def copied_8gram(case: Case) -> float | None:
    """The share, 0 to 1, of the text's runs of 8 words that stand in its prompt; undefined for fewer than 8 words."""
    told = _runs(case.output or "")
    shown = set(_runs(case.prompt))
    return sum(gram in shown for gram in told) / len(told) if told else None


def canary(case: Case) -> float | None:
    """1 where the text has a canary (`canary GUID …`), or a GUID that stands in the document, that its prompt has not, else 0."""
    if case.output is None:
        return None
    text = case.output.lower()
    marks = {found for part in texts_in(case.document) for found in GUID.findall(part.lower())} & set(GUID.findall(text))
    return float(bool((marks | set(CANARY.findall(text))) - set(GUID.findall(case.prompt.lower()))))


CONTAMINATION = (
    mean_of("hidden_8gram", "text", hidden_8gram, higher_is_better=False),
    mean_of("copied_8gram", "text", copied_8gram, higher_is_better=False),
    mean_of("canary", "text", canary, higher_is_better=False),
    Metric(  # its jackknife leaves out whole documents
        "unrelated_8gram",
        "text",
        hidden_and_said,
        lambda _parts: None,
        lambda parts, _groups: unrelated_8gram(parts),
        higher_is_better=False,
        aggregation="pairs",
    ),
)
