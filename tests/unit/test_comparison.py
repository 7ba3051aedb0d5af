"""Two runs compared: what is shared, which is better, what is said of it."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import bdtr

from query_api.drawing.grouping import arranged, mean_told
from query_api.reading.comparing import _document
from query_api.routes.comparing import Compared
from streams.boards.comparison import Asking, Measured, Sample, compare, in_words, of_group
from streams.errors import Invalid
from streams.statistics.differences import difference, mean_of_differences
from tests.runs import run_named


def measured(values: dict[int, float], build: str = "build", **told: Any) -> Measured:
    """A task's values; accuracy, unless told otherwise."""
    samples = {ordinal: Sample(doc_id=ordinal + 100, value=value) for ordinal, value in values.items()}
    given: dict[str, Any] = {"metric": "acc", "filter": "none", "higher_is_better": True, "aggregation": "mean"} | told
    return Measured(build_id=build, samples=samples, **given)


def answers(right: int, of: int, *, first: int = 0) -> dict[int, float]:
    """So many right answers, from the ordinal on, of so many."""
    return {ordinal: float(first <= ordinal < first + right) for ordinal in range(of)}


def test_the_better_run_is_named_with_its_margin() -> None:
    """In words that hold the figures."""
    (task,) = compare({"t": measured(answers(80, 100))}, {"t": measured(answers(60, 100))}).tasks
    assert (task.better, task.a, task.b) == ("a", 0.8, 0.6)
    assert in_words(task).startswith("A is better by 0.200 (0.1")
    assert "p = 9.5e-07 after Holm" in in_words(task)  # 2·½²⁰ - ½²⁰: mid-p of 20 to 0
    assert [one.ordinal for one in task.differing] == list(range(60, 80))
    assert task.differing[0].doc_id == 160


def test_where_lower_is_better_the_lower_wins() -> None:
    """And the words say so."""
    high, low = {n: 2.0 + n % 3 for n in range(60)}, {n: 1.0 + n % 2 for n in range(60)}
    first = measured(high, metric="loss", higher_is_better=False)
    found = compare({"t": first}, {"t": measured(low, metric="loss", higher_is_better=False)})
    assert found.tasks[0].better == "b"
    assert in_words(found.tasks[0]).startswith("B is better by 1.5")
    assert "(lower loss is better)" in in_words(found.tasks[0])
    assert found.overall == pytest.approx(-1.5)


def test_only_shared_samples_count() -> None:
    """Those of one run alone are counted, not used."""
    (task,) = compare({"t": measured(answers(5, 10))}, {"t": measured({n: 1.0 for n in range(5, 14)})}).tasks
    assert (task.difference.n, task.only_a, task.only_b) == (5, 5, 4)
    assert (task.a, task.b) == (0.0, 1.0)


def test_what_is_not_decided_says_which_difference_these_samples_would_find() -> None:
    """2 of 100 differ, and a difference of δ wants a share of δ: 5 of them, all one way, are what the mid-p test needs."""
    (task,) = compare({"t": measured(answers(52, 100))}, {"t": measured(answers(50, 100))}).tasks
    assert task.better is None and task.detectable is not None
    assert bdtr(4, 100, task.detectable) == pytest.approx(0.2, abs=1e-3)
    assert (task.needed, task.p_equivalent) == (None, None)
    assert in_words(task).startswith("no difference is shown: A - B is 0.020 (")
    assert in_words(task).endswith(f"; these samples find differences from {task.detectable:.3f} on")


def test_how_many_samples_find_the_difference_that_is_asked_for() -> None:
    """As many as hold 5 that differ, for 0.02 and for 0.01; more tasks need more, for Holm tests them all."""
    runs = {"t": measured(answers(52, 100))}, {"t": measured(answers(50, 100))}
    (one,), (other,) = (compare(*runs, asking=Asking(difference=size)).tasks for size in (0.02, 0.01))
    assert one.needed is not None and other.needed is not None
    assert bdtr(4, one.needed, 0.02) == pytest.approx(0.2, abs=1e-3)
    assert other.needed > 2 * one.needed  # 2 of 100 differed, and not 1
    assert in_words(one, Asking(difference=0.02)).endswith(f"; {one.needed:,} would find one of 0.02")
    many = [{f"t{number}": side["t"] for number in range(10)} for side in runs]
    among = compare(*many, asking=Asking(difference=0.02)).tasks[0]
    assert among.needed is not None and among.needed > one.needed


