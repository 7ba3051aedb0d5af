"""Signs that a model has seen a task's data: text of the document that its prompt did not show, and canaries.

A long run of words that stands in the document, not in the prompt, and all the same in what the model wrote, was hardly made up by chance.
Words are compared in lower case without punctuation; of a text with fewer words than an n-gram has nothing is known.

Source: n-grams of 8 to 13 words as the measure of overlap, Brown et al., Language Models are Few-Shot Learners (2020), appendix C, and
Chowdhery et al., PaLM (2022), section 8; canaries, Srivastava et al., Beyond the Imitation Game (2022): text that a data set carries so
that who can say it has read the data.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from infra.harness.metrics.diversity import Ngram, ngrams
from infra.harness.metrics.measure import Case, mean_of

N: Final = 8
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
    hidden = {gram for text in (*texts_in(case.document), *case.references) for gram in _runs(text)} - set(_runs(case.prompt))
    return None if case.output is None or not hidden else float(not hidden.isdisjoint(_runs(case.output)))


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
)
