"""Statistics against published figures, and against what they promise."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import ndtri

from streams.statistics.clusters import cluster_of
from streams.statistics.intervals import (
    ANY,
    RATIO,
    Interval,
    joint_interval,
    mean,
    mean_interval,
    mean_of,
    of_error,
    percentiles,
    ratio,
    ratio_of,
    skewed,
    skewed_p,
    t95,
    wilson,
)
from streams.statistics.joining import covariance
from streams.statistics.resampling import percentile_interval, resampled_means
from streams.statistics.spreads import Floats, spread


def test_wilson_at_a_published_figure() -> None:
    """81 of 263: 0.2553 to 0.3662. Source: R. G. Newcombe, Statist. Med. 17 (1998) 857–872, table I, method 3."""
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_what_has_no_spread_to_tell_from_has_no_interval() -> None:
    """No samples, one, one cluster, an infinite value; and equal values of which no range is known."""
    assert wilson(0, 0) is None
    assert mean([]) is None
    assert mean_interval([0.5]) is None
    assert mean_interval([0.0, 1.0], ["one", "one"]) is None
    assert mean_interval([0.5, math.inf]) is None
    assert mean_interval([0.5, 0.5]) is None


def test_an_interval_says_what_made_it() -> None:
    """Of right and wrong, of ratios, of clusters, of few clusters, of anything; and its error is over documents."""
    half, names = [0.0, 1.0] * 40, [number // 2 for number in range(80)]
    assert mean_of(half).method == "Wilson"
    assert mean_of([0.5, *half], within=(0.0, 1.0)).method == "Wilson, known range"
    assert mean_of(half, names).method == "Wilson, effective size"
    assert mean_of(half, [number // 8 for number in range(80)]).method == "Wilson, effective size, few clusters"
    assert mean_of([2.5, *half]).method.startswith("Student, corrected for skewness")
    assert mean_of([0.25, 0.25]).method == mean_of([0.25]).method == "none"
    assert (mean_of(half, names).n, mean_of(half, names).clusters) == (80, 40)


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=50), st.sampled_from([0.0, 12.5, 50.0, 95.0, 99.0, 100.0]))
def test_percentiles_interpolate_between_closest_ranks(values: list[int], share: float) -> None:
    """As Hyndman and Fan's type 7 says."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * share / 100
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    assert percentiles(values, [share])[0] == pytest.approx(low + (high - low) * (place - math.floor(place)), rel=1e-9, abs=1e-6)


def test_a_paired_bootstrap_draws_the_same_samples_for_all_rows() -> None:
    """A row that is another plus a constant differs by that constant in every draw."""
    values = np.random.default_rng(3).normal(size=300)
    drawn = resampled_means(np.stack([values, values + 0.25]), stream=0)
    assert drawn[1] - drawn[0] == pytest.approx(0.25)
    assert percentile_interval(drawn[1] - drawn[0], n=300) == pytest.approx((0.25, 0.25))


def test_draws_are_the_same_every_time_and_differ_between_streams() -> None:
    """A replay gives the same figures."""
    values = np.random.default_rng(4).normal(size=(2, 50))
    assert (resampled_means(values, stream=1) == resampled_means(values, stream=1)).all()
    assert not np.allclose(resampled_means(values, stream=1), resampled_means(values, stream=2))


def test_students_quantile_is_the_published_one() -> None:
    """2.228 for 10, 2.042 for 30 degrees of freedom. Source: any table since Student, Metron 5 (1925) 105–120."""
    assert (round(t95(10), 3), round(t95(30), 3)) == (2.228, 2.042)


def in_full(values: Floats, clusters: Sequence[int], correlation: float) -> tuple[float, float]:
    """CR2's variance of a mean, and Satterthwaite's degrees of freedom, with the n × n matrices of the papers written out."""
    n, ones = len(values), np.ones((len(values), 1))
    residual = np.eye(n) - ones @ ones.T / n
    columns, variance = [], 0.0
    for name in sorted(set(clusters)):
        own = np.asarray(clusters) == name
        roots, turned = np.linalg.eigh(residual[np.ix_(own, own)])
        whitened = turned @ np.diag([1 / math.sqrt(root) if root > 1e-9 else 0.0 for root in roots]) @ turned.T
        columns.append((residual[own].T @ whitened @ ones[own] / n).ravel())
        variance += float((columns[-1] @ (values - values.mean())) ** 2)
    alike = np.equal.outer(clusters, clusters)
    covariance = np.where(np.eye(n) > 0, 1.0, correlation * alike)
    across = np.stack(columns) @ covariance @ np.stack(columns).T
    return variance, float(np.trace(across) ** 2 / np.sum(across**2))


