"""Deciding by properties: fronts, conflicts, preferences, confidence and what to measure next, for any candidates."""

import math
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from streams.deciding import capacity, front, measuring_next, preferring
from streams.deciding.candidates import Candidate, Estimate, TaskScores
from streams.deciding.confidence import confidence
from streams.deciding.conflicts import conflict
from streams.deciding.drawing import Worlds, worlds
from streams.deciding.loads import Load, under
from streams.deciding.preferring import Swing
from streams.deciding.shrinking import shrunk
from streams.errors import Invalid
from streams.statistics.spreads import Floats

figures = arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=st.integers(0, 5).map(float))
flags = arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(1, 8)))


def dominates(one: Floats, other: Floats) -> bool:
    """By the word of the definition."""
    return bool((one >= other).all() and (one > other).any())


def candidate(key: str, **own: Estimate) -> Candidate:
    """Somebody with these figures."""
    return Candidate(key, key, "vllm", "L40S", own)


def sure(draws: int, **own: tuple[float, float]) -> tuple[Worlds, tuple[Swing, ...]]:
    """Candidates by quality alone, each with its value and standard error."""
    made = [candidate(key, quality=Estimate(value, error, key)) for key, (value, error) in own.items()]
    return worlds(made, draws=draws), (Swing("quality", 100, 0.0, 1.0),)


@given(figures)
def test_the_front_is_who_nobody_dominates(values: Floats) -> None:
    """As the definition has it, ties and all."""
    expected = [not any(dominates(other, one) for other in values) for one in values]
    assert front.front(values).tolist() == expected


@given(figures, st.randoms(use_true_random=False))
def test_the_front_does_not_hang_on_order(values: Floats, chance: Any) -> None:
    """Shuffled candidates have the shuffled front."""
    order = list(range(len(values)))
    chance.shuffle(order)
    assert front.front(values[order]).tolist() == front.front(values)[order].tolist()


@given(arrays(np.float64, (4, 7, 2), elements=st.integers(0, 4).map(float)), arrays(np.bool_, (4, 7)))
def test_the_chance_of_the_front_counts_draws(drawn: Floats, feasible: Any) -> None:
    """Leaving out who is always beaten changes nothing; who is not feasible is on no front and beats nobody."""
    counted = np.zeros(7)
    for world, able in zip(drawn, feasible, strict=True):
        counted[np.flatnonzero(able)[front.front(world[able])]] += 1
    assert front.front_probability(drawn, feasible).tolist() == (counted / 4).tolist()


