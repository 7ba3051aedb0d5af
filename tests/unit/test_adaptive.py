"""Tasks of which a part is asked: parameters are recovered, intervals hold, boards mark estimates, and what cannot be is refused."""

import asyncio
import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.adapting import sources_of
from benchmarks.rigor_adaptive import answered, tried
from query_api.cli import showing
from query_api.drawing.charts import intervals
from query_api.reading.groups import group_scores
from schemas.jobs import BuildPlace, Need
from schemas.requests import EvaluationRequested, ModelRef, Stopping, TaskChoice, Workload
from schemas.results import RunScored
from schemas.runs import Adaptive, PlannedTask, RunChanged
from schemas.trust import RunRetracted
from streams.boards.books import Books
from streams.boards.comparison import Measured, Sample, compare
from streams.boards.ranking import Entry, boards_of, chosen, rank
from streams.errors import Invalid
from streams.planning import Chosen, check, jobs
from streams.quality.adaptive import Source, adapted, told_of, words
from streams.quality.judging import check_setups
from streams.settling.documents import packed, unpacked
from streams.settling.results import progressed, settled
from streams.settling.results import scored as task_scored
from streams.settling.runs import OpenRuns
from streams.statistics.items import GRID, Part, estimate, fitted, held_out, informative, part_of
from streams.statistics.spreads import Floats
from tests.in_memory import InMemory
from tests.runs import run_named
from tests.unit.test_drawn import BOARD_ROW, drawn
from tests.unit.test_results import HEADER, STAMP, of_mean, result, scored
from tests.unit.test_results import planned as run_planned
from tests.unit.test_shown import SCORE

DOCUMENTS, ASKED, RUNS = 120, 40, 12
A = run_named("a")


def world(models: int, *, documents: int = DOCUMENTS, seed: int = 1) -> Floats:
    """Answers of models of which each is a little abler than the one before."""
    return answered(np.random.default_rng(seed), np.linspace(-1.5, 1.5, models), world="the model is true", documents=documents)


def task(change: RunChanged) -> PlannedTask:
    """A plan's one task."""
    assert change.plan is not None
    return change.plan.tasks[0]


def source(number: int, row: Floats, **changed: Any) -> Source:
    """A whole run of the model of that number."""
    planned = task(run_planned(run_named(number), samples=len(row), model=f"m{number}")).model_copy(update=changed)
    return Source(run_named(number), f"m{number}", number, planned, unpacked(packed(dict(enumerate(row.tolist())), {})))


def sources(models: int = RUNS) -> list[Source]:
    """Whole runs of so many models."""
    return [source(number, row) for number, row in enumerate(world(models))]


@functools.cache
def part() -> Adaptive:
    """The part that those runs choose."""
    found = adapted("t", "build-t", sources(), documents=DOCUMENTS, asked=ASKED)
    assert found is not None
    return found


def test_planted_parameters_are_recovered() -> None:
    """By 400 models: what is steep and what is hard, and how able the models are."""
    draw = np.random.default_rng(3)
    slopes, intercepts = np.exp(draw.normal(0, 0.4, 60)), draw.normal(0, 1.2, 60)
    abilities = draw.normal(0, 1, 400)
    answers = (draw.random((400, 60)) < 1 / (1 + np.exp(-(np.outer(abilities, slopes) + intercepts)))).astype(np.float64)
    answers[draw.random(answers.shape) < 0.1] = np.nan
    items = fitted(answers)
    assert np.corrcoef(np.log(items.slopes), np.log(slopes))[0, 1] > 0.8
    assert np.abs(items.intercepts - intercepts).mean() < 0.2
    assert abs(float(items.abilities @ GRID)) < 0.15 and abs(float(items.abilities @ GRID**2) - 1) < 0.2


@given(right=st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=8, max_size=8), rest=st.integers(1, 500), misfit=st.floats(1, 9))
def test_an_estimate_lies_within_what_can_be_and_is_never_certain(right: list[float], rest: int, misfit: float) -> None:
    """Also where nothing, or everything, is right, or nothing was answered."""
    share = np.clip(0.5 + GRID / 9, 0.05, 0.95)
    found = estimate(Part(np.ones(8), np.zeros(8), rest, rest * share, rest * share * (1 - share), misfit, RUNS), np.asarray(right))
    low, high = found.interval
    known, open_ = np.nansum(right), rest + int(np.isnan(right).sum())
    assert known / (rest + 8) <= low < found.value < high <= (known + open_) / (rest + 8)


