"""Metrics for every task: held to plain definitions, and to what must always hold."""

import itertools
import math
import random
from collections.abc import Callable

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


@settings(max_examples=50)
@given(st.lists(texts, min_size=1, max_size=8), st.integers(1, 3))
def test_distinct_is_that_of_every_five_texts(told: list[str], n: int) -> None:
    """Different n-grams and all n-grams, each the mean over all sets of five; the error is that of leaving out each in turn."""
    every = [diversity.ngrams(diversity.words(text)[:50], n) for text in told]

    def share(of: list[list[diversity.Ngram]]) -> float | None:
        fives = [[one for found in five for one in found] for five in itertools.combinations(of, 5)]
        there = sum(map(len, fives))
        return sum(len(set(five)) for five in fives) / there if there else None

    value, error = diversity.all_distinct(n, told)
    assert value == (pytest.approx(share(every)) if share(every) is not None else None)
    without = [share(every[:place] + every[place + 1 :]) for place in range(len(every))]
    known = [one for one in without if one is not None]
    if len(known) == len(told) > 5 and value is not None:
        centre = sum(known) / len(known)
        assert error == pytest.approx(math.sqrt((len(known) - 1) / len(known) * sum((one - centre) ** 2 for one in known)), abs=1e-9)


def spoken(words: int, draw: random.Random) -> str:
    """So many words as a language has them: few often, most seldom (Zipf)."""
    return " ".join(draw.choices([f"w{rank}" for rank in range(1000)], [1 / rank for rank in range(1, 1001)], k=words))


def test_distinct_does_not_fall_with_the_number_of_texts() -> None:
    """Of 120 texts in sets of 10 and 60 it is the same but for chance; different n-grams over all fall by half."""
    draw = random.Random(1)
    told = [spoken(60, draw) for _ in range(120)]
    for n in (1, 2):
        by_size = [[told[first : first + size] for first in range(0, 120, size)] for size in (10, 60)]
        found = [sum(diversity.all_distinct(n, one)[0] or 0 for one in sets) / len(sets) for sets in by_size]
        assert max(found) - min(found) < 0.02
    plain = [diversity.different(1, diversity.words(" ".join(told[:size]))) or 0 for size in (10, 120)]
    assert plain[1] < plain[0] / 2
    blue = [diversity.self_bleu(told[:size])[0] or 0 for size in (30, 120)]
    assert blue[0] == pytest.approx(blue[1], rel=0.1)


def test_neither_distinct_nor_mtld_goes_with_a_texts_length() -> None:
    """The same words as 60 texts of 100, and as 6 of 1,000, which say less that is new for their length."""
    draw = random.Random(2)
    short = [spoken(100, draw) for _ in range(60)]
    long = [" ".join(short[first : first + 10]) for first in range(0, 60, 10)]
    measures: tuple[Callable[[str], float | None], ...] = (
        lambda text: diversity.mtld(Case(text=text)),
        lambda text: diversity.distinct(1, text),
        lambda text: diversity.different(1, diversity.words(text)),
    )
    varied, window, plain = ([sum(measure(text) or 0 for text in told) / len(told) for told in (short, long)] for measure in measures)
    assert varied[0] == pytest.approx(varied[1])
    assert window[0] == pytest.approx(window[1], abs=0.01)
    assert plain[1] < 0.6 * plain[0]


def test_mtld_and_windows_are_the_references() -> None:
    """Figures of the package lexical-diversity 0.1.1, mtld_ma_wrap of each 100 words and mattr of windows of 50; and by hand."""
    one = " ".join(f"w{n * n % 67}" for n in range(100))
    two = " ".join(f"w{n * n % 67 if n % 3 else n % 11}" for n in range(200))
    assert diversity.mtld(Case(text=one)) == pytest.approx(34.24)
    assert diversity.mtld(Case(text=f"{two} and a rest")) == pytest.approx((43.47 + 43.41) / 2)
    assert diversity.distinct(1, one) == pytest.approx(0.62)
    assert diversity.distinct(1, two) == pytest.approx(0.6547019867549674)
    # Half of the words are new until ten have been said: every factor has ten.
    assert diversity.mtld(Case(text="x y " * 50)) == 10.0
    # No word comes twice: all 100, and 39 again until the share is below 0.72.
    assert diversity.mtld(Case(text=" ".join(f"w{n}" for n in range(100)))) == 139.0
    assert diversity.mtld(Case(text="too short a text")) is None


def test_repetition_by_hand() -> None:
    """A text that says one thing again, and one without four words."""
    assert diversity.repetition(4, Case(text="a b c d a b c d")) == pytest.approx(1 / 5)
    assert diversity.repetition(4, Case(text="a b c")) is None


@settings(max_examples=25)
@given(st.lists(st.tuples(st.lists(st.floats(-50, 0), min_size=2, max_size=5), st.integers(0, 1)), min_size=1, max_size=40))
def test_calibration_is_what_its_definitions_say(told: list[tuple[list[float], int]]) -> None:
    """ECE over 15 bins, debiased by the folded normal's mean, less half of what that leaves; Brier's score over choices."""
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
        left = (2 - math.sqrt(2)) * math.sqrt(2 / math.pi) * error * math.exp(-((apart / error) ** 2) / 4)
        expected += (2 * apart - stats.foldnorm.mean(apart / error, scale=error) - left / 2) * len(found) / len(cases)
    assert total("ece", [measured("ece", case)[1] for case in cases])[0] == pytest.approx(max(0.0, expected), abs=1e-9)


def test_one_who_is_always_sure_and_half_right_is_half_wrong() -> None:
    """And one who is sure and right is calibrated."""
    sure = [Case(choices=(0.0, -100.0), right=number % 2) for number in range(10)]
    assert total("ece", [measured("ece", case)[1] for case in sure])[0] == pytest.approx(0.5, abs=5e-3)
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