def test_whether_a_run_is_as_good_is_told_within_the_margin_that_is_asked_for() -> None:
    """10 of 1,000 differ, either way alike: within 0.02, not within 0.005."""
    a = measured(answers(500, 1000))
    b = measured({n: float(5 <= n < 505) for n in range(1000)})
    (wide,), (narrow,) = (compare({"t": a}, {"t": b}, asking=Asking(margin=margin)).tasks for margin in (0.02, 0.005))
    assert wide.p_equivalent is not None and narrow.p_equivalent is not None
    assert wide.p_equivalent < 1e-3 and narrow.p_equivalent > 0.05
    assert "; as good as one another within 0.02: p = " in in_words(wide, Asking(margin=0.02))
    told = in_words(narrow, Asking(margin=0.005))
    assert told.startswith("no difference is shown: A - B is 0.000 (-0.007 to 0.007), p = ")
    assert "; not shown to be as good as one another within 0.005: p = 0." in told


def test_whatever_is_found_what_was_asked_is_answered() -> None:
    """Of a run that is better, and of equal ones too."""
    asking = Asking(difference=0.05, margin=0.3)
    (better,) = compare({"t": measured(answers(90, 100))}, {"t": measured(answers(50, 100))}, asking=asking).tasks
    (same,) = compare({"t": measured(answers(50, 100))}, {"t": measured(answers(50, 100))}, asking=asking).tasks
    assert better.better == "a" and better.needed is not None and same.needed is not None
    for one in (better, same):
        assert f"; these samples find differences from {one.detectable:.3f} on; {one.needed:,} would find one of 0.05; " in in_words(
            one, asking
        )
    assert in_words(better, asking).endswith("not shown to be as good as one another within 0.3: p = 0.98 in two one-sided tests")
    assert "; as good as one another within 0.3: p = " in in_words(same, asking)


def test_equal_answers_are_called_the_same() -> None:
    """A run against itself."""
    own = {"t": measured(answers(50, 100))}
    (task,) = compare(own, own).tasks
    assert in_words(task) == f"the same on all 100 shared samples; these samples find differences from {task.detectable:.3f} on"
    assert task.p_holm == 1.0


def test_many_tasks_raise_the_bar() -> None:
    """What one task alone would show, one of twenty does not."""
    first = {f"t{n:02}": measured(answers(30, 100)) for n in range(20)}
    second = dict(first) | {"t00": measured(answers(23, 100))}
    alone = compare({"t00": first["t00"]}, {"t00": second["t00"]}).tasks[0]
    among = compare(first, second).tasks[0]
    assert (alone.better, among.better) == ("a", None)
    assert among.p_holm == pytest.approx(min(1.0, 20 * alone.p_holm))


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        ({"x": measured(answers(1, 2))}, {"y": measured(answers(1, 2))}, "x: only run A has it; y: only run B has it"),
        ({"x": measured({0: 1.0})}, {"x": measured({0: 1.0}, build="other")}, "built differently"),
        ({"x": measured({0: 1.0})}, {"x": measured({1: 1.0})}, "no sample has a value in both runs"),
        ({"x": measured({})}, {"x": measured({1: 1.0})}, "run A has no scores yet"),
        ({"x": measured({0: 1.0}, aggregation="perplexity")}, {"x": measured({0: 1.0})}, "not a mean over samples but perplexity"),
        ({"x": measured({0: float("inf")})}, {"x": measured({0: 1.0})}, "no sample has a value in both runs"),
        ({}, {}, "neither has a task"),
    ],
)
def test_runs_that_share_nothing_are_refused_with_the_reason(a: dict[str, Measured], b: dict[str, Measured], reason: str) -> None:
    """For each task."""
    with pytest.raises(Invalid, match="share no sample") as refused:
        compare(a, b)
    assert reason in str(refused.value)


def test_a_task_that_cannot_be_compared_holds_up_no_other() -> None:
    """It is named with its reason."""
    a = {"x": measured(answers(5, 10)), "y": measured(answers(5, 10))}
    found = compare(a, {"x": measured(answers(4, 10)), "y": measured(answers(5, 10), build="other")})
    assert [task.task for task in found.tasks] == ["x"]
    assert found.skipped.keys() == {"y"}


def subjects(*sizes: tuple[int, int], **told: Any) -> dict[str, Measured]:
    """Tasks of one group: (right, of) each."""
    return {f"g_{number}": measured(answers(*size), group="g", **told) for number, size in enumerate(sizes)}


