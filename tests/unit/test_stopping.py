"""Tasks that stop early: where they do follows from their scores alone, their jobs are withdrawn, and their figures say what they are."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.event import Event
from schemas.jobs import BuildPlace, Need
from schemas.requests import EvaluationRequested, ModelRef, Stopping, TaskChoice
from schemas.results import SampleNotScored, SampleScored, TaskStopped
from schemas.runs import ExpectedMetric, PlannedTask, RunChanged
from streams.boards.ranking import Entry, chosen, rank
from streams.errors import Invalid
from streams.planning import Chosen, check, jobs
from streams.quality import stopping
from streams.queue.leases import Release, Step
from streams.settling.results import scored as task_scored
from streams.settling.runs import OpenRuns, Run
from streams.statistics.intervals import Z95, mean_of
from streams.statistics.sequences import sequence
from tests.pool import RUN, Told, beat, job, planned, ran, released
from tests.runs import run_named
from tests.unit.test_results import HEADER, interleaved, of_mean, result, scored, told
from tests.unit.test_results import planned as run_planned

R, W = run_named("r"), run_named("w")

RULE = Stopping(half_width=0.1)
SAMPLES = 400
ACC = ("none", "acc")


def may_stop(run: str = R, *, repeats: int = 1) -> RunChanged:
    """The plan of a run whose task may stop at ±0.1."""
    change = run_planned(run, samples=SAMPLES, model=run)
    assert change.plan is not None
    (task,) = change.plan.tasks
    stops = task.model_copy(update={"stopping": RULE, "repeats": repeats})
    return change.model_copy(update={"plan": change.plan.model_copy(update={"tasks": (stops,)})})


def task_of(change: RunChanged) -> PlannedTask:
    """Its one task."""
    assert change.plan is not None
    return change.plan.tasks[0]


def right(ordinal: int) -> float:
    """A value for each sample of a sorted data set."""
    return float(ordinal < 300)


def at_end(results: OpenRuns) -> stopping.Known | None:
    """Where the task ends by what has been folded."""
    return stopping.known(results.run(R).scores["t", "1"], task_of(may_stop()))


def test_the_order_is_the_builds_and_of_a_limit_the_first_samples() -> None:
    """Nobody's clock or chance is in it; another build has another one."""
    order = stopping.order("build", 50)
    assert sorted(order) == list(range(50)) and list(order) != sorted(order)
    assert stopping.order("other", 50) != order
    assert [ordinal for ordinal in order if ordinal < 20] == list(stopping.order("build", 20))


@given(seed=st.integers(0, 10**6), more=st.integers(0, 100))
def test_where_a_task_ends_follows_from_its_scores_alone(seed: int, more: int) -> None:
    """Whatever came when, and how much beyond the end: the same end, and the same figures."""
    order = stopping.order("build-t", SAMPLES)
    enough = [scored(R, ordinal, right(ordinal)) for ordinal in order[: 250 + more]]
    first = OpenRuns()
    for event in [may_stop(), *enough[:250]]:
        first.fold(event)
    found = at_end(first)
    assert found is not None and found.samples < 250 and found.half_width <= 0.1
    stop = stopped(found.samples)
    results = OpenRuns()
    for event in interleaved([list[Event](enough), [may_stop()], [stop]], seed=seed):
        results.fold(event)
    assert at_end(results) == found
    run = results.run(R)
    whole = run.complete_scores("t")
    assert whole is not None and run.complete
    sequential = stopping.intervals(whole[1], task_of(may_stop()), run.stretch("t", whole[1]))
    (figure,) = whole[1].figures(of_mean, sequential=sequential)
    values = [right(ordinal) for ordinal in order[: found.samples]]
    assert (figure.n, figure.sequential) == (found.samples, True)
    assert figure.value == pytest.approx(sum(values) / len(values))
    assert figure.low is not None and figure.high is not None and figure.high - figure.low <= 0.2


def test_what_a_stopped_task_comes_to_is_said_alike_whatever_is_scored_after_it() -> None:
    """To the last field: else a replay would find another event under its id."""
    order, said = stopping.order("build-t", SAMPLES), []
    every = [scored(R, ordinal, right(ordinal)).model_copy(update={"occurred_us": 1000 + n}) for n, ordinal in enumerate(order)]
    for more in (0, 1, 50):
        results = OpenRuns()
        for event in (may_stop(), *every[: 200 + more], stopped(200)):
            results.fold(event)
        said.append(task_scored(results.run(R), "t", aggregate=of_mean, stamp=HEADER["producer"]))
    assert said[0] is not None and said[0] == said[1] == said[2]