def test_dominance_is_a_share_of_draws() -> None:
    """Better in both in one of two draws."""
    drawn = np.array([[[1.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]])
    assert front.dominance_probability(drawn, 0).tolist() == [0.0, 0.5]


def test_the_knee_is_beyond_the_line_between_the_ends() -> None:
    """Of a bent front the bend; a straight one has none."""
    bent = np.array([[0.0, 10.0], [8.0, 8.0], [10.0, 0.0], [1.0, 1.0]])
    assert front.knee(bent) == 1
    assert front.knee(np.array([[0.0, 10.0], [5.0, 5.0], [10.0, 0.0]])) is None


@given(flags)
def test_the_conflict_is_the_smallest(kept: Any) -> None:
    """Nobody keeps all of it, somebody keeps any smaller set; and there is none where somebody keeps everything."""
    found, count = conflict(kept), len(kept)
    if kept.all(axis=0).any():
        assert found == ()
    else:
        assert not kept[list(found)].all(axis=0).any()
        assert all(kept[list(less)].all(axis=0).any() for less in combinations(range(count), len(found) - 1))


def test_a_conflict_among_many_is_still_one() -> None:
    """Above fourteen constraints it is one from which nothing can be taken."""
    kept = np.random.default_rng(1).random((20, 40)) < 0.6
    found = conflict(kept)
    assert not kept[list(found)].all(axis=0).any()
    assert all(kept[[one for one in found if one != out]].all(axis=0).any() for out in found)


def test_topsis_as_published() -> None:
    """Four cars by style, reliability, fuel economy and cost: 0.74, 0.41, 0.17, 0.45 (Hwang and Yoon's steps, as they are taught)."""
    style, reliability, economy, cost = np.array([[7, 9, 9, 8], [8, 7, 8, 7], [9, 6, 8, 9], [6, 7, 8, 6]], dtype=float).T
    values = {"quality": style, "goodput_per_s": reliability, "memory_bytes": -economy, "usd_per_month": cost}
    weights = [Swing(name, points, 0, 1) for name, points in zip(values, (10, 40, 30, 20), strict=True)]
    closeness = preferring.by_topsis(values, weights, np.ones(4, dtype=bool))
    assert closeness == pytest.approx([0.74, 0.41, 0.17, 0.45], abs=0.01)


def test_swing_values_by_hand() -> None:
    """Quality from 0.5 to 0.9 is worth twice the cost from 1000 to 200: (2·0.5 + 0.25)/3."""
    values = {"quality": np.array([0.7]), "usd_per_month": np.array([800.0])}
    weights = [Swing("quality", 100, 0.5, 0.9), Swing("usd_per_month", 50, 1000, 200)]
    assert preferring.by_swing(values, weights)[0] == pytest.approx((2 * 0.5 + 0.25) / 3)


@given(arrays(np.float64, (6, 2), elements=st.integers(1, 9).map(float)), st.integers(1, 100), st.integers(1, 100))
def test_each_way_of_weighing_chooses_from_the_front(values: Floats, first: int, second: int) -> None:
    """Whoever is chosen by weights above 0 has no one who is better in something and worse in nothing of what they differ in."""
    kinds, able = {"quality": values[:, 0], "goodput_per_s": values[:, 1]}, np.ones(6, dtype=bool)
    weights = preferring.swings({"quality": first, "goodput_per_s": second}, {name: own[None] for name, own in kinds.items()}, able[None])
    on = front.front(values)
    places = [preferring.best(preferring.by_swing(kinds, weights), able), preferring.best(preferring.by_topsis(kinds, weights, able), able)]
    places.append(preferring.lexicographic(kinds, [("quality", 0.0), ("goodput_per_s", 0.0)], able))
    assert all(place is not None and on[place] for place in places)


def test_a_tolerance_lets_the_next_figure_decide() -> None:
    """Within 0.02 of the best quality the cheapest is chosen."""
    kinds = {"quality": np.array([0.80, 0.79, 0.60]), "usd_per_month": np.array([500.0, 100.0, 10.0])}
    able = np.ones(3, dtype=bool)
    assert preferring.lexicographic(kinds, [("quality", 0.02), ("usd_per_month", 0)], able) == 1
    assert preferring.lexicographic(kinds, [("quality", 0.0), ("usd_per_month", 0)], able) == 0


@given(st.floats(-0.1, 0.1), st.floats(0.01, 0.1))
def test_the_confidence_of_two_is_the_normals(apart: float, error: float) -> None:
    """The chance that one of two is the better is Φ(d / (σ·√2))."""
    left, weights = sure(4000, a=(0.5 + apart, error), b=(0.5, error))
    found = confidence(left, np.ones((4000, 2), dtype=bool), weights)
    assert found.chosen[0] == pytest.approx(norm.cdf(apart / (error * math.sqrt(2))), abs=0.04)
    assert found.chosen.sum() == pytest.approx(1)


def test_where_nobody_is_feasible_nobody_is_right() -> None:
    """Shares of draws then add up to less than 1, and to nothing where nobody ever is."""
    left, weights = sure(100, a=(0.5, 0.1), b=(0.5, 0.1))
    able = np.zeros((100, 2), dtype=bool)
    assert confidence(left, able, weights).choice is None
    able[:40, 0] = True
    assert confidence(left, able, weights).chosen.tolist() == [0.4, 0.0]


def test_what_was_measured_once_is_drawn_once() -> None:
    """Two devices of one model have one quality in each draw; two measurements have two."""
    shared, own = Estimate(0.5, 0.1, "run 1"), Estimate(0.5, 0.1, "run 2")
    drawn = worlds([candidate("a", quality=shared), candidate("b", quality=shared), candidate("c", quality=own)]).drawn["quality"]
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 2])[0, 1]) < 0.2