def test_a_group_counts_as_one_by_its_samples() -> None:
    """(0.5·100 + 0·300) / 400 for the group and 0.2 for the task beside it make 0.1625; before, it was their plain mean."""
    a = subjects((75, 100), (90, 300)) | {"t": measured(answers(70, 100))}
    b = subjects((25, 100), (90, 300)) | {"t": measured(answers(50, 100))}
    found = compare(a, b)
    assert [task.weight for task in found.tasks] == pytest.approx([0.125, 0.375, 0.5])
    assert found.overall == pytest.approx((0.125 + 0.2) / 2)
    assert found.units == 2
    (group,) = found.groups
    assert (group.group, group.tasks, group.n, group.differing) == ("g", 2, 400, 50)
    assert (group.a, group.b, group.difference) == pytest.approx((165 / 400, 115 / 400, 0.125))
    own = [task.difference for task in found.tasks]
    bounds = [(one.low, one.high) for one in own if one.low is not None and one.high is not None]
    assert group.interval == pytest.approx(mean_of_differences([0.5, 0.0], bounds[:2], [0.25, 0.75]))
    assert found.overall_interval == pytest.approx(mean_of_differences([0.5, 0.0, 0.2], bounds, [0.125, 0.375, 0.5]))
    assert group.ahead == "a"
    assert of_group(group).startswith("A is ahead by 0.125 (0.0")
    assert of_group(group).endswith("over its 2 tasks by their samples (not tested)")


def test_a_group_within_chance_is_not_called_ahead() -> None:
    """Nor one that is the same."""
    a, b = subjects((52, 100), (51, 100)), subjects((50, 100), (50, 100))
    assert of_group(compare(a, b).groups[0]).startswith("no difference is shown over its 2 tasks by their samples: A - B is 0.015 (-0.0")
    assert of_group(compare(a, a).groups[0]) == "the same on all 200 shared samples over its 2 tasks by their samples"


def test_where_lower_is_better_the_lower_group_is_ahead() -> None:
    """Its difference is A - B all the same, the overall one positive where A is better."""
    low = {f"g_{k}": measured({n: 1.0 + n % 2 for n in range(60)}, metric="loss", higher_is_better=False, group="g") for k in range(2)}
    high = {f"g_{k}": measured({n: 2.0 + n % 3 for n in range(60)}, metric="loss", higher_is_better=False, group="g") for k in range(2)}
    found = compare(low, high)
    assert found.groups[0].ahead == "a"
    assert (found.groups[0].difference, found.overall) == pytest.approx((-1.5, 1.5))
    assert "lower loss is better" in of_group(found.groups[0])


def test_what_a_run_was_to_have_weighs_not_what_it_has_yet() -> None:
    """A task that stopped early counts as the ranking counts it; of two limits the lower."""
    a, b = subjects((5, 10), planned=100) | subjects_of_300(), subjects((4, 10), planned=200) | subjects_of_300()
    assert [task.weight for task in compare(a, b).tasks] == pytest.approx([0.25, 0.75])


def subjects_of_300() -> dict[str, Measured]:
    """Another task of the group."""
    return {"g_x": measured(answers(5, 10), group="g", planned=300)}


def test_a_group_that_one_run_names_is_one_and_two_names_are_none() -> None:
    """Whichever run is A."""
    one, other, none = (subjects((5, 10), (6, 10)) for _ in range(3))
    other = {name: measured(answers(5, 10), group="h") for name in other}
    none = {name: measured(answers(5, 10)) for name in none}
    assert [group.group for group in compare(one, none).groups] == [group.group for group in compare(none, one).groups] == ["g"]
    assert (compare(one, other).groups, compare(one, other).units) == ((), 2)


def test_a_group_of_unlike_metrics_counts_as_one_and_has_no_row() -> None:
    """For its means have no unit; metrics of 0 to 100 are ratios overall."""

    def tasks(points: float) -> dict[str, Measured]:
        return {
            "g_0": measured({n: points for n in range(10)}, metric="eqbench", group="g"),
            "g_1": measured(answers(5, 10), group="g"),
        }

    found = compare(tasks(60.0), tasks(40.0))
    assert (found.groups, found.units) == ((), 1)
    assert found.overall == pytest.approx(0.2 / 2)
    assert found.tasks[0].difference.value == 20.0


@given(right=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.sampled_from(["g", "h", None])), min_size=1, max_size=6))
def test_sides_turned_the_overall_difference_turns_too(right: list[tuple[int, int, str | None]]) -> None:
    """With its interval; and parts are 1 in all."""
    a = {f"t{n}": measured(answers(one, 30), group=group) for n, (one, _, group) in enumerate(right)}
    b = {f"t{n}": measured(answers(other, 30), group=group) for n, (_, other, group) in enumerate(right)}
    found, turned = compare(a, b), compare(b, a)
    assert found.overall == pytest.approx(-turned.overall)
    assert found.overall_interval and turned.overall_interval
    assert found.overall_interval == pytest.approx(tuple(-end for end in reversed(turned.overall_interval)))
    assert found.overall_interval[0] <= found.overall <= found.overall_interval[1]
    assert sum(task.weight for task in found.tasks) == pytest.approx(1)