def stopped(samples: int) -> TaskStopped:
    """The task of the run has stopped there."""
    return TaskStopped(
        **HEADER, run_id=R, task="t", scorer_version="1", samples=samples, planned=SAMPLES, not_scored=0, half_width=0.1, confidence=0.95
    )


def test_a_gap_holds_the_end_up_and_a_sample_that_cannot_be_scored_does_not() -> None:
    """Only the stretch without a gap counts: what is missing may be unlike the rest."""
    order, results = stopping.order("build-t", SAMPLES), OpenRuns()
    results.fold(may_stop())
    for ordinal in (*order[:3], *order[4:]):
        results.fold(scored(R, ordinal, right(ordinal)))
    assert at_end(results) is None
    results.fold(SampleNotScored(**HEADER, run_id=R, task="t", ordinal=order[3], repeat=0, scorer_version="1", reason="no"))
    assert at_end(results) is not None


def at_half(ordinals: tuple[int, ...]) -> tuple[OpenRuns, PlannedTask]:
    """A run at ±0.05 of which these samples are there, every second right; and its task."""
    change, results = may_stop(), OpenRuns()
    results.fold(change)
    for ordinal in ordinals:
        results.fold(scored(R, ordinal, float(ordinal % 2)))
    return results, task_of(change).model_copy(update={"stopping": Stopping(half_width=0.05)})


def test_a_task_of_400_samples_stops_before_its_end() -> None:
    """Without an end ±0.05 would take 850; the interval holds what the whole task gives."""
    order = stopping.order("build-t", SAMPLES)
    results, task = at_half(order)
    found = stopping.known(results.run(R).scores["t", "1"], task)
    assert found is not None and found.samples < 320
    ((low, high),) = stopping.intervals(results.run(R).scores["t", "1"], task, order[: found.samples]).values()
    assert low < 0.5 < high and high - low <= 0.1


def test_a_sample_that_cannot_be_scored_counts_as_wrong_below_and_as_right_above() -> None:
    """One of 400 ends it a little later; without a value for another reason the task has no end that is known."""
    order = stopping.order("build-t", SAMPLES)
    results, task = at_half((*order[:20], *order[21:]))
    scores = results.run(R).scores["t", "1"]
    scores.add(SampleNotScored(**HEADER, run_id=R, task="t", ordinal=order[20], repeat=0, scorer_version="1", reason="no"))
    found = stopping.known(scores, task)
    assert found is not None and found.samples < 330
    there = order[: found.samples]
    ((low, high),) = stopping.intervals(scores, task, there).values()
    wrong, right_ = (np.array([float(n % 2) if n != order[20] else unknown for n in there]) for unknown in (0.0, 1.0))
    assert low == sequence(wrong, half_width=0.05, population=SAMPLES)[0][-1]
    assert high == sequence(right_, half_width=0.05, population=SAMPLES)[1][-1]
    scores.not_scored.clear()
    ((lower, higher),) = stopping.intervals(scores, task, there).values()
    endless = sequence(np.delete(wrong, 20), half_width=0.05)
    assert (lower, higher) == (endless[0][-1], endless[1][-1]) and higher - lower > 1.2 * (high - low)


def test_a_stopped_tasks_standard_error_is_its_intervals() -> None:
    """Half its width over z: s/√n knows nothing of the samples that are left."""
    order = stopping.order("build-t", SAMPLES)
    results, task = at_half(order)
    scores = results.run(R).scores["t", "1"]
    found = stopping.known(scores, task)
    assert found is not None
    taken, there = scores.of(order[: found.samples]), order[: found.samples]
    (figure,) = taken.figures(lambda _key, _parts: (None, None), means={("none", "acc")}, sequential=stopping.intervals(taken, task, there))
    assert figure.low is not None and figure.high is not None and figure.sequential
    assert figure.stderr == pytest.approx((figure.high - figure.low) / 2 / Z95)
    (bare,) = taken.figures(lambda _key, _parts: (None, None), means={("none", "acc")}, sequential={})
    assert (bare.value, bare.stderr, bare.low) == (figure.value, None, None)