def correlation_of(values: Floats, clusters: Sequence[int]) -> float:
    """The intraclass correlation by the analysis of variance, from 0 to 1."""
    groups = [values[np.asarray(clusters) == name] for name in sorted(set(clusters))]
    n, count = len(values), len(groups)
    among = sum(len(one) * (one.mean() - values.mean()) ** 2 for one in groups) / (count - 1)
    inside = sum(((one - one.mean()) ** 2).sum() for one in groups) / (n - count)
    typical = (n - sum(len(one) ** 2 for one in groups) / n) / (count - 1)
    return float(min(1.0, max(0.0, (among - inside) / (among + (typical - 1) * inside))))


@pytest.mark.parametrize("seed", range(6))
def test_a_clustered_variance_and_its_freedom_are_the_papers_matrices(seed: int) -> None:
    """Bell and McCaffrey (2002): clusters of unlike sizes, with the correlation that is seen."""
    draw = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(9), draw.integers(1, 8, 9)).tolist()
    values = draw.normal(size=9)[clusters] * (seed % 3) + draw.normal(size=len(clusters))
    own = spread(values, clusters)
    assert own is not None
    assert (own.variance, own.freedom) == pytest.approx(in_full(values, clusters, correlation_of(values, clusters)))


def test_passages_widen_the_interval_of_their_questions() -> None:
    """Ten passages with eight equal answers each say about as much as ten samples."""
    passages = [float(number % 2) for number in range(10) for _ in range(8)]
    names = [f"passage {number}" for number in range(10) for _ in range(8)]
    plain, clustered = mean_interval(passages), mean_interval(passages, names)
    assert plain is not None and clustered is not None
    assert clustered[1] - clustered[0] > 2.5 * (plain[1] - plain[0])