def test_more_right_answers_make_a_higher_estimate() -> None:
    """Each one by itself."""
    items = fitted(world(RUNS))
    chosen = informative(items, ASKED)
    one = part_of(items, chosen, runs=RUNS)
    values = [estimate(one, np.asarray([1.0] * count + [0.0] * (ASKED - count))).value for count in range(ASKED + 1)]
    assert values == sorted(values) and len(set(values)) == len(values)


def test_the_documents_asked_tell_more_than_others() -> None:
    """As many as are wanted, each once; of equal difficulty the steep ones; the fit of a row's order is the row's."""
    answers = world(40)
    items = fitted(answers)
    chosen = informative(items, ASKED)
    assert len(set(chosen)) == ASKED and list(chosen) == sorted(chosen)
    others = np.setdiff1d(np.arange(DOCUMENTS), chosen)
    assert items.slopes[list(chosen)].mean() > items.slopes[others].mean()
    assert informative(fitted(answers[::-1]), ASKED) == chosen


def test_misfit_is_seen() -> None:
    """Where models have weaknesses of their own at random, estimates are off by what is foretold; two abilities are not foretold."""
    draw = np.random.default_rng(5)
    true, other = (answered(draw, draw.normal(0, 1, 40), world=name, documents=300) for name in ("the model is true", "two abilities"))
    random = (draw.random((40, 300)) < draw.uniform(0.3, 0.7, (40, 1))).astype(np.float64)
    by, by_other, by_none = (held_out(answers, 60) for answers in (true, other, random))
    assert 1 <= by.misfit < by_other.misfit
    assert by.error_ratio < by_other.error_ratio < 1 and by_none.error_ratio > by.error_ratio


def test_intervals_hold_what_all_documents_give() -> None:
    """A slice of `make bench-rigor`: 40 held-out models; and the estimate is nearer than as many documents at random."""
    found = tried(np.random.default_rng(11), 40, world="the model is true", runs=24)
    held = [one.found.interval[0] <= one.truth <= one.found.interval[1] for one in found]
    assert np.mean(held) >= 0.93 - 3 * (0.93 * 0.07 / 40) ** 0.5
    errors = [(abs(one.found.value - one.truth), abs(one.drawn - one.truth)) for one in found]
    assert np.mean([own for own, _ in errors]) < np.mean([drawn for _, drawn in errors])