def test_a_task_that_was_run_to_its_end_has_any_other_tasks_interval() -> None:
    """Which counts passages as one, here of ten samples each, all right or all wrong; on the board too, which says no more of it."""
    change, results = may_stop(), OpenRuns()
    assert change.plan is not None
    never = task_of(change).model_copy(update={"stopping": Stopping(half_width=0.001)})
    results.fold(change.model_copy(update={"plan": change.plan.model_copy(update={"tasks": (never,)})}))
    values, passages = [float(ordinal // 10 % 2) for ordinal in range(SAMPLES)], [f"p{ordinal // 10}" for ordinal in range(SAMPLES)]
    for ordinal, (value, passage) in enumerate(zip(values, passages, strict=True)):
        results.fold(scored(R, ordinal, value).model_copy(update={"cluster": passage}))
    known = stopping.known(results.run(R).scores["t", "1"], never)
    assert known is not None and known.samples == SAMPLES
    said, whole = task_scored(results.run(R), "t", aggregate=of_mean, stamp=HEADER["producer"]), mean_of(values, passages)
    assert said is not None
    (figure,) = said.figures
    assert ((figure.low, figure.high), figure.method, figure.sequential) == (whole.interval, whole.method, False)
    results.fold(RunChanged(**HEADER, run_id=R, state="completed"))
    (row,) = rank(chosen("task:t", [Entry(result(results.run(R)), ("t",), hardware="h", speed={})])).rows
    assert ((row.low, row.high), row.samples, row.sequential) == (whole.interval, SAMPLES, False)


def test_values_outside_0_to_1_never_end_a_task() -> None:
    """The formula would not hold."""
    results = OpenRuns()
    results.fold(may_stop())
    for ordinal in range(SAMPLES):
        results.fold(scored(R, ordinal, 50.0 if ordinal == 7 else 0.0))
    assert at_end(results) is None


def test_repeats_of_a_sample_count_together() -> None:
    """Until the second repeat is there nothing is."""
    results, change = OpenRuns(), may_stop(repeats=2)
    results.fold(change)
    events = [scored(R, ordinal, right(ordinal)) for ordinal in range(SAMPLES)]
    for event in events:
        results.fold(event)
    scores = results.run(R).scores["t", "1"]
    assert stopping.known(scores, task_of(change)) is None
    for event in events:
        results.fold(SampleScored.model_validate(event.model_dump(exclude={"event_id"}) | {"repeat": 1}))
    assert stopping.known(scores, task_of(change)) is not None


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"stopping": Stopping(half_width=0.0)}, "stopping.half_width 0: give a number above 0 and below 0.5"),
        ({"stopping": Stopping(half_width=2)}, "stopping.half_width 2"),
        ({"stopping": Stopping(half_width=0.02, confidence=95)}, "stopping.confidence 95: give a number from 0.5 to below 1"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(told: dict[str, Any], says: str) -> None:
    """With the value, and what to do."""
    asked = EvaluationRequested(**HEADER, run_id=R, model=ModelRef(uri="m"), tasks=(TaskChoice(name="t"),), **told)
    with pytest.raises(Invalid) as refused:
        check(asked)
    assert says in str(refused.value)


def test_figures_that_are_no_means_are_not_waited_for() -> None:
    """It is said; and where no task can stop the request is refused."""
    accuracy, other = ExpectedMetric(filter="none", metric="acc"), ExpectedMetric(filter="none", metric="bleu", aggregation="sums")
    assert stopping.rule_of(RULE, (accuracy, other), main=ACC) == RULE
    assert stopping.rule_of(RULE, (accuracy, other), main=("none", "bleu")) is None
    one = task_of(may_stop()).model_copy(update={"expected": (accuracy, other)})
    whole = one.model_copy(update={"task": "w", "stopping": None, "main_metric": "bleu"})
    assert list(stopping.told_of(RULE, [one, whole])) == [
        "t may stop before bleu is known, and then gives it no interval: it is no mean of values from 0 to 1",
        "w is run whole: its main metric bleu is no mean of values from 0 to 1",
    ]
    with pytest.raises(Invalid, match="no task can stop early: bleu of w is no mean"):
        list(stopping.told_of(RULE, [whole]))


def test_jobs_go_through_the_order_repeats_together() -> None:
    """A prefix of the order is whole after a prefix of the jobs."""
    asked = EvaluationRequested(**HEADER, run_id=R, model=ModelRef(uri="m"), tasks=(TaskChoice(name="t", repeats=2),))
    place = BuildPlace(build_id="b", task="t", partition=0, first_offset=0, last_offset=9)
    order = stopping.order("b", 10)
    made = jobs(asked, [Chosen(asked.tasks[0], place, 10, order)], per_job=4, need=Need())
    assert [(one.job_id, tuple(one.samples)) for one in made.each] == [
        (f"{R}/t/{repeat}/{first}", order[first : first + 4]) for first in (0, 4, 8) for repeat in (0, 1)
    ]
    plain = jobs(asked, [Chosen(asked.tasks[0], place, 10)], per_job=4, need=Need())
    assert [(one.job_id, tuple(one.samples)) for one in plain.each][:2] == [(f"{R}/t/0/0", (0, 1, 2, 3)), (f"{R}/t/0/4", (4, 5, 6, 7))]


def test_a_stopped_tasks_jobs_are_withdrawn_and_what_waits_for_them_goes_on() -> None:
    """The job that runs ends by itself; the other task's, and the workload behind both, are leased."""
    known, waits, other = job(f"{RUN}/t/0/0"), job(f"{RUN}/t/0/4"), job(f"{RUN}/u/0/0")
    load = job(f"{RUN}/perf", depends_on=(known.job_id, waits.job_id))
    stop = TaskStopped(
        **HEADER, run_id=RUN, task="t", scorer_version="1", samples=4, planned=8, not_scored=0, half_width=0.1, confidence=0.95
    )
    events: list[Event] = [planned(known), planned(waits), planned(other), planned(load), ran("running"), released(known)]
    for order in ([*events, stop], [stop, *events]):
        told = Told().tell(*order, beat("a"), beat("b"), beat("c"), beat("d"))
        given = [decision.job.job_id for decision in told.decide(2) if isinstance(decision, Release)]
        assert sorted(given) == [f"{RUN}/perf", f"{RUN}/u/0/0"]


def test_a_stopped_tasks_lost_job_is_not_tried_again_nor_fails_the_run() -> None:
    """Its agent is silent for good."""
    work = job(f"{RUN}/t/0/0")
    stop = TaskStopped(
        **HEADER, run_id=RUN, task="t", scorer_version="1", samples=4, planned=8, not_scored=0, half_width=0.1, confidence=0.95
    )
    told = Told().tell(planned(work), ran("running"), beat("a"), released(work, attempt=3), stop)
    told.tell(beat("b"), at_us=10**8)
    assert not [one for one in told.decide(10**8) if isinstance(one, Release | Step)]


def test_a_board_takes_a_stopped_runs_own_samples_and_its_sequence() -> None:
    """The whole run beside it keeps its score of all samples, and its interval."""
    results = OpenRuns()
    told(results, "w", {"t": [right(ordinal) for ordinal in range(SAMPLES)]}, model="w")
    (alone,) = rank(chosen("task:t", [Entry(result(results.run(W)), ("t",), hardware="h", speed={})])).rows
    results.fold(may_stop())
    order = stopping.order("build-t", SAMPLES)
    for ordinal in order[:250]:
        results.fold(scored(R, ordinal, right(ordinal)))
    found = at_end(results)
    assert found is not None
    results.fold(stopped(found.samples))
    results.fold(RunChanged(**HEADER, run_id=R, state="completed"))
    entries = [Entry(result(results.run(name)), ("t",), hardware="h", speed={}) for name in (R, W)]
    figure = entries[0].run.figure("t")
    assert figure is not None and figure.sequential
    rows = {row.run_id: row for row in rank(chosen("task:t", entries)).rows}
    early, whole = rows[R], rows[W]
    assert (early.score, early.low, early.high) == (figure.value, figure.low, figure.high)
    assert (early.samples, early.sequential) == (found.samples, True)
    assert (whole.score, whole.low, whole.high, whole.samples, whole.sequential) == (alone.score, alone.low, alone.high, SAMPLES, False)


def test_what_counts_of_a_task_that_may_stop_is_not_looked_for_while_all_is_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long task that takes seconds, and is asked at every batch of its scores, on the loop of everybody's."""
    results = OpenRuns()
    for event in (may_stop(), *(scored(R, ordinal, right(ordinal)) for ordinal in range(SAMPLES - 1))):
        results.fold(event)
    monkeypatch.setattr(Run, "counting", None)
    assert results.run(R).each_complete("t") == [] and not results.run(R).complete
