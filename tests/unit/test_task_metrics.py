"""Metrics for every task: held to plain definitions, and to what must always hold."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from infra.harness.metrics import certainty, diversity, overlap
from infra.harness.metrics.measure import Case
from infra.harness.metrics.registry import FAMILIES, METRICS, measured, total
from tests.texts import texts


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
    """ECE over 15 bins, debiased by the folded normal's mean; Brier's score over choices."""
    cases = [Case(choices=tuple(choices), right=right) for choices, right in told]
    bins: dict[int, list[tuple[float, float]]] = {}
    for case in cases:
        shares = certainty.probabilities(case.choices)
        assert sum(shares) == pytest.approx(1)
        sure = max(shares)
        bins.setdefault(math.ceil(sure * 15), []).append((sure, float(shares.index(sure) == case.right)))
        assert certainty.brier(case) == pytest.approx(sum((p - (n == case.right)) ** 2 for n, p in enumerate(shares)))
    expected = 0.0
    for found in bins.values():
        apart, share = (
            abs(sum(right - sure for sure, right in found)) / len(found),
            (sum(right for _, right in found) + 0.5) / (len(found) + 1),
        )
        error = math.sqrt(share * (1 - share) / len(found))
        expected += (2 * apart - stats.foldnorm.mean(apart / error, scale=error)) * len(found) / len(cases)
    assert total("ece", [measured("ece", case)[1] for case in cases])[0] == pytest.approx(max(0.0, expected), abs=1e-9)


def test_one_who_is_always_sure_and_half_right_is_half_wrong() -> None:
    """And one who is sure and right is calibrated."""
    sure = [Case(choices=(0.0, -100.0), right=number % 2) for number in range(10)]
    assert total("ece", [measured("ece", case)[1] for case in sure])[0] == pytest.approx(0.5, abs=1e-3)
    assert total("brier", [measured("brier", case)[1] for case in sure])[0] == pytest.approx(1.0)


def test_the_interval_of_a_calibrated_models_error_holds_zero() -> None:
    """0.75 sure and three of four right; by one in two it does not."""
    for every, holds in ((4, True), (2, False)):
        cases = [Case(choices=(math.log(0.75), math.log(0.25)), right=int(number % every == 0)) for number in range(200)]
        value, error = total("ece", [measured("ece", case)[1] for case in cases])
        assert value is not None and error is not None
        assert (value - 1.96 * error <= 1e-9) is holds


def test_what_a_sample_does_not_have_is_undefined() -> None:
    """Never 0, never NaN."""
    assert {measured(name, Case()) for name in METRICS} == {(None, None)}  # without right answers no library is asked
    assert measured("brier", Case(choices=(-math.inf, -math.inf), right=0)) == (None, None)


def test_every_figure_belongs_to_one_name() -> None:
    """And is said under it alone."""
    figures = [metric.name for family in FAMILIES.values() for metric in family]
    assert len(figures) == len(set(figures)) == len(METRICS)