def test_where_all_answers_are_right_clusters_count_as_one_sample_each() -> None:
    """80 right answers about 10 passages: the design effect is taken to be 8, the worst. By hand, with t's quantile for 9 degrees."""
    names = [number // 8 for number in range(80)]
    own = spread(np.ones(80), names)
    assert own is not None
    assert (own.effect, own.freedom) == pytest.approx((8.0, 9.0))
    assert mean_interval([1.0] * 80, names) == pytest.approx((1 / (1 + t95(9) ** 2 / 10), 1.0))


Z = 1.959963984540054


def test_one_task_of_right_and_wrong_has_wilsons_own_interval() -> None:
    """However the suite's is reckoned."""
    for right, n in ((0, 20), (7, 20), (20, 20), (149, 150)):
        own = ratio(np.asarray([1.0] * right + [0.0] * (n - right)))
        assert own is not None
        assert joint_interval([own], [1.0]) == pytest.approx(wilson(right / n, n))
        assert joint_interval([own], [0.25]) == pytest.approx([0.25 * end for end in wilson(right / n, n) or ()])


def ends(parts: list[tuple[float, float, float]], weights: list[float]) -> tuple[float, float]:
    """By the definition: of means, variances of one sample and sizes; where the share at an end makes the mean z standard errors apart."""

    def apart(share: float, rooms: list[float]) -> float:
        own = sum(
            weight**2 / size * ((1 - share) * square + share * (1 - share) * room**2)
            for weight, room, (_, square, size) in zip(weights, rooms, parts, strict=True)
        )
        return share * sum(weight * room for weight, room in zip(weights, rooms, strict=True)) - Z * math.sqrt(own)

    low, high = ([mean for mean, _, _ in parts], [1 - mean for mean, _, _ in parts])
    below, above = (
        brentq(apart, 1e-9, 1.0, args=(rooms,), xtol=1e-14) * sum(weight * room for weight, room in zip(weights, rooms, strict=True))
        for rooms in (low, high)
    )
    value = sum(weight * mean for weight, (mean, _, _) in zip(weights, parts, strict=True))
    return value - below, value + above


def test_a_suites_interval_is_its_definition() -> None:
    """Tasks of right and wrong, and one of values between, with weights."""
    rows = [np.asarray([1.0] * right + [0.0] * (20 - right)) for right in (20, 19, 12)] + [np.linspace(0.1, 0.8, 30)]
    weights = [0.4, 0.3, 0.2, 0.1]
    parts = [one for row in rows if (one := ratio(row))]
    told = [(float(row.mean()), float(row.var()), float(len(row))) for row in rows]
    assert joint_interval(parts, weights) == pytest.approx(ends(told, weights))


def test_values_of_a_known_range_leave_room_for_what_no_sample_showed() -> None:
    """Fifty answers of 0.9 may hide as many zeros as fifty right ones may hide wrong ones; a rubric's points likewise. Few are not seen."""
    low, high = mean_interval([0.9] * 50, within=(0.0, 1.0)) or (0.0, 0.0)
    square = Z**2
    assert (low, high) == pytest.approx((0.9 / (1 + square / 50), 0.9 + 0.1 * square / 50 / (1 + square / 50)))
    points = mean_interval([9.1] * 50, within=(1.0, 10.0))
    assert points == pytest.approx((1 + 9 * low, 1 + 9 * high))
    assert mean_of([0.9] * 50, within=(0.0, 1.0)).method == "Wilson, known range"


def test_tasks_that_are_all_right_over_the_same_documents_have_an_interval() -> None:
    """Their covariance is 0 but by a hair; they are as one task, for who fails a document fails it in all."""
    whole = [np.ones(37)] * 3
    parts = [one for values in whole if (one := ratio(values))]
    hair = covariance([values / 3 for values in whole], [np.arange(37)] * 3)
    told = joint_interval(parts, [1 / 3] * 3, hair, families=["d"] * 3)
    assert told == pytest.approx(wilson(1.0, 37))
    assert joint_interval(parts, [1 / 3] * 3, 1e-33, families=["d"] * 3) == pytest.approx(told)


@pytest.mark.parametrize(("tasks", "n", "r", "p"), [(5, 50, 0.95, 0.02), (3, 27, 0.9, 0.95), (8, 37, 0.6, 0.05)])
def test_rare_failures_of_alike_tasks_are_covered(tasks: int, n: int, r: float, p: float) -> None:
    """Where all fail together, the sum fails as one does: 0.78 to 0.90 of such intervals held before."""
    chance, held, draws = np.random.default_rng(7), 0, 300
    for _ in range(draws):
        common = chance.normal(size=n)
        values = (math.sqrt(r) * common + math.sqrt(1 - r) * chance.normal(size=(tasks, n)) < ndtri(p)).astype(float)
        shared = covariance([one / tasks for one in values], [np.arange(n)] * tasks)
        low, high = joint_interval([one for row in values if (one := ratio(row))], [1 / tasks] * tasks, shared, families=["d"] * tasks)
        held += low <= p <= high
    assert held / draws > 0.915


def test_a_suite_whose_tasks_share_documents_is_less_sure() -> None:
    """A covariance widens its interval; one below zero never makes it surer than its least sure task alone."""
    part = ratio(np.asarray([0.0, 1.0] * 50))
    assert part is not None
    alone, shared, turned = (joint_interval([part, part], [0.5, 0.5], covariance) for covariance in (0.0, 0.5 * part.variance, -1.0))
    assert shared[1] - shared[0] > alone[1] - alone[0]
    assert shared == pytest.approx(wilson(0.5, 100))
    assert turned[1] - turned[0] == pytest.approx(wilson(0.5, 400)[1] - wilson(0.5, 400)[0])  # type: ignore[index]  # never None


@given(st.integers(2, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_ratio_is_found_again_in_its_interval(given_: tuple[int, int]) -> None:
    """As sure as the one that the interval was made of."""
    right, n = given_
    interval = wilson(right / n, n)
    own = ratio(np.asarray([1.0] * right + [0.0] * (n - right)))
    assert interval is not None and own is not None
    found = ratio_of(right / n, interval)
    assert (found.value, found.variance, found.size) == pytest.approx((own.value, own.variance, own.size), rel=1e-6)


@given(st.lists(st.floats(-50, 50), min_size=3, max_size=30))
def test_a_skewed_interval_leaves_out_what_its_test_rejects(values: list[float]) -> None:
    """Moved so that an end is at 0, the p-value is 0.05."""
    array = np.asarray(values)
    own = spread(array)
    assert own is not None
    if own.variance < 1e-6:
        return
    for end in skewed(own):
        moved = spread(array - end)
        assert moved is not None
        assert skewed_p(moved) == pytest.approx(0.05, abs=1e-6)


def test_a_skewed_interval_leans_to_where_the_tail_is() -> None:
    """Exponential values have the longer reach upwards; with their signs turned, downwards."""
    values = np.random.default_rng(2).exponential(size=40)
    own, turned = spread(values), spread(-values)
    assert own is not None and turned is not None
    low, high = skewed(own)
    assert high - own.mean > own.mean - low
    assert skewed(turned) == pytest.approx((-high, -low))


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=40), st.integers(1, 5))
def test_a_ratios_interval_is_inside_and_has_a_width(values: list[float], size: int) -> None:
    """Whatever the clusters; it holds the mean."""
    found: Interval | None = mean_interval(values, [number // size for number in range(len(values))], within=(0.0, 1.0))
    if len(values) <= size:
        assert found is None
        return
    assert found is not None
    assert -1e-9 <= found[0] <= math.fsum(values) / len(values) + 1e-9
    assert found[1] <= 1 + 1e-9 and found[1] - found[0] > 1e-3


@given(st.lists(st.sampled_from([0.0, 0.1, 0.3, 1.0]), min_size=1, max_size=40), st.integers(1, 5), st.sampled_from([RATIO, ANY]))
@example(values=[0.0, 0.0, 0.1, 0.3, 0.0, 0.0, 0.3], size=4, within=RATIO)  # both clusters' means are 0.1, by a hair
def test_a_standard_error_does_not_deny_the_interval_beside_it(values: list[float], size: int, within: Interval) -> None:
    """Where there is an interval the error is more than 0, also where all are alike; else there is none. Of passages it is its own."""
    found = mean_of(values, [number // size for number in range(len(values))], within=within)
    assert (found.stderr is None) == (found.interval is None)
    assert found.stderr is None or found.stderr > 1e-4
    if found.interval and found.stderr and found.method.startswith("Wilson"):
        quotient = (found.interval[1] - found.interval[0]) / 2 / Z / found.stderr
        assert quotient == pytest.approx(1) if found.clusters < found.n else quotient < 3 + 1e-9


@given(st.integers(2, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_scores_interval_is_wilsons_with_as_many_samples_as_have_its_error(given_: tuple[int, int]) -> None:
    """Half a sample added at either end."""
    right, n = given_
    smooth = (right + 0.5) / (n + 1)
    assert of_error(right / n, math.sqrt(smooth * (1 - smooth) / n)) == pytest.approx(wilson(right / n, n))


def test_few_values_that_tell_a_spread_are_said_to_be_few() -> None:
    """Of values without a range, one of which is far off; of normal ones nothing is said."""
    assert mean_of([2.5] * 49 + [90.0]).method == "Student, corrected for skewness, few unlike values"
    assert mean_of(np.random.default_rng(1).normal(size=50).tolist()).method == "Student, corrected for skewness"
    for scale in (1e-99, 1.0, 1e60):
        own = spread(np.asarray([0.0] * 9 + [scale]))
        assert own is not None and own.telling == pytest.approx((9 * 0.01 + 0.81) ** 2 / (9 * 0.0001 + 0.9**4))


def test_the_error_of_answers_that_are_all_right_is_the_intervals_own() -> None:
    """Of 50: half of z²/(50 + z²), over z; in percent a hundred times that. One that is wrong has the textbook's."""
    assert mean_of([1.0] * 50).stderr == pytest.approx(Z / (50 + Z**2) / 2)
    assert mean_of([100.0] * 50, within=(0.0, 100.0)).stderr == pytest.approx(100 * Z / (50 + Z**2) / 2)
    assert mean_of([1.0] * 49 + [0.0]).stderr == pytest.approx(math.sqrt(0.98 * 0.02 / 49))


def test_the_error_of_nearly_equal_passages_is_the_intervals_own() -> None:
    """Five of ten right in 19 passages, six in one: ± 0.005 stood beside 0.351 to 0.658."""
    found = mean_of(([1.0] * 5 + [0.0] * 5) * 19 + [1.0] * 6 + [0.0] * 4, [number // 10 for number in range(200)])
    assert found.interval == pytest.approx((0.351, 0.658), abs=1e-3)
    assert found.stderr == pytest.approx(0.0783, abs=1e-4)
    scores = mean_of([0.9] * 49 + [0.89], within=RATIO)
    assert scores.interval and scores.stderr == pytest.approx((scores.interval[1] - scores.interval[0]) / 2 / Z / 3)


def test_documents_on_one_passage_share_a_cluster() -> None:
    """Whatever they ask; what has no passage, or only a label in its place, has none."""
    passage = "The river rises in the hills above the town, and it reaches the sea at the old harbour."
    first, second = cluster_of({"passage": passage, "question": "Where?"}), cluster_of({"passage": passage, "question": "Whence?"})
    assert first is not None and first == second
    assert cluster_of({"passage": passage + "!", "question": "Where?"}) != first
    assert cluster_of({"context": "physics"}) is None
    assert cluster_of({"question": passage, "passage": ["no", "text"]}) is None


@pytest.mark.parametrize(("within", "value"), [((1.0, 10.0), 1.0), ((0.0, 100.0), 0.0), ((-1.0, 1.0), 0.0)])
def test_values_that_happen_to_be_0_and_1_keep_the_range_that_is_known(within: Interval, value: float) -> None:
    """Twenty points of 1 are no right answers, but the least that a rubric has: the interval of their mean was 0.84 to 1."""
    found = mean_of([value] * 20, within=within).interval
    low, high = within
    assert found is not None and low <= found[0] <= value < found[1] and found[1] - value > 0.1 * (high - value)


def test_values_without_an_end_that_happen_to_be_0_and_1_are_no_shares() -> None:
    """An error rate may be above 1; of a metric of which nothing is known 0 and 1 are wrong and right."""
    assert mean_of([0.0] * 20, within=(0.0, math.inf)).method == "none"
    assert mean_of([0.0, 1.0] * 10, within=(0.0, math.inf)).method == "Student, corrected for skewness"
    assert mean_of([0.0, 1.0] * 10).method == "Wilson"
