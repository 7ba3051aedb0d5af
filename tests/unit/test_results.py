"""Folds of scores and timings: any interleaving, any redelivery, conflicting attempts → the same figures; and what they are."""

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.event import Event, Producer
from schemas.jobs import JobChanged
from schemas.measurements import Clock, LoadClient, Phase, RequestTimed, ResourceRead, TokensTimed
from schemas.requests import Chat, EngineChoice, ModelRef
from schemas.results import Figure, SampleNotScored, SampleScored
from schemas.runs import Estimate, ExpectedMetric, Plan, PlannedTask, Published, RunChanged
from streams.boards.comparison import Measured, Sample, compare
from streams.boards.ranking import Board, Entry, boards_of, chosen, rank
from streams.boards.results import Result, result_of
from streams.boards.weighing import Counted, weights
from streams.quality.scores import Key, TaskScores
from streams.settling.results import scored as task_scored
from streams.settling.results import settled
from streams.settling.runs import OpenRuns, Run
from streams.statistics.intervals import Interval, Ratio, joint_interval, mean_interval
from tests.runs import run_named

R = run_named("r")

STAMP = Producer(service="test", version="1")
HEADER: dict[str, Any] = {"occurred_us": 1, "producer": STAMP}


def scored(run: str, ordinal: int, value: float, *, metric: str = "acc", task: str = "t", metrics: int = 1) -> SampleScored:
    """One score."""
    return SampleScored(
        **HEADER, run_id=run, task=task, ordinal=ordinal, doc_id=ordinal, repeat=0, scorer_version="1", filter="none", metric=metric,
        value=value, parts_json=repr(value), metrics=metrics,
    )  # fmt: skip


def planned(
    run: str,
    *,
    samples: int,
    model: str = "m",
    tasks: tuple[str, ...] = ("t",),
    chance: float | None = None,
    perf: int | None = None,
    groups: dict[str, str] | None = None,
    published: tuple[str | None, str | None] = (None, None),
) -> RunChanged:
    """A run's plan. `groups`: task → its group; `published`: the model's date, and that of the data of task t."""
    accuracy = ExpectedMetric(filter="none", metric="acc")
    told = [
        PlannedTask(
            task=task, task_version="1", build_id=f"build-{task}", samples=samples, repeats=1, expected=(accuracy,),
            main_metric="acc", main_filter="none", chance=chance, group=(groups or {}).get(task),
            data_published=published[1] if task == "t" else None,
        )
        for task in tasks
    ]  # fmt: skip
    plan = Plan(
        submitter="s", model=ModelRef(uri=model), model_sha=model, tokenizer_sha="", chat_template_sha="", chat=Chat(),
        engine=EngineChoice(name="echo"), suite=None, tasks=tuple(told), licences=(), skipped=(), estimate=Estimate(), jobs=1,
        perf_requests=perf, model_published=Published(date=published[0], source="request") if published[0] else None,
    )  # fmt: skip
    return RunChanged(**HEADER, run_id=run, state="planned", plan=plan)


def of_mean(_key: Key, parts: list[str]) -> tuple[float | None, float | None]:
    """The mean of plain parts."""
    return sum(map(float, parts)) / len(parts), None


def test_draws_that_all_agree_make_no_interval() -> None:
    """Of a metric with a function of its own, whose error comes out as 0: neither an error nor an interval is told."""
    told = TaskScores()
    for ordinal in range(3):
        told.add(scored(R, ordinal, 0.5))
    (figure,) = told.figures(lambda _key, _parts: (1.0, 0.0))
    assert (figure.value, figure.stderr, figure.low, figure.high, figure.method) == (1.0, None, None, None, None)


WILD = st.floats(allow_nan=False) | st.sampled_from([0.0, 1.0, 1e200, -1.7e308, 1e59, -1e60])


