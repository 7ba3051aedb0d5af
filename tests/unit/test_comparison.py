"""Two runs compared: what is shared, which is better, what is said of it."""

from typing import Any

import pytest

from streams.comparison import Measured, Sample, compare, in_words
from streams.errors import Invalid


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
    assert "p = 1.9e-06 after Holm" in in_words(task)
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


def test_what_is_not_decided_says_how_many_samples_would() -> None:
    """A difference within chance is not called one."""
    (task,) = compare({"t": measured(answers(52, 100))}, {"t": measured(answers(50, 100))}).tasks
    assert task.better is None
    assert in_words(task).startswith("no difference is shown: A - B is 0.020 (")
    assert f"about {task.difference.deciding:,} samples would decide" in in_words(task)


def test_equal_answers_are_called_the_same() -> None:
    """A run against itself."""
    own = {"t": measured(answers(50, 100))}
    (task,) = compare(own, own).tasks
    assert in_words(task) == "the same on all 100 shared samples"
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