def test_resamples_that_are_given_are_kept_in_order() -> None:
    """Figures of one run then vary together."""
    own = np.linspace(1, 2, 50)
    made = candidate("a", goodput_per_s=Estimate(1.5, 0, "r", draws=own), ttft_p95_s=Estimate(1.5, 0, "r", draws=own[::-1]))
    drawn = worlds([made], draws=50).drawn
    assert (drawn["goodput_per_s"][:, 0] + drawn["ttft_p95_s"][:, 0]).tolist() == [3.0] * 50


def test_documents_are_drawn_for_all_models_together() -> None:
    """Two models that are right on the same documents hardly ever change places: their difference is 0.1 but for a half each way."""
    right = (np.arange(200) % 2).astype(float)
    task = TaskScores("t", ("a", "b"), np.stack([right * 0.9, right * 0.9 + 0.1]))
    drawn = worlds([candidate("a"), candidate("b")], [task]).drawn["quality"]
    assert (drawn[:, 1] > drawn[:, 0]).all() and np.std(drawn[:, 1] - drawn[:, 0]) < 0.2 * np.std(drawn[:, 0])


def test_all_right_is_not_sure_to_be_the_better() -> None:
    """20 of 20 vary, and are better than 19 in some 85 %; of 5 models that are as good, or seem to be, none is sure to be the best."""

    def drawn(*right: int) -> Floats:
        names = tuple("abcde"[: len(right)])
        values = np.stack([(np.arange(20) < own).astype(float) for own in right])
        return worlds([candidate(name) for name in names], [TaskScores("t", names, values)], draws=2000).drawn["quality"]

    two = drawn(20, 19)
    assert np.mean(two[:, 0] > two[:, 1]) == pytest.approx(0.85, abs=0.05) and two[:, 0].std() == pytest.approx(0.03, rel=0.2)
    for right in ((20, 20, 20, 20, 20), (10, 10, 11, 10, 10)):
        best = np.bincount(drawn(*right).argmax(axis=1), minlength=5) / 2000
        assert best.max() < 0.6 and best.min() > 0.1


def test_documents_of_a_passage_and_of_several_tasks_are_drawn_as_one() -> None:
    """40 passages of 5 alike are as sure as 40 documents; two tasks over the same documents as one, over others surer."""
    right = (np.arange(40) % 4 > 0).astype(float)

    def spread_of(*tasks: TaskScores) -> float:
        return float(worlds([candidate("a")], tasks, draws=4000).drawn["quality"].std())

    alone = spread_of(TaskScores("t", ("a",), right[None]))
    passages = TaskScores("t", ("a",), np.repeat(right, 5)[None], clusters=np.repeat(np.arange(40), 5))
    assert spread_of(passages) == pytest.approx(alone, rel=0.05)
    assert spread_of(*(TaskScores(name, ("a",), right[None], documents="d") for name in "tu")) == pytest.approx(alone, rel=0.05)
    lacking = TaskScores("u", ("a",), right[None, 4:], np.arange(4, 40), documents="d")
    assert spread_of(TaskScores("t", ("a",), right[None], documents="d"), lacking) == pytest.approx(alone, rel=0.08)
    assert spread_of(*(TaskScores(name, ("a",), right[None]) for name in "tu")) == pytest.approx(alone / math.sqrt(2), rel=0.05)


