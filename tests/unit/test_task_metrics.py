"""Metrics for every task: held to the libraries that are their reference, to plain definitions, and to what must always hold."""

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.harness.metrics import certainty, diversity, overlap
from infra.harness.metrics.measure import Case
from infra.harness.metrics.registry import FAMILIES, METRICS, measured, total

words = st.sampled_from(["the", "cat", "sat", "on", "a", "mat,", "Mat.", "dog", "it's", "42", "ünï"])
texts = st.lists(words, min_size=1, max_size=25).map(" ".join)
pairs = st.lists(st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), min_size=2, max_size=8)
# ROUGE's library takes seconds to import: tests/integration/test_metrics_beside.py holds it to that.
OF_TEXTS = [name for name in METRICS if METRICS[name].needs in ("answer", "text") and not name.startswith("rouge")]
Pairs = Sequence[tuple[str, Sequence[str]]]


def parts(name: str, told: Pairs) -> list[object]:
    """The parts of generated texts with their right answers, as they come from the log."""
    found = [measured(name, Case(text=text, references=tuple(right)))[1] for text, right in told]
    return [json.loads(json.dumps(one)) for one in found]


@settings(max_examples=20)
@given(st.lists(st.tuples(texts, texts, texts), min_size=2, max_size=6), st.sampled_from(["bleu", "chrf", "ter"]))
def test_of_a_corpus_they_are_sacrebleus(told: list[tuple[str, str, str]], name: str) -> None:
    """Though only counts are kept of each sample."""
    import sacrebleu

    corpus: Any = {"bleu": sacrebleu.corpus_bleu, "chrf": sacrebleu.corpus_chrf, "ter": sacrebleu.corpus_ter}[name]
    hypotheses, first, second = zip(*told, strict=True)
    value, error = total(name, parts(name, [(text, right) for text, *right in told]))
    assert value == pytest.approx(corpus(list(hypotheses), [list(first), list(second)]).score)
    assert error is not None and error >= 0


@given(texts, texts)
def test_f1_is_the_harmonic_mean_of_precision_and_recall(text: str, right: str) -> None:
    """Over words that are left after SQuAD's normalising."""
    told, wanted = overlap.normal(text).split(), overlap.normal(right).split()
    shared = sum(min(told.count(one), wanted.count(one)) for one in set(told))
    found = overlap.f1(Case(text=text, references=(right,)))
    if not shared:
        assert found == 0
    else:
        precision, recall = shared / len(told), shared / len(wanted)
        assert found == pytest.approx(2 * precision * recall / (precision + recall))


def test_exact_match_forgives_what_squad_forgives() -> None:
    """Case, articles, punctuation; nothing else."""
    assert overlap.exact_match(Case(text=" The Eiffel Tower.", references=("no", "eiffel tower"))) == 1.0
    assert overlap.exact_match(Case(text="Eiffel", references=("eiffel tower",))) == 0.0
    assert overlap.exact_match(Case(text="Eiffel")) is None


@given(st.lists(texts, min_size=2, max_size=7))
def test_self_bleu_is_each_text_against_all_others(told: list[str]) -> None:
    """As sacrebleu has it of a sentence."""
    import sacrebleu

    bleu = sacrebleu.BLEU(effective_order=True)
    each = [bleu.sentence_score(text, told[:place] + told[place + 1 :]).score for place, text in enumerate(told)]
    assert diversity.self_bleu(told)[0] == pytest.approx(sum(each) / len(each))


@given(st.lists(texts, min_size=1, max_size=7), st.integers(1, 3))
def test_distinct_is_a_share_of_ngrams(told: list[str], n: int) -> None:
    """Of all texts together; its standard error is that of leaving out each in turn."""
    every = [[diversity.words(text)[first : first + n] for first in range(len(diversity.words(text)) - n + 1)] for text in told]

    def share(of: list[list[list[str]]]) -> float | None:
        flat = [tuple(one) for found in of for one in found]
        return len(set(flat)) / len(flat) if flat else None

    value, error = diversity.all_distinct(n, told)
    assert value == (pytest.approx(share(every)) if share(every) is not None else None)
    without = [share(every[:place] + every[place + 1 :]) for place in range(len(every))]
    known = [one for one in without if one is not None]
    if len(known) == len(told) > 1 and value is not None:
        centre = sum(known) / len(known)
        assert error == pytest.approx(math.sqrt((len(known) - 1) / len(known) * sum((one - centre) ** 2 for one in known)), abs=1e-12)


def test_repetition_and_mtld_by_hand() -> None:
    """A text that says one thing again; one whose every factor has three words; one that never says a word twice."""
    assert diversity.repetition(4, Case(text="a b c d a b c d")) == pytest.approx(1 / 5)
    assert diversity.repetition(4, Case(text="a b c")) is None
    # The share falls to 2/3 at every third word: 9 words, 3 factors either way.
    assert diversity.mtld(Case(text="x y x x y x x y x")) == pytest.approx(3.0)
    assert diversity.mtld(Case(text="every word here is new")) is None
    # One factor of 3 words, and a rest whose share is 1: 5 words over 1 factor, both ways.
    assert diversity.mtld(Case(text="x y x b c")) == pytest.approx((5 / 1 + 5 / ((1 - 0.8) / 0.28)) / 2)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.lists(st.floats(-50, 0), min_size=2, max_size=5), st.integers(0, 1)), min_size=1, max_size=40))
def test_calibration_is_what_its_definitions_say(told: list[tuple[list[float], int]]) -> None:
    """ECE over 15 bins, sample by sample; Brier's score over choices."""
    cases = [Case(choices=tuple(choices), right=right) for choices, right in told]
    bins: dict[int, list[tuple[float, float]]] = {}
    for case in cases:
        shares = certainty.probabilities(case.choices)
        assert sum(shares) == pytest.approx(1)
        sure = max(shares)
        bins.setdefault(math.ceil(sure * 15), []).append((sure, float(shares.index(sure) == case.right)))
        assert certainty.brier(case) == pytest.approx(sum((p - (n == case.right)) ** 2 for n, p in enumerate(shares)))
    expected = sum(abs(sum(right for _, right in found) - sum(sure for sure, _ in found)) for found in bins.values()) / len(cases)
    assert total("ece", [measured("ece", case)[1] for case in cases])[0] == pytest.approx(expected)


def test_one_who_is_always_sure_and_half_right_is_half_wrong() -> None:
    """And one who is sure and right is calibrated."""
    sure = [Case(choices=(0.0, -100.0), right=number % 2) for number in range(10)]
    assert total("ece", [measured("ece", case)[1] for case in sure])[0] == pytest.approx(0.5)
    assert total("brier", [measured("brier", case)[1] for case in sure])[0] == pytest.approx(1.0)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(-200, -0.1), texts), min_size=2, max_size=10))
def test_bits_and_perplexities_are_lm_evals(told: list[tuple[float, str]]) -> None:
    """Weighted by length, over all texts."""
    from lm_eval.api.metrics import bits_per_byte, weighted_perplexity

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


def test_what_a_sample_does_not_have_is_undefined() -> None:
    """Never 0, never NaN."""
    assert {measured(name, Case()) for name in METRICS} == {(None, None)}  # without right answers no library is asked
    assert measured("brier", Case(choices=(-math.inf, -math.inf), right=0)) == (None, None)


def test_every_figure_belongs_to_one_name() -> None:
    """And is said under it alone."""
    figures = [metric.name for family in FAMILIES.values() for metric in family]
    assert len(figures) == len(set(figures)) == len(METRICS)
