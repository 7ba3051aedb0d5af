"""A judge's mean held to people's labels: what it comes to at the ends, what it does not depend on, and how often it holds the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.statistics.intervals import mean_interval
from streams.statistics.powered import FEWEST, powered

RATINGS = st.lists(st.tuples(st.integers(1, 10), st.integers(1, 10)), min_size=FEWEST, max_size=60)
POINTS = (1.0, 10.0)


@given(rated=RATINGS)
def test_where_all_are_labelled_it_is_the_labels_mean(rated: list[tuple[int, int]]) -> None:
    """Whatever the judge says."""
    labels = {place: float(label) for place, (_, label) in enumerate(rated)}
    found = powered([float(judged) for judged, _ in rated], labels, within=POINTS)
    assert found.value == pytest.approx(np.mean([label for _, label in rated]))
    assert found.interval is not None and found.interval[0] < found.interval[1]


@given(rated=RATINGS, scale=st.floats(0.5, 20), shift=st.floats(-50, 50))
def test_it_moves_with_the_scale(rated: list[tuple[int, int]], scale: float, shift: float) -> None:
    """Points of 1 to 10 or of another range are the same to it."""
    judged, labels = [float(own) for own, _ in rated], {place: float(label) for place, (_, label) in enumerate(rated[:FEWEST])}
    one = powered(judged, labels, within=POINTS)
    other = powered([value * scale + shift for value in judged], {place: value * scale + shift for place, value in labels.items()},
                    within=(scale + shift, 10 * scale + shift))  # fmt: skip
    assert one.value is not None and one.interval is not None and other.interval is not None and one.stderr is not None
    assert other.value == pytest.approx(one.value * scale + shift, abs=1e-6 * scale)
    assert other.stderr == pytest.approx(one.stderr * scale)
    assert other.interval == pytest.approx([end * scale + shift for end in one.interval], abs=1e-6 * scale)


def test_a_judge_who_says_the_same_of_all_adds_nothing() -> None:
    """The mean is that of the labels alone, λ is 0."""
    labels = {place: float(place % 3 == 0) for place in range(60)}
    found = powered([1.0] * 1000, labels, within=(0, 1))
    assert found.value == pytest.approx(1 / 3) and found.tuning == 0.0
    alone = mean_interval(list(labels.values()), within=(0, 1))
    assert alone is not None and found.interval == pytest.approx(alone, abs=0.01)


@pytest.mark.parametrize("rating", [1.0, 5.0, 9.0, 10.0])
@pytest.mark.parametrize("answers", [20, 30, 60])
def test_where_all_say_the_same_the_truth_may_still_be_another(rating: float, answers: int) -> None:
    """Sums of equal numbers differ by a hair, which is no spread: the judge adds nothing, and the interval has a width."""
    found = powered([rating] * answers, dict.fromkeys(range(20), rating), within=POINTS)
    assert found.tuning == 0.0 and found.interval is not None and found.value == pytest.approx(rating)
    assert found.interval[0] <= rating + 1e-9 and found.interval[1] - found.interval[0] > 0.1


def test_a_good_judge_makes_it_surer_and_its_bias_goes() -> None:
    """A judge who is too kind by a point, and little else: labels of a tenth say more than they would alone."""
    draw = np.random.default_rng(1)
    people = draw.binomial(9, 0.6, 1000) + 1.0
    judged = np.minimum(people + 1 + (draw.random(1000) < 0.1), 10.0)
    found = powered(judged.tolist(), {place: people[place] for place in range(100)}, within=POINTS)
    alone = mean_interval(people[:100].tolist(), within=POINTS)
    assert found.interval is not None and alone is not None and found.tuning is not None and found.tuning > 0.9
    assert found.value == pytest.approx(people.mean(), abs=0.1)
    assert found.interval[1] - found.interval[0] < 0.75 * (alone[1] - alone[0])


def test_repeats_of_one_document_count_as_one() -> None:
    """Ten copies of each answer are not ten times as sure."""
    draw = np.random.default_rng(2)
    once, right = draw.random(100), (draw.random(100) < 0.7).astype(float)
    labels = {place: right[place // 10] for place in range(1000)}
    found = powered(np.repeat(once, 10).tolist(), labels, np.repeat(np.arange(100), 10).tolist(), within=(0, 1))
    single = powered(once.tolist(), {place: right[place] for place in range(100)}, within=(0, 1))
    assert found.stderr == pytest.approx(single.stderr, rel=0.1)


@pytest.mark.parametrize("count", [0, FEWEST - 1])
def test_few_labels_are_too_few(count: int) -> None:
    """No figure, and why."""
    found = powered([1.0] * 50, dict.fromkeys(range(count), 1.0), within=(0, 1))
    assert (found.value, found.interval, found.labels) == (None, None, count)
    assert "too few" in str(found.why)


@pytest.mark.parametrize(("share", "wrong"), [(0.5, 0.1), (0.95, 0.02)])
def test_the_interval_holds_what_people_would_say(share: float, wrong: float) -> None:
    """A slice of `make bench-rigor`; the judge alone is off by more than its own interval is wide."""
    draw, held = np.random.default_rng(3), 0
    for _ in range(200):
        people = (draw.random(500) < share).astype(float)
        judged = np.where(draw.random(500) < wrong, 1.0, people)
        own = powered(judged.tolist(), {int(at): people[at] for at in draw.choice(500, 50, replace=False)}, within=(0, 1)).interval
        held += own is not None and own[0] <= share <= own[1]
    assert held / 200 >= 0.91