def test_what_a_figures_interval_has_beside_its_documents_is_drawn_too() -> None:
    """A task that stopped early is as unsure as its interval; set-ups suit a model in all its tasks alike."""
    right = (np.arange(200) % 2).astype(float)
    alone = math.sqrt(0.25 / 200)

    def drawn(*tasks: TaskScores) -> Floats:
        return worlds([candidate("a"), candidate("b")], tasks, draws=4000).drawn["quality"]

    def task(name: str, *over_setups: float) -> TaskScores:
        return TaskScores(name, ("a", "b"), np.stack([right, right]), over_setups=np.array(over_setups))

    stopped = drawn(replace(task("t", 0.0, 0.0), beside=np.array([3 * alone**2, -0.75 * alone**2])))
    assert stopped.std(axis=0) == pytest.approx([2 * alone, alone / 2], rel=0.05)
    one, two = drawn(task("t", 0.05, 0.0)), drawn(task("t", 0.05, 0.0), task("u", 0.05, 0.0))
    assert one.std(axis=0) == pytest.approx([math.hypot(alone, 0.05), alone], rel=0.05)
    assert two.std(axis=0) == pytest.approx([math.hypot(alone / math.sqrt(2), 0.05), alone / math.sqrt(2)], rel=0.05)
    apart = drawn(task("t", 0.05, 0.05))
    assert (apart[:, 0] - apart[:, 1]).std() == pytest.approx(0.05 * math.sqrt(2), rel=0.1)  # each model by itself


def test_the_spread_of_documents_is_their_standard_error() -> None:
    """Of 400 right and wrong ones, √(p·(1 - p)/n)."""
    right = (np.arange(400) % 4 == 0).astype(float)
    drawn = worlds([candidate("a")], [TaskScores("t", ("a",), right[None])], draws=2000).drawn["quality:t"]
    assert drawn.std() == pytest.approx(math.sqrt(0.25 * 0.75 / 400), rel=0.1)


def test_documents_that_a_model_has_not_answered_are_not_its_mistakes() -> None:
    """Its mean is over those that it has, and is the less sure; of a model that has answered nothing nothing is known."""
    right = np.tile([1.0, 0.0], 100)
    half = np.where(np.arange(200) < 50, right, np.nan)
    task = TaskScores("t", ("a", "b", "c"), np.stack([right, half, np.full(200, np.nan)]))
    told = worlds([candidate("a"), candidate("b"), candidate("c")], [task], draws=2000)
    assert told.points["quality"][:2].tolist() == [0.5, 0.5]
    assert told.drawn["quality"][:, 1].std() == pytest.approx(2 * told.drawn["quality"][:, 0].std(), rel=0.15)
    assert np.isnan(told.drawn["quality"][:, 2]).all()


def test_shrunk_estimates_are_nearer_to_the_truth() -> None:
    """Of many with much noise; and what hardly varies but for noise is drawn together almost wholly."""
    chance = np.random.default_rng(3)
    truth = 0.5 + 0.05 * chance.standard_normal(300)
    measured = truth + 0.05 * chance.standard_normal(300)
    moved, drawn = shrunk(measured, measured + 0.05 * chance.standard_normal((500, 300)))
    assert ((moved - truth) ** 2).mean() < 0.7 * ((measured - truth) ** 2).mean()
    # The draws lie about what was moved as widely as the truth does, and so twice as far from it.
    assert np.mean((drawn - truth) ** 2) == pytest.approx(2 * ((moved - truth) ** 2).mean(), rel=0.15)


def test_of_few_equal_estimates_the_noise_is_left() -> None:
    """Five that are the same: B = 1/2, and the variance is 1 - B·4/5 of what it was: they are not taken for one."""
    values, chance = np.full(5, 0.5), np.random.default_rng(2)
    draws = values + 0.1 * chance.standard_normal((20_000, 5))
    moved, drawn = shrunk(values, draws)
    assert moved == pytest.approx(values)
    assert drawn.std(axis=0) == pytest.approx(draws.std(axis=0) * math.sqrt(1 - 2 / 4 * 4 / 5))