@given(values=st.lists(WILD, min_size=2, max_size=12), others=st.lists(WILD, min_size=2, max_size=12))
def test_whatever_a_samples_value_is_there_are_figures_and_boards(values: list[float], others: list[float]) -> None:
    """A value that is infinite, or larger than statistics can hold, is in no mean; what cannot be worked out is left out, or says why."""
    results, few = OpenRuns(), min(len(values), len(others))
    for name, own in (("1", values[:few]), ("2", others[:few])):
        told(results, name, {"t": own, "u": own[::-1]}, model=name)
    for run in results.runs.values():
        for scores in run.scores.values():
            for figure in (*scores.provisional(means={("none", "acc")}), *scores.figures(of_mean)):
                told_of = (figure.value, figure.stderr, figure.low, figure.high, figure.between, figure.within)
                assert all(value is None or math.isfinite(value) for value in told_of)
                assert (figure.value is None) == (figure.why_undefined is not None)
    sides = [
        {"t": Measured("b", "acc", "none", True, "mean", {n: Sample(n, value) for n, value in enumerate([1.0, *own])})}
        for own in (values, others)
    ]
    compared = compare(*sides)
    assert compared.overall is None or math.isfinite(compared.overall)
    for name in ("task:t", "t+u"):
        assert all(row.score is None or math.isfinite(row.score) for row in board(results, name).rows)


def test_before_all_samples_are_there_only_a_mean_is_told_within_what_it_can_be() -> None:
    """The mean of log-likelihoods is no perplexity."""
    told = TaskScores()
    for ordinal, value in enumerate((0.0, 0.0, 0.9)):
        told.add(scored(R, ordinal, value, metric="f1", metrics=2))
        told.add(scored(R, ordinal, -40.0, metric="perplexity", metrics=2))
    f1, perplexity = told.provisional(means={("none", "f1")})
    assert (f1.method, f1.why_undefined) == ("Wilson, known range", None)
    assert f1.value == pytest.approx(0.3)
    assert (f1.low, f1.high) == pytest.approx(mean_interval([0.0, 0.0, 0.9], within=(0.0, 1.0)))
    assert (perplexity.value, perplexity.low, perplexity.why_undefined) == (None, None, "known only when all samples are")


def test_a_provisional_mean_of_answers_that_depend_on_each_other_has_no_interval() -> None:
    """Repeats are no documents; and values without a range that are all alike may still not be."""
    told = TaskScores()
    for ordinal in range(4):
        told.add(scored(R, ordinal, 0.5))
        told.add(scored(R, ordinal, 0.5, metric="mine"))
    alike, mine = told.provisional(means={("none", "acc"), ("none", "mine")})
    assert (alike.value, mine.value, mine.low, mine.method, mine.n) == (0.5, 0.5, None, None, 4)
    assert alike.low is not None and 0.0 < alike.low < 0.5
    for ordinal in range(4):
        told.add(SampleScored.model_validate(scored(R, ordinal, float(ordinal % 2)).model_dump() | {"repeat": 1, "event_id": ""}))
    repeated, _ = told.provisional(means={("none", "acc")})
    assert (repeated.value, repeated.low, repeated.n, repeated.repeats) == (0.5, None, 4, 2)


def interleaved(partitions: list[list[Event]], *, seed: int) -> list[Event]:
    """Any order that keeps each partition's, with stretches delivered again."""
    draw, places, told = random.Random(seed), [0] * len(partitions), []
    while any(place < len(part) for place, part in zip(places, partitions, strict=True)):
        index = draw.choice([i for i, part in enumerate(partitions) if places[i] < len(part)])
        told.append(partitions[index][places[index]])
        places[index] += 1
        if draw.random() < 0.15:
            places[index] = max(0, places[index] - draw.randint(1, 5))
        if len(told) > 5000:
            break
    return told


@given(seed=st.integers(0, 10**6), values=st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=20), data=st.data())
def test_any_interleaving_gives_the_same_scores(seed: int, values: list[float], data: st.DataObject) -> None:
    """Conflicting attempts included: of two scores of one sample, the first in the partition counts."""
    events: list[Event] = [scored(R, n, value) for n, value in enumerate(values)]
    again = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=5))
    events += [scored(R, n, 1.0 - values[n]) for n in again]
    results = OpenRuns()
    for event in interleaved([events, [planned(R, samples=len(values))]], seed=seed):
        results.fold(event)
    run = results.run(R)
    found = run.complete_scores("t")
    assert run.complete and found is not None
    (figure,) = found[1].figures(of_mean)
    assert figure.value == pytest.approx(sum(values) / len(values))
    assert figure.n == len(values)
    assert found[1].digest() == _digest(values)


def _digest(values: list[float]) -> str:
    results = OpenRuns()
    for n, value in enumerate(values):
        results.fold(scored(R, n, value))
    return results.run(R).scores["t", "1"].digest()


