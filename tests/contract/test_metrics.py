"""Metrics beside a task's own: sacrebleu's and lm-eval's where they have them; and what all that lean on libraries promise."""

from typing import Any

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from lm_eval.api.metrics import bits_per_byte, weighted_perplexity

from infra.harness.metrics import diversity
from infra.harness.metrics.measure import Case
from infra.harness.metrics.registry import METRICS, measured, total
from tests.texts import Pairs, pairs, parts, texts

# ROUGE's library takes seconds to import: tests/integration/test_metrics_beside.py holds it to that.
OF_TEXTS = [name for name in METRICS if METRICS[name].needs in ("answer", "text") and not name.startswith("rouge")]


@settings(max_examples=20)
@given(st.lists(st.tuples(texts, texts, texts), min_size=2, max_size=6), st.sampled_from(["bleu", "chrf", "ter"]))
def test_of_a_corpus_they_are_sacrebleus(told: list[tuple[str, str, str]], name: str) -> None:
    """Though only counts are kept of each sample."""
    corpus: Any = {"bleu": sacrebleu.corpus_bleu, "chrf": sacrebleu.corpus_chrf, "ter": sacrebleu.corpus_ter}[name]
    hypotheses, first, second = zip(*told, strict=True)
    value, error = total(name, parts(name, [(text, right) for text, *right in told]))
    assert value == pytest.approx(corpus(list(hypotheses), [list(first), list(second)]).score)
    assert error is not None and error >= 0


@given(st.lists(texts, min_size=1, max_size=12))
def test_self_bleu_is_each_text_against_four_others(told: list[str]) -> None:
    """As sacrebleu has it of a sentence; below five texts there is none."""
    bleu = sacrebleu.BLEU(effective_order=True)
    ring = told + told
    others = [[ring[place + part * len(told) // 5] for part in range(1, 5)] for place in range(len(told))]
    each = [bleu.sentence_score(text, four).score for text, four in zip(told, others, strict=True)]
    assert diversity.self_bleu(told)[0] == (pytest.approx(sum(each) / len(each)) if len(told) >= 5 else None)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(-200, -0.1), texts), min_size=2, max_size=10))
def test_bits_and_perplexities_are_lm_evals(told: list[tuple[float, str]]) -> None:
    """Weighted by length, over all texts."""
    cases = [Case(likelihood=likelihood, told=text) for likelihood, text in told]
    by_bytes = [(likelihood, len(text.encode())) for likelihood, text in told]
    for name, expected in (
        ("bits_per_byte", bits_per_byte(by_bytes)), ("byte_perplexity", weighted_perplexity(by_bytes)),
        ("word_perplexity", weighted_perplexity([(likelihood, len(text.split())) for likelihood, text in told])),
    ):  # fmt: skip
        assert total(name, [measured(name, case)[1] for case in cases])[0] == pytest.approx(expected)


@settings(max_examples=30)
@given(pairs, st.sampled_from(OF_TEXTS))
def test_a_value_has_its_range_and_does_not_depend_on_chance(told: Pairs, name: str) -> None:
    """Twice the same, with the same error; ratios lie between 0 and 1."""
    found = [one for one in parts(name, told) if one is not None]
    assert total(name, found) == total(name, found) if found else True
    for text, right in told:
        value, _ = measured(name, Case(text=text, references=tuple(right)))
        assert value is None or value >= 0
        if name not in ("bleu", "chrf", "ter", "mtld", "self_bleu", "syllable_error", "syllable_spread") and value is not None:
            assert value <= 1


@given(texts)
def test_what_repeats_the_right_answer_is_perfect(text: str) -> None:
    """Whatever it is."""
    case = Case(text=text, references=(text,))
    assert measured("exact_match", case)[0] == 1.0
    assert measured("ter", case)[0] == 0.0
    assert measured("chrf", case)[0] == pytest.approx(100.0)