def test_few_estimates_are_left_as_they_are() -> None:
    """Three say too little of what they have in common."""
    values = np.array([0.1, 0.5, 0.9])
    draws = values + 0.1 * np.random.default_rng(1).standard_normal((50, 3))
    assert (shrunk(values, draws)[1] == draws).all()


def test_tasks_count_by_their_weights_and_must_be_there() -> None:
    """Three to one; a task that nobody has is named."""
    made = candidate("a", **{"quality:x": Estimate(0.8), "quality:y": Estimate(0.4)})
    assert worlds([made], weights={"x": 3, "y": 1}).points["quality"].tolist() == [pytest.approx(0.7)]
    with pytest.raises(Invalid, match="nobody has scores of z; there are scores of x, y"):
        worlds([made], weights={"z": 1})


def test_a_load_makes_replicas_a_bill_and_a_price() -> None:
    """20 a second and a fifth more from replicas of 5: five, for 2 USD an hour; the night's idleness is in the price."""
    made = Candidate("a", "a", "vllm", "L40S", {"goodput_per_s": Estimate(5.0)}, usd_per_hour=2.0)
    told = under(Load(peak_per_s=20, mean_per_s=10, tokens_per_request=1000), worlds([made])).points
    assert (told["replicas"][0], told["usd_per_month"][0]) == (5, 5 * 2 * 730)
    assert told["usd_per_1m_tokens"][0] == pytest.approx(5 * 2 / (10 * 3600 * 1000 / 1e6))


def test_a_bill_has_the_replicas_that_the_queue_calls_for() -> None:
    """1.5 a second on one place of half a second: one by rate, two by the queue, three where a wait may be half a second; in draws too."""
    made = Candidate("a", "a", "vllm", "L40S", {"goodput_per_s": Estimate(2.0, 0.01)}, usd_per_hour=3.0, places=1, service_s=0.5)
    for bound, ttft, replicas in ((None, 0.1, 2), (0.6, 0.1, 3)):
        one = replace(made, figures=dict(made.figures) | {"ttft_p95_s": Estimate(ttft)})
        told = under(Load(1.5, 1.5, 1000, 0.2, bound), worlds([one]))
        size = capacity.capacity(1.5, capacity.Replica(2.0, 1, 0.5), longest_wait_s=capacity.longest_wait_s(bound, ttft))
        assert size.replicas == told.points["replicas"][0] == replicas and size.by_rate == 1
        assert (told.drawn["replicas"] == replicas).all() and told.points["usd_per_month"][0] == replicas * 3 * 730


@given(st.floats(0.1, 200), st.integers(1, 64), st.floats(0.05, 30), st.floats(0.01, 5))
def test_the_queue_calls_for_no_replica_more_than_it_must(peak: float, places: int, service_s: float, wait_s: float) -> None:
    """So many keep the wait, and one fewer does not."""
    count = capacity.queue_replicas(peak, places, service_s, longest_wait_s=wait_s)
    late = [capacity.waits_longer(n * places, peak * service_s, service_s=service_s, than_s=wait_s) for n in (count, count - 1)]
    assert late[0] <= 0.05 and (count == 1 or late[1] > 0.05)


def offer(truths: Floats, noise: float, usd: float = 1.0) -> measuring_next.Offer:
    """A measurement of one quantity."""
    return measuring_next.Offer("measure", usd, truths[:, None], np.array([[noise**2]]))


def test_the_gain_of_a_measurement_is_the_textbooks() -> None:
    """Of two, one known: the other lies N(0.01, 0.05²) above. After a result the chance of being right is Φ(|mean|/sd) of the posterior."""
    left, weights = sure(4000, a=(0.51, 0.05), b=(0.50, 0.0))
    now = confidence(left, np.ones((4000, 2), dtype=bool), weights)
    (worth,) = measuring_next.worths(now, [offer(left.drawn["quality"][:, 0], 0.03)])
    prior, noise = 0.05**2, 0.03**2 / worth.times
    after, spread = math.sqrt(prior * noise / (prior + noise)), prior / math.sqrt(prior + noise)
    means = 0.01 + spread * norm.ppf((np.arange(2000) + 0.5) / 2000)
    expected = norm.cdf(np.abs(means) / after).mean()
    assert worth.confidence == pytest.approx(expected, abs=0.03)
    assert worth.gain == pytest.approx(expected - norm.cdf(0.2), abs=0.04)