def test_a_task_is_complete_only_with_the_last_metric_of_its_last_sample() -> None:
    """A batch may end in the middle of a sample."""
    results = OpenRuns()
    results.fold(planned(R, samples=1))
    results.fold(scored(R, 0, 1.0, metrics=2))
    assert not results.run(R).complete
    results.fold(scored(R, 0, 0.5, metric="acc_norm", metrics=2))
    assert results.run(R).complete


def test_a_sample_that_cannot_be_scored_is_counted_not_hidden() -> None:
    """The task completes; its figure says how many are missing."""
    results = OpenRuns()
    results.fold(planned(R, samples=2))
    results.fold(scored(R, 0, 1.0))
    results.fold(SampleNotScored(**HEADER, run_id=R, task="t", ordinal=1, repeat=0, scorer_version="1", reason="no"))
    found = results.run(R).complete_scores("t")
    assert found is not None
    (figure,) = found[1].figures(of_mean)
    assert (figure.value, figure.n, figure.not_scored) == (1.0, 1, 1)


def timed(index: int, *, sent: int, first: int, ended: int, tokens: int, phase: Phase = "steady", attempt: int = 1) -> RequestTimed:
    """One request, in milliseconds."""
    ms = 1_000_000
    return RequestTimed(
        **HEADER, run_id=R, job_id=f"{R}/perf", attempt=attempt, request_index=index, phase=phase,
        clock=Clock(host="h", boot_id="b", mono_epoch_ns=0, utc_us=0, uncertainty_us=1), scheduled_ns=sent * ms, queued_ns=None,
        sent_ns=sent * ms, first_byte_ns=first * ms, ended_ns=ended * ms, status="ok", prompt_tokens=8, output_tokens=tokens,
        client=LoadClient(lag_ns=0, pacing_error_ns=1000, in_flight=1),
    )  # fmt: skip


def arrived(index: int, arrivals: list[int], counts: list[int], *, attempt: int = 1) -> TokensTimed:
    """Arrivals of one request, in milliseconds."""
    return TokensTimed(
        **HEADER, run_id=R, job_id=f"{R}/perf", attempt=attempt, request_index=index, sequence=0, chunk=0, first_token=0,
        arrival_ns=tuple(at * 1_000_000 for at in arrivals), tokens_per_arrival=tuple(counts),
    )  # fmt: skip


def finished(attempt: int = 1, **counts: int) -> JobChanged:
    """The workload's job has finished."""
    return JobChanged(
        **HEADER, pool="p", run_id=R, job_id=f"{R}/perf", attempt=attempt, agent_id="a", incarnation=1, state="finished", counts=counts
    )  # fmt: skip


def reading(at: int, energy: int) -> ResourceRead:
    """An energy counter's reading."""
    return ResourceRead(
        **HEADER, agent_id="a", host="h", boot_id="b", mono_ns=at * 1_000_000, device_uuid="gpu", scope="device",
        jobs_active=(f"{R}/perf",), energy_uj=energy, method="counter", sensor="nvml-total-energy", own_cost_ns=1,
    )  # fmt: skip


def figures_of(results: OpenRuns) -> dict[str, Figure]:
    """The workload's figures by name."""
    return {figure.metric: figure for figure in results.run(R).speeds[f"{R}/perf"].summary().figures}


@given(seed=st.integers(0, 10**6))
def test_speed_by_hand(seed: int) -> None:
    """Two steady requests and a warm-up one, whose figures can be reckoned on paper; in any order of the partitions."""
    timings: list[Event] = [
        timed(0, sent=0, first=500, ended=900, tokens=2, phase="warmup"),
        timed(1, sent=1000, first=1100, ended=1300, tokens=3),
        timed(2, sent=1500, first=1700, ended=2000, tokens=4),
        timed(2, sent=1500, first=1999, ended=3000, tokens=4, attempt=2),
    ]
    tokens: list[Event] = [arrived(1, [1100, 1200, 1300], [1, 1, 1]), arrived(2, [1700, 1850, 2000], [1, 1, 2])]
    meter: list[Event] = [reading(0, 0), reading(1000, 100), reading(2000, 1100), reading(3000, 1200)]
    results = OpenRuns()
    for event in interleaved([timings, tokens, meter, [finished(requests=3, token_timings=2, readings=4)]], seed=seed):
        results.fold(event)
    assert results.run(R).speeds[f"{R}/perf"].complete
    found = {name: figure.value for name, figure in figures_of(results).items()}
    assert (found["requests"], found["errors"]) == (2, 0)
    # The window lies between the two ends: 0.7 s with one request, whose tokens came in it, and 700 of the counter's 1000 µJ.
    assert found["requests_per_s"] == pytest.approx(1 / 0.7)
    assert found["output_tokens_per_s"] == pytest.approx(4 / 0.7)
    assert found["ttft_mean"] == pytest.approx(150e6)
    assert found["itl_mean"] == pytest.approx((100 + 100 + 150 + 75 + 75) / 5 * 1e6)
    assert found["tpot_mean"] == pytest.approx((100e6 + 100e6) / 2)
    assert found["e2e_mean"] == pytest.approx(400e6)
    assert (found["e2e_p50"], figures_of(results)["e2e_p50"].why_undefined) == (None, "n/a (needs 11; there are 2)")
    assert found["energy_uj"] == pytest.approx(700)
    assert figures_of(results)["energy_uj"].origin == "counter, accelerator"