def test_too_few_runs_are_refused_with_how_many_there_are() -> None:
    """Runs of another build, of a part, of repeats, and of values that are no 0 or 1 do not count; of a model its newest does, once."""
    others = [
        source(50, world(1)[0], build_id="other"), source(51, world(1)[0], repeats=2), source(52, world(1)[0] / 2),
        source(53, world(1)[0], stopping=Stopping(half_width=0.1)), source(54, world(1)[0][:50]), source(55, world(1)[0], adaptive=part()),
    ]  # fmt: skip
    again = source(3, world(1)[0])
    with pytest.raises(Invalid, match=r"'t'.* 11 other models .*12 are needed"):
        adapted("t", "build-t", [*sources(11), *others, again], documents=DOCUMENTS, asked=ASKED)
    assert part().fitted_runs == tuple(run_named(number) for number in range(RUNS))
    assert adapted("t", "build-t", [], documents=ASKED, asked=ASKED) is None


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"adaptive": 5}, "20 documents or more"), ({"tasks": (), "workload": Workload(requests=5)}, "is for tasks"),
        ({"stopping": Stopping(half_width=0.02)}, "does not go with stopping"), ({"judges": ("j",)}, "does not go with judges"),
        ({"tasks": (TaskChoice(name="t", repeats=3),)}, "does not go with repeats"), ({"parent_run": A}, "does not go with parent_run"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_adaptively_is_refused(told: dict[str, Any], why: str) -> None:
    """With what to leave out."""
    asked: dict[str, Any] = {"tasks": (TaskChoice(name="t"),), "adaptive": 100} | told
    with pytest.raises(Invalid, match=why):
        check(EvaluationRequested(**HEADER, run_id=A, model=ModelRef(uri="m"), **asked))


def test_the_jobs_ask_the_chosen_documents() -> None:
    """Each once, whichever job it is in."""
    chosen = part().ordinals
    asked = EvaluationRequested(**HEADER, run_id=A, model=ModelRef(uri="m"), tasks=(TaskChoice(name="t"),), adaptive=ASKED)
    place = BuildPlace(build_id="build-t", task="t", partition=0, first_offset=0, last_offset=9)
    made = list(jobs(asked, [Chosen(asked.tasks[0], place, ASKED, chosen)], per_job=16, need=Need()).each)
    assert tuple(ordinal for job in made for ordinal in job.samples) == chosen


def asked_part(*, model: str = "new", tasks: tuple[str, ...] = ("t",), documents: str | None = None) -> RunChanged:
    """The plan of a run that is asked the part, of each of these tasks."""
    change = run_planned(A, samples=ASKED, model=model, tasks=tasks)
    assert change.plan is not None
    told = tuple(one.model_copy(update={"adaptive": part(), "documents": documents}) for one in change.plan.tasks)
    return change.model_copy(update={"plan": change.plan.model_copy(update={"tasks": told})})


def over(results: OpenRuns, name: str) -> list[Any]:
    """A completed run's score and result."""
    run = results.run(run_named(name))
    results.fold(RunChanged(**HEADER, run_id=run.run_id, state="completed"))
    said = task_scored(run, "t", aggregate=of_mean, stamp=STAMP)
    assert said is not None
    return [said, settled(run, {"t": said}, None, through={}, stamp=STAMP)]


def whole(results: OpenRuns, name: str, row: Floats, *, model: str) -> list[Any]:
    """What is said of a whole run."""
    results.fold(run_planned(run_named(name), samples=DOCUMENTS, model=model))
    for ordinal, value in enumerate(row.tolist()):
        results.fold(scored(run_named(name), ordinal, value))
    return over(results, name)


def estimated(results: OpenRuns, row: Floats, *, model: str = "new") -> list[Any]:
    """What is said of a run that asked the part."""
    results.fold(asked_part(model=model))
    for ordinal in part().ordinals:
        results.fold(scored(A, ordinal, row[ordinal], metrics=2))
        results.fold(scored(A, ordinal, 1.0, metric="other", metrics=2))
    return over(results, "a")


def test_only_the_main_metric_is_estimated_and_says_by_what() -> None:
    """While it runs nothing is told; in the end the interval holds the share of all documents, which no answered one decides alone."""
    row, results = world(RUNS + 1, seed=9)[-3], OpenRuns()
    results.fold(asked_part())
    results.fold(scored(A, part().ordinals[0], 1.0))
    early = progressed(results.run(A), "t", "1", stamp=STAMP)
    assert early is not None and [one.value for one in early.figures] == [None]
    said: RunScored = estimated(OpenRuns(), row)[0]
    main, other = sorted(said.figures, key=lambda one: one.metric)
    assert main.method == words(part()) == "adaptive, 40 of 120, IRT from 12 runs"
    assert main.low is not None and main.high is not None and main.low <= row.mean() <= main.high and main.n == ASKED
    assert main.value != pytest.approx(row[list(part().ordinals)].mean())
    assert (other.value, other.low) == (None, None) and "only acc is estimated" in (other.why_undefined or "")


def test_a_board_marks_the_estimate_and_gives_it_no_rank() -> None:
    """Ranks of the others are as without it, however new it is; the model's own whole run goes before it."""
    rows, results, books, without = world(4, seed=9), OpenRuns(), Books(), Books()
    for name, row in zip("xyz", rows, strict=False):
        for event in whole(results, name, row, model=name):
            books.fold(event)
            without.fold(event)
    for event in estimated(results, rows[3]):
        books.fold(event)
    (board,), (plain,) = books.changed(["task:t"]), without.changed(["task:t"])
    *ranked, one = rank(board).rows
    assert tuple(ranked) == rank(plain).rows and board.version == plain.version
    assert (one.model, one.rank, one.rank_low, one.rank_high, one.samples) == ("new", None, None, None, ASKED)
    assert one.adaptive == words(part()) and one.low is not None and one.score is not None and one.low < one.score
    for event in whole(results, "w", rows[3], model="new"):
        books.fold(event)
    (board,) = books.changed(["task:t"])
    assert [row.adaptive for row in rank(board).rows] == [None] * 4


@pytest.mark.parametrize("documents", [None, "same"])
def test_a_suite_joins_estimates_where_they_are_independent(documents: str | None) -> None:
    """Its score is their mean, its interval narrower than theirs; of tasks over the same documents there is none."""
    row, results = world(RUNS + 1, seed=9)[-3], OpenRuns()
    results.fold(asked_part(tasks=("t", "u"), documents=documents))
    for name in "tu":
        for ordinal in part().ordinals:
            results.fold(scored(A, ordinal, row[ordinal], task=name))
    results.fold(RunChanged(**HEADER, run_id=A, state="completed"))
    run = result(results.run(A))
    (one,), figure = rank(chosen("t+u", [Entry(run, boards_of(run)["t+u"], hardware="h", speed={})])).rows, run.figure("t")
    assert (one.rank, one.adaptive) == (None, "adaptive, 80 of 240, IRT from 12 runs")
    assert figure is not None and figure.low is not None and one.score == pytest.approx(figure.value)
    assert (one.low is None) if documents else (one.low is not None and one.low > figure.low)


def test_rows_and_scores_are_marked_wherever_they_are_shown() -> None:
    """On the leaderboard's page, on the command line beside a run and below a board; a group of such tasks has no value of its own."""
    row = BOARD_ROW | {"rank": None, "adaptive": words(part()), "model": "org/new", "cost": None, "ttft_p50_s": None}
    head = {"name": "score", "heading": "Score", "link": "/", "sorted": None}
    page = drawn(
        "leaderboard.html", board={"board": "task:t", "rows": [row]}, rows=[row], spans=intervals([row]), heads=[head], boards=[], match="",
        shown=set(), reported={"rows": [], "more": False},
    )  # fmt: skip
    assert f"<small>{words(part())}: estimated, not ranked</small>" in page
    assert any(f"new ({words(part())})" in line for line in showing._of_board({"board": "task:t", "rows": [row]}))
    score = SCORE | {"method": words(part()), "task": "t", "value": 0.5, "stderr": 0.1, "samples": ASKED}
    assert words(part()) in list(showing._notes(score))
    tasks = [task(asked_part()).model_dump(mode="json") | {"task": name, "group": "g"} for name in "tu"]
    (group,) = group_scores(tasks, [score | {"task": name, "metric": "acc", "not_scored": 0, "truncated": 0} for name in "tu"])
    assert group["value"] is None and "asked adaptively" in group["why_undefined"]


def test_a_plan_says_what_is_estimated_and_whether_anything_is_gained() -> None:
    """By the source runs' own estimates; a task that is no larger than the part runs whole."""
    one, small = task(asked_part()), task(run_planned(A, samples=30))
    told = "t: adaptive, 40 of 120, IRT from 12 runs; only acc is estimated"
    for ratio, more in ((0.8, ""), (1.3, "; nothing is gained: on those runs its error is 1.3 times that of as many documents at random")):
        planned = one.model_copy(update={"adaptive": part().model_copy(update={"error_ratio": ratio})})
        assert list(told_of(ASKED, [planned])) == [told + more]
    assert list(told_of(ASKED, [small])) == ["t is asked whole: it has 30 documents, no more than 40"]


def test_what_was_chosen_is_neither_compared_nor_judged() -> None:
    """The reason says what it is."""
    samples = {ordinal: Sample(ordinal, 1.0) for ordinal in range(30)}
    one = Measured("b", "acc", "none", True, "mean", samples)
    with pytest.raises(Invalid, match=r"adaptive, 40 of 120, IRT from 12 runs \(run A\)"):
        compare({"t": Measured("b", "acc", "none", True, "mean", samples, adaptive=words(part()))}, {"t": one})
    with pytest.raises(Invalid, match="adaptively"):
        check_setups(A, [task(asked_part())])


def test_sources_are_completed_runs_of_others_that_all_may_know_written_before() -> None:
    """Not those of the same weights, private, retracted, unfinished, later, or unreadable; the newest scorer's scores."""
    log, results, row = InMemory(), OpenRuns(), world(1)[0]
    hidden = run_planned(run_named("p"), samples=DOCUMENTS, model="p").model_copy(update={"visibility": "private"})
    log.write(hidden)
    for name in ("good", "retracted", "own", "late", "unusable"):
        late = {"written_us": 10**12} if name == "late" else {}
        said, _ = whole(results, name, row, model=name)
        said = said.model_copy(update={"documents": packed({0: 1e308}, {})}) if name == "unusable" else said
        for event in (run_planned(run_named(name), samples=DOCUMENTS, model=name), said, said.model_copy(update={"scorer_version": "0"})):
            log.write(event, **late)
        log.write(RunChanged(**HEADER, run_id=run_named(name), state="completed"), **late)
    log.write(run_planned(run_named("open"), samples=DOCUMENTS, model="open"))
    log.write(RunRetracted(**HEADER, run_id=run_named("retracted"), by="me", reason="wrong"))
    asked = EvaluationRequested(**HEADER, run_id=A, model=ModelRef(uri="own"), tasks=(TaskChoice(name="t"),), adaptive=ASKED)
    found = asyncio.run(sources_of(log, asked, tasks={"t"}, model_sha="own", before_us=10**11))  # type: ignore[arg-type]  # a log in memory
    assert [one.run_id for one in found["t"]] == [run_named("good")]
    assert found["t"][0].columns.values.tolist() == row.tolist()