def test_what_cannot_change_the_choice_is_worth_nothing() -> None:
    """A quantity that nothing hangs on, and one whose result is noise."""
    left, weights = sure(2000, a=(0.51, 0.05), b=(0.50, 0.05))
    now = confidence(left, np.ones((2000, 2), dtype=bool), weights)
    other = np.random.default_rng(9).standard_normal(2000)
    useless = measuring_next.worths(now, [offer(other, 3.0), offer(left.drawn["quality"][:, 0], 50.0)])
    assert all(worth.gain == pytest.approx(0, abs=0.01) for worth in useless)


def test_what_is_too_small_alone_counts_by_how_often_it_would_do() -> None:
    """One noisy look cannot turn a lead of three of its effects; sixteen can."""
    left, weights = sure(4000, a=(0.53, 0.03), b=(0.50, 0.0))
    now = confidence(left, np.ones((4000, 2), dtype=bool), weights)
    (worth,) = measuring_next.worths(now, [offer(left.drawn["quality"][:, 0], 0.06)])
    assert worth.times > 1
    assert worth.gain > 0


def test_the_best_for_a_dollar_comes_first() -> None:
    """The same measurement at a tenth of the price; one that costs nothing is refused."""
    left, weights = sure(1000, a=(0.51, 0.05), b=(0.50, 0.05))
    now = confidence(left, np.ones((1000, 2), dtype=bool), weights)
    dear, cheap = offer(left.drawn["quality"][:, 0], 0.01, 10.0), offer(left.drawn["quality"][:, 0], 0.01, 1.0)
    assert [worth.offer.usd for worth in measuring_next.worths(now, [dear, cheap])] == [1.0, 10.0]
    assert all(worth.usd == worth.times * worth.offer.usd for worth in measuring_next.worths(now, [dear, cheap]))
    with pytest.raises(Invalid, match="must cost something"):
        offer(left.drawn["quality"][:, 0], 0.01, 0.0)


def test_erlang_c_by_hand() -> None:
    """Three servers under two erlangs: 4/9; one server: its load. Six are needed for 30 calls an hour of five minutes at 90 %."""
    assert capacity.erlang_c(3, 2.0) == pytest.approx(4 / 9)
    assert capacity.erlang_c(1, 0.7) == pytest.approx(0.7)
    assert next(count for count in range(3, 9) if capacity.erlang_c(count, 2.5) <= 0.1) == 6
    assert capacity.erlang_c(2, 2.0) == 1.0


@given(st.floats(0.1, 200), st.floats(0.1, 20), st.integers(1, 64), st.floats(0.05, 30))
def test_capacity_keeps_the_rate_and_the_wait(peak: float, goodput: float, places: int, service_s: float) -> None:
    """With headroom, and at most one in twenty waiting longer; never more of them for a smaller peak."""
    one = capacity.Replica(goodput, places, service_s)
    told = capacity.capacity(peak, one)
    assert told.replicas * goodput * (1 + 1e-6) >= peak * 1.2
    assert told.too_long_ratio <= 0.05
    assert told.busy_ratio < 1
    assert capacity.capacity(peak / 2, one).replicas <= told.replicas


def test_what_cannot_serve_has_no_capacity() -> None:
    """Goodput of 0, and a peak that must be a mistake."""
    with pytest.raises(Invalid, match="above 0"):
        capacity.capacity(1.0, capacity.Replica(0.0, 1, 1.0))
    with pytest.raises(Invalid, match="wrong unit"):
        capacity.capacity(1e9, capacity.Replica(1.0, 1, 1.0))