def test_without_a_meter_energy_is_undefined_and_says_so() -> None:
    """Never 0, never invented."""
    results = OpenRuns()
    for n in (1, 2):
        results.fold(timed(n, sent=n * 100, first=n * 100 + 10, ended=n * 100 + 20, tokens=2))
    results.fold(finished(requests=2))
    energy = figures_of(results)["energy_uj"]
    assert (energy.value, energy.why_undefined) == (None, "no meter here")


def test_a_workload_is_complete_only_with_all_that_its_agent_published() -> None:
    """The report of the end may overtake the timings."""
    results = OpenRuns()
    results.fold(finished(requests=1))
    assert not results.run(R).speeds[f"{R}/perf"].complete
    results.fold(timed(1, sent=0, first=10, ended=20, tokens=2))
    assert results.run(R).speeds[f"{R}/perf"].complete


def result(run: Run) -> Result:
    """What boards see of a completed run."""
    assert run.plan is not None
    said = {task.task: event for task in run.plan.tasks if (event := task_scored(run, task.task, aggregate=of_mean, stamp=STAMP))}
    told = {name: event.documents for name, event in said.items() if event.documents}
    found = result_of(settled(run, said, None, through={}, stamp=STAMP), told)
    assert found is not None
    return found


def board(results: OpenRuns, name: str) -> Board:
    """The board of that name."""
    runs = [found for run in results.runs.values() if name in boards_of(found := result(run))]
    return rank(chosen(name, [Entry(run, boards_of(run)[name], hardware="h", speed={}) for run in runs]))


def told(results: OpenRuns, run: str, values: dict[str, list[float]], **plan: Any) -> None:
    """A completed run of that name."""
    run = run_named(run)
    (samples,) = {len(found) for found in values.values()}
    results.fold(planned(run, samples=samples, tasks=tuple(values), **plan))
    for task, found in values.items():
        for n, value in enumerate(found):
            results.fold(scored(run, n, value, task=task))
    results.fold(RunChanged(**HEADER, run_id=run, state="completed"))


def test_a_suite_is_the_mean_of_chance_corrected_tasks() -> None:
    """(0.75 - 0.5) / 0.5 and (1 - 0.5) / 0.5 make 0.75; the better model is surely first."""
    results = OpenRuns()
    told(results, "1", {"t": [1.0] * 75 + [0.0] * 25, "u": [1.0] * 100}, model="good", chance=0.5)
    told(results, "2", {"t": [1.0] * 50 + [0.0] * 50, "u": [0.0, 1.0] * 50}, model="guesses", chance=0.5)
    rows = board(results, "t+u").rows
    assert [(row.model, row.rank) for row in rows] == [("good", 1), ("guesses", 2)]
    assert [row.score for row in rows] == pytest.approx([0.75, 0.0])
    assert [(row.rank_low, row.rank_high) for row in rows] == [(1, 1), (2, 2)]
    assert rows[0].low is not None and rows[1].high is not None and rows[0].low > rows[1].high


def test_a_group_counts_as_one_task_of_a_suite() -> None:
    """(0.5 + 0) / 2 for the group and 1 for the task beside it make 0.625, with the interval of that mean."""
    results, groups = OpenRuns(), {"t": "g", "u": "g"}
    told(results, "1", {"t": [1.0, 0.0] * 20, "u": [0.0] * 40, "v": [1.0] * 40}, groups=groups)
    (row,) = board(results, "g+v").rows
    assert row.score == pytest.approx(0.625)
    assert (row.low, row.high) == pytest.approx(joint([20, 0, 40], 40, [0.25, 0.25, 0.5]))