def test_rows_of_groups_stand_before_their_tasks() -> None:
    """A task of a group that has no row stands for itself."""
    tasks = [{"task": name, "group": group} for name, group in (("a", None), ("g_1", "m"), ("g_2", "m"), ("z", "alone"))]
    rows = arranged(tasks, [{"group": "m", "tasks": 2}])
    assert [(row["group"], row["task"]) for row in rows] == [(None, "a"), ("m", None), ("m", "g_1"), ("m", "g_2"), (None, "z")]
    assert mean_told({"overall": {"tasks": 4, "units": 3}}) == "Mean over tasks, 3 with groups as one"
    assert mean_told({"overall": {"tasks": 4, "units": 4}}) == "Mean over tasks"


def test_tasks_over_the_same_documents_are_not_independent() -> None:
    """What they share is counted: two names of one and the same task are no surer than it is alone; other documents are."""
    draw = random.Random(3)
    first, second = ({ordinal: float(draw.random() < 0.6) for ordinal in range(200)} for _ in range(2))

    def width(*documents: str | None) -> float:
        a, b = ({f"mc{n}": measured(values, documents=own) for n, own in enumerate(documents)} for values in (first, second))
        interval = compare(a, b).overall_interval
        assert interval is not None
        return interval[1] - interval[0]

    alone = width(None)
    assert width("d", "d") == pytest.approx(alone, rel=0.01)
    assert width("d", "e") == width(None, None) == pytest.approx(alone / 2**0.5, rel=0.01)


def test_a_difference_over_set_ups_is_less_sure_by_what_it_varies_with_them() -> None:
    """Where each set-up says the same it stays as it is; where they disagree its interval holds 0, and nobody is called better."""

    def run(by_setup: list[list[float]]) -> dict[str, Measured]:
        samples = {n: Sample(n, sum(own) / len(own), by_setup=tuple(own)) for n, own in enumerate(by_setup)}
        return {"t": Measured("build", "acc", "none", True, "mean", samples)}

    n = 60
    steady = compare(run([[float(i % 3 > 0)] * 3 for i in range(n)]), run([[float(i % 3 > 1)] * 3 for i in range(n)])).tasks[0]
    plain = difference([float(i % 3 > 0) for i in range(n)], [float(i % 3 > 1) for i in range(n)])
    assert (steady.difference.low, steady.difference.high, steady.better) == (plain.low, plain.high, "a")
    assert steady.difference.method.endswith("over 3 set-ups")
    torn = compare(run([[1.0, 1.0, float(i % 2)] for i in range(n)]), run([[float(i % 5 > 2), float(i % 2), 1.0] for i in range(n)])).tasks[
        0
    ]
    alone = difference([(2 + i % 2) / 3 for i in range(n)], [(float(i % 5 > 2) + i % 2 + 1) / 3 for i in range(n)], width=1.0)
    assert alone.p < 0.05 < torn.difference.p
    assert torn.difference.low is not None and torn.difference.high is not None and torn.difference.low < 0 < torn.difference.high
    assert torn.better is None


@pytest.mark.parametrize("graded", [False, True])
def test_what_is_told_of_a_comparison_has_the_apis_shape(graded: bool) -> None:
    """Every field of it, of tasks and of groups: a shape takes no other."""
    one, other = subjects((30, 50), (10, 40)), subjects((20, 50), (10, 40))
    if graded:
        one, other = ({"t": measured({n: 0.01 * (n % share) for n in range(60)})} for share in (7, 9))
    side = {"run_id": run_named("r"), "model": "m", "state": "completed"}
    asking = Asking(difference=0.02, margin=0.05)
    told = Compared.model_validate({"a": side, "b": side} | _document(compare(one, other, asking=asking), asking))
    assert len(told.tasks) == len(one) and (graded or told.groups)


def test_tasks_over_the_same_documents_may_differ_on_those_that_nobody_saw() -> None:
    """Eight tasks of 50 documents on which nothing differs say no more than one: one in fifty that all fail on was left out of 38 %."""
    one = measured(answers(50, 50), documents="asked")
    (alone, together, apart) = (
        compare(tasks, tasks).overall_interval
        for tasks in (
            {"t": one}, {f"t{n}": one for n in range(8)}, {f"t{n}": measured(answers(50, 50), documents=f"d{n}") for n in range(8)},
        )
    )  # fmt: skip
    assert alone and together and apart
    assert together == pytest.approx(alone) and together[1] > 0.05 > apart[1]


@pytest.mark.parametrize(
    ("metric", "greatest"), [("bleu_max", 100), ("bleu_diff", 100), ("style", 10), ("acc", 1), ("wer", 1), ("mine", 1)]
)
def test_a_task_counts_by_how_much_of_its_metrics_range_it_gained(metric: str, greatest: float) -> None:
    """Three points in a hundred are 0.03: they counted as much as three tasks that are wholly right."""
    better, worse = ({n: base + n % 2 for n in range(40)} for base in (4.0, 1.0))
    found = compare({"t": measured(better, metric=metric)}, {"t": measured(worse, metric=metric)})
    assert found.overall == pytest.approx(3 / greatest)
