"""Krippendorff's alpha: his own worked example, agreement, chance, and what it does not depend on."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.statistics.agreement import Level, alpha
from streams.statistics.spreads import Floats

# Krippendorff (2011), section C: four observers, twelve units, values missing.
PUBLISHED = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
    (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
)
LEVELS = pytest.mark.parametrize("level", ["interval", "ordinal", "nominal"])
VALUES = st.lists(st.lists(st.integers(1, 10).map(float), min_size=2, max_size=5), min_size=2, max_size=12)


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_the_published_example(level: Level, published: float) -> None:
    """To the digits that are printed; the unit with one value is left out."""
    units = {number: [float(value) for value in unit if value is not None] for number, unit in enumerate(zip(*PUBLISHED, strict=True))}
    found = alpha(units, level=level)
    assert found.value == pytest.approx(published, abs=5e-4)
    assert found.units == 11
    assert found.interval is None and "too few" in str(found.why)
    often = alpha({(time, number): unit for time in range(4) for number, unit in units.items()}, level=level).interval
    assert often is not None and often[0] < published < often[1] <= 1


@LEVELS
@given(values=st.lists(st.integers(1, 10).map(float), min_size=2, max_size=20, unique=True), judges=st.integers(2, 4))
def test_identical_judges_agree_wholly(level: Level, values: list[float], judges: int) -> None:
    """Whatever they say."""
    found = alpha({number: [value] * judges for number, value in enumerate(values)}, level=level)
    assert found.value == pytest.approx(1)


@LEVELS
def test_independent_judges_agree_by_chance(level: Level) -> None:
    """Their alpha is near 0, and its interval has it."""
    draw = random.Random(1)
    found = alpha({unit: [float(draw.randint(1, 5)) for _ in range(3)] for unit in range(2000)}, level=level)
    assert found.value == pytest.approx(0, abs=0.04)
    assert found.interval is not None and found.interval[0] < 0 < found.interval[1]


@LEVELS
@given(values=VALUES, seed=st.integers(0, 1000))
def test_it_is_the_definition_in_any_order(level: Level, values: list[list[float]], seed: int) -> None:
    """All pairs within units against all pairs, one by one."""
    units = dict(enumerate(values))
    shuffled = [(unit, random.Random(seed).sample(told, len(told))) for unit, told in units.items()]
    random.Random(seed).shuffle(shuffled)
    found = alpha(dict(shuffled), level=level).value
    expected = defined(values, level)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-9))


def defined(units: list[list[float]], level: Level) -> float | None:
    """Alpha as its definition has it."""
    every = [value for unit in units for value in unit]
    chance = pairs(every, level, every) / (len(every) * (len(every) - 1))
    within = sum(pairs(unit, level, every) / (len(unit) - 1) for unit in units) / len(every)
    return 1 - within / chance if chance else None


def pairs(values: list[float], level: Level, every: list[float]) -> float:
    """The sum of δ² over ordered pairs."""
    told = [(a, b) for i, a in enumerate(values) for j, b in enumerate(values) if i != j]
    if level == "ordinal":
        return sum(between(min(a, b), max(a, b), every) ** 2 for a, b in told if a != b)
    return sum((a - b) ** 2 if level == "interval" else float(a != b) for a, b in told)


def between(low: float, high: float, every: list[float]) -> float:
    """How many values lie from one to the other, half of the two themselves."""
    return sum(low < value < high for value in every) + (every.count(low) + every.count(high)) / 2


@LEVELS
@pytest.mark.parametrize("units", [{}, {0: [1.0], 1: [2.0]}, {0: [1.0, 1.0], 1: [1.0, 1.0]}])
def test_where_it_is_undefined_it_says_why(level: Level, units: dict[int, list[float]]) -> None:
    """No pairs, or nothing to disagree about."""
    found = alpha(units, level=level)
    assert (found.value, found.interval) == (None, None)
    assert found.why


@given(values=VALUES)
def test_clusters_widen_no_value(values: list[list[float]]) -> None:
    """They are about the interval; one cluster of all has none."""
    units = dict(enumerate(values))
    alone, together = alpha(units, level="interval"), alpha(units, level="interval", clusters=dict.fromkeys(units, "one"))
    assert alone.value == together.value
    assert together.interval is None


@LEVELS
def test_where_few_answers_stand_out_there_is_no_interval(level: Level) -> None:
    """Its draws would often hold none of them, and say [1, 1]; the reason is told, and the value stays."""
    units = {number: [1.0, 1.0] for number in range(200)} | {number: [0.0, float(number % 2)] for number in range(200, 209)}
    found = alpha(units, level=level)
    assert found.value is not None and found.interval is None
    assert "too few" in str(found.why)
    assert alpha(units | {number: [0.0, 0.0] for number in range(209, 215)}, level=level).interval is not None


@pytest.mark.parametrize(("count", "wrong"), [(50, 0.005), (50, 0.02), (100, 0.1)])
def test_judges_who_nearly_always_agree_may_still_be_wrong_at_times(count: int, wrong: float) -> None:
    """Two judges of 0/1, each wrong so often: alpha is 1 - 2·2w(1 - w), which draws of answers that all agree do not hold."""
    draw, true, held = np.random.default_rng(3), 1 - 4 * wrong * (1 - wrong), 0
    for _ in range(60):
        right = draw.random(count) < 0.5
        judges = [np.where(draw.random(count) < wrong, ~right, right) for _ in range(2)]
        found = alpha({place: [float(own) for own in told] for place, told in enumerate(zip(*judges, strict=True))}, level="nominal")
        assert found.interval is not None and found.interval[0] < found.interval[1]
        held += found.interval[0] <= true <= found.interval[1]
    assert held >= 54


def test_few_answers_of_many_points_have_an_interval_that_holds() -> None:
    """Ten points, of which each judge slips by one on three in ten: of 25 answers 76 % of intervals held, for all ended too low."""
    draw = np.random.default_rng(3)

    def said(n: int) -> Floats:
        own = draw.integers(1, 11, (n, 1))
        return np.clip(np.where(draw.random((n, 2)) < 0.3, own + draw.choice([-1, 1], (n, 2)), own), 1, 10).astype(np.float64)

    found = [alpha(dict(enumerate(said(25).tolist())), level="ordinal").interval for _ in range(40)]
    assert sum(one is not None and one[0] <= 0.968 <= one[1] for one in found) >= 38


def test_a_few_answers_far_from_the_others_tell_no_interval_of_numbers() -> None:
    """Sixty near 5, and three of 1: by squares these three are nearly all that is known."""
    units = {number: [5.0, 4.0 if number % 3 else 5.0] for number in range(60)} | {number: [1.0, 1.0] for number in range(60, 63)}
    assert "how far values lie apart" in str(alpha(units, level="interval").why)
    assert alpha(units, level="ordinal").interval is not None
