"""Texts with their right answers: what metrics of generated text are tested on."""

import json
from collections.abc import Sequence

from hypothesis import strategies as st

from infra.harness.metrics.measure import Case
from infra.harness.metrics.registry import measured

words = st.sampled_from(["the", "cat", "sat", "on", "a", "mat,", "Mat.", "dog", "it's", "42", "ünï"])
texts = st.lists(words, min_size=1, max_size=25).map(" ".join)
pairs = st.lists(st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), min_size=2, max_size=8)
Pairs = Sequence[tuple[str, Sequence[str]]]


def parts(name: str, told: Pairs) -> list[object]:
    """The parts of generated texts with their right answers, as they come from the log."""
    found = [measured(name, Case(text=text, references=tuple(right)))[1] for text, right in told]
    return [json.loads(json.dumps(one)) for one in found]