def joint(rights: list[int], n: int, parts: list[float]) -> Interval:
    """Of tasks of right and wrong, which tests of intervals hold to its definition."""
    return joint_interval([Ratio(right / n, right * (n - right) / n**3, n) for right in rights], parts)


def test_tasks_of_a_group_count_by_their_samples_or_alike() -> None:
    """30 and 10 samples, and a task beside: three eighths, one, and half of all; or a quarter each, and half."""
    for by_size, parts in ((True, [0.375, 0.125, 0.5]), (False, [0.25, 0.25, 0.5])):
        assert weights([Counted("t", "g", 30, by_size), Counted("u", "g", 10, by_size), Counted("v", None, 5)]) == parts


def test_a_comparison_weighs_as_the_ranking_does() -> None:
    """Without a chance level the overall difference is that of the two scores on the suite's board."""
    results, groups = OpenRuns(), {"t": "g", "u": "g"}
    values = {"good": {"t": 30, "u": 25, "v": 20}, "bad": {"t": 10, "u": 24, "v": 22}}
    for run, (model, right) in enumerate(values.items()):
        told(results, str(run), {task: [1.0] * n + [0.0] * (40 - n) for task, n in right.items()}, model=model, groups=groups)
    scores = {row.model: row.score for row in board(results, "g+v").rows}
    sides = [
        {
            task: Measured("b", "acc", "none", True, "mean", {n: Sample(n, float(n < k)) for n in range(40)}, groups.get(task), 40)
            for task, k in right.items()
        }
        for right in values.values()
    ]
    assert scores["good"] is not None and scores["bad"] is not None
    assert compare(*sides).overall == pytest.approx(scores["good"] - scores["bad"])


@pytest.mark.parametrize(
    ("published", "single", "suite"),
    [
        (("2024-07", "2019-05"), "older", "older"),
        (("2019-01", "2019-05"), "newer", "unknown"),
        ((None, "2019-05"), "unknown", "unknown"),
        (("2024-07", None), "unknown", "unknown"),
    ],
)
def test_a_row_says_how_old_the_data_are_beside_its_model(published: tuple[str | None, str | None], single: str, suite: str) -> None:
    """Of the board's tasks; u's data have no date."""
    results = OpenRuns()
    told(results, "1", {"t": [1.0, 0.0], "u": [1.0, 0.0]}, published=published)
    assert [row.data_age for row in board(results, "task:t").rows] == [single]
    assert [row.data_age for row in board(results, "t+u").rows] == [suite]


def test_two_models_that_cannot_be_told_apart_share_their_ranks() -> None:
    """Their rank intervals say so."""
    results = OpenRuns()
    told(results, "1", {"t": [1.0, 0.0] * 20}, model="a")
    told(results, "2", {"t": [0.0, 1.0] * 20}, model="b")
    assert [(row.rank_low, row.rank_high) for row in board(results, "task:t").rows] == [(1, 2), (1, 2)]


def test_a_score_of_nothing_or_everything_is_not_certain() -> None:
    """None of 100 right still may be a few in a hundred; equal scores share their place, on a task's board and on a suite's."""
    results = OpenRuns()
    for run, model in (("1", "a"), ("2", "b")):
        told(results, run, {"t": [0.0] * 100, "u": [1.0] * 100}, model=model)
    for row in board(results, "task:t").rows:
        assert (row.rank, row.score, row.low) == (1, 0.0, 0.0)
        assert row.high == pytest.approx(0.0370, abs=1e-4)  # Wilson: z² / (n + z²)
    for row in board(results, "t+u").rows:
        assert (row.rank, row.score) == (1, 0.5)
        assert (row.low, row.high) == pytest.approx(joint([0, 100], 100, [0.5, 0.5]))


def test_the_newest_run_of_a_model_counts_and_other_data_is_another_board() -> None:
    """A run over fewer samples does not stand beside one over more."""
    results = OpenRuns()
    told(results, "1", {"t": [0.0] * 10}, model="a")
    told(results, "2", {"t": [1.0] * 10}, model="a")
    assert [(row.run_id, row.score) for row in board(results, "task:t").rows] == [(run_named("2"), 1.0)]
    told(results, "3", {"t": [1.0] * 5}, model="b")
    found = board(results, "task:t")
    assert [row.model for row in found.rows] == ["b"]
