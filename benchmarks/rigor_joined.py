"""The cells of `make bench-rigor` about what joins several tasks, boards, groups and comparisons: documents and set-ups that they share."""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from scipy import stats
from scipy.special import expit

from benchmarks.rigor_cells import SUITES, Cell, Draw, held
from query_api.reading.groups import group_scores
from schemas.requests import Chat, EngineChoice, ModelRef
from schemas.results import Figure
from schemas.runs import Estimate, ExpectedMetric, Plan, PlannedTask, Setup
from schemas.settled import TaskSettled
from streams.boards.comparison import Measured, Sample, compare
from streams.boards.ranking import Board, Chosen, Entry, rank
from streams.boards.results import Result
from streams.settling.documents import Columns
from streams.statistics.components import crossed
from streams.statistics.differences import LEVEL
from streams.statistics.intervals import RATIO, Interval, mean_of
from streams.statistics.joining import Part
from streams.statistics.spreads import Floats

MODELS, DOCUMENTS, ALIKE, SHARE, SIMULATIONS = 5, 200, 0.6, 0.5, 300
SETUPS, ASKED = 5, 100  # set-ups, and documents that are asked in each
Tables = Callable[[Draw], Sequence[Floats]]  # a run's tasks: values, [documents], or [documents, set-ups]


def of_joined() -> Iterator[Cell]:
    """All of them."""
    yield from boards()
    for tasks in (3, 8):
        yield from _runs(f"{tasks} tasks over the same documents", functools.partial(alike, tasks=tasks), same=True)
    for tasks, apart, same in ((3, 0.5, False), (10, 0.5, False), (10, 0.0, False), (30, 0.3, False), (3, 0.5, True)):
        name = f"{tasks} tasks in the same {SETUPS} set-ups, SD = {apart:g}{', over the same documents' if same else ''}"
        yield from _runs(name, functools.partial(varied, tasks=tasks, apart=apart, same=same), same=same)

    for tasks, apart in ((1, 1.0), (3, 0.5), (10, 0.5), (10, 0.0), (30, 0.3)):
        name = f"{MODELS} models, {tasks} tasks in the same {SETUPS} set-ups, SD = {apart:g}: rows' intervals"
        find = functools.partial(_boards_varied, tasks=tasks, apart=apart)
        yield Cell("joined", name, SUITES, functools.partial(_rows, find), SIMULATIONS // MODELS)


def _runs(name: str, run: Tables, *, same: bool) -> Iterator[Cell]:
    """Of such runs a group's row, and two of them compared."""
    yield Cell("joined", f"a group's row, {name}", SUITES, functools.partial(_of_groups, run=run, same=same), SIMULATIONS)
    yield Cell("joined", f"two runs compared, {name}", SUITES, functools.partial(_of_pairs, run=run, same=same), SIMULATIONS)


def boards() -> Iterator[Cell]:
    """Boards of equal models and tasks over the same documents, all of which have a value, or some of which have none in some tasks."""
    for tasks, gaps in itertools.product((3, 8), (0, 1, 20)):
        find = functools.partial(_boards, tasks=tasks, gaps=gaps)
        name = f"{MODELS} models, {tasks} tasks over the same documents, {gaps or 'no'} gaps in each"
        yield Cell("joined", f"{name}: rows' intervals", SUITES, functools.partial(_rows, find), SIMULATIONS)
        yield Cell("joined", f"{name}: boards with a range that misses", LEVEL, functools.partial(_missed, find), SIMULATIONS, least=False)


def _rows(find: functools.partial[Board], draw: Draw, simulations: int) -> float:
    rows = [row for _ in range(simulations) for row in find(draw).rows]
    return float(np.mean([row.low is not None and row.high is not None and row.low <= SHARE <= row.high for row in rows]))


def _missed(find: functools.partial[Board], draw: Draw, simulations: int) -> float:
    return float(np.mean([any((row.rank_low, row.rank_high) != (1, MODELS) for row in find(draw).rows) for _ in range(simulations)]))


def alike(draw: Draw, *, tasks: int) -> Sequence[Floats]:
    """Right and wrong answers to each task's question about each document, [documents], alike as ALIKE says."""
    latent = math.sqrt(ALIKE) * draw.normal(size=DOCUMENTS) + math.sqrt(1 - ALIKE) * draw.normal(size=(tasks, DOCUMENTS))
    return [(one < stats.norm.ppf(SHARE)).astype(np.float64) for one in latent]


def _boards(draw: Draw, *, tasks: int, gaps: int) -> Board:
    """A board of equal models; of each task the next documents have no value."""
    names = [f"t{place}" for place in range(tasks)]
    lacking = {name: np.arange(place * gaps, (place + 1) * gaps) % DOCUMENTS for place, name in enumerate(names)}
    there = {name: np.setdiff1d(np.arange(DOCUMENTS), lacking[name]).astype(np.int32) for name in names}
    runs = [
        {name: Columns(there[name], values[there[name]], None) for name, values in zip(names, alike(draw, tasks=tasks), strict=True)}
        for _ in range(MODELS)
    ]
    return ranked([result(number, columns) for number, columns in enumerate(runs)], names)


def _boards_varied(draw: Draw, *, tasks: int, apart: float) -> Board:
    """A board of equal models, each of which set-ups suit otherwise."""
    runs = []
    for number in range(MODELS):
        tables = {f"t{place}": table for place, table in enumerate(varied(draw, tasks=tasks, apart=apart, same=False))}
        columns = {task: Columns(np.arange(ASKED, dtype=np.int32), table.mean(axis=1), None) for task, table in tables.items()}
        runs.append(result(number, columns, {task: _figure(table) for task, table in tables.items()}))
    return ranked(runs, [f"t{place}" for place in range(tasks)])


def _figure(table: Floats) -> Figure:
    """The figure of a task's values, [documents, set-ups]."""
    told = crossed(table)
    assert told is not None
    found = mean_of(table.mean(axis=1).tolist(), within=RATIO, varied=told)
    low, high = found.interval or (None, None)
    return Figure(
        metric="acc", value=found.value, stderr=found.stderr, low=low, high=high, n=found.n, repeats=told.setups, setups=told.setups,
        between=told.between, within=told.within, between_setups=told.apart,
    )  # fmt: skip


def ranked(runs: Sequence[Result], tasks: Sequence[str], board: str = "suite") -> Board:
    """The board of these runs, of that name."""
    entries = tuple(Entry(run, tuple(tasks), hardware="h", speed={}) for run in runs)
    return rank(Chosen(board, "1", tuple(tasks), entries, entries))


def result(number: int, columns: Mapping[str, Columns], figures: Mapping[str, Figure] | None = None) -> Result:
    """A run of tasks over the same documents: the values that each task has of them; `figures`: of several set-ups."""
    setups = tuple(Setup(build_id=f"{n}", seed=n, format="plain") for n in range(SETUPS)) if figures else ()
    planned = tuple(
        PlannedTask(
            task=task, task_version="1", build_id=task, samples=DOCUMENTS, repeats=1, main_metric="acc", main_filter="none",
            expected=(ExpectedMetric(filter="none", metric="acc"),), documents=None if figures else "same", setups=setups,
        )
        for task in columns
    )  # fmt: skip
    plan = Plan(
        submitter="s", model=ModelRef(uri=f"m{number}"), model_sha="", tokenizer_sha="", chat_template_sha="", chat=Chat(),
        engine=EngineChoice(name="echo"), suite="suite", tasks=planned, licences=(), skipped=(), estimate=Estimate(), jobs=1,
    )  # fmt: skip
    told = figures or {}
    settled = {
        task: TaskSettled(task=task, scorer_version="1", documents=len(own.values), figure=told.get(task)) for task, own in columns.items()
    }
    return Result(
        f"01890a5d-ac96-774b-bcce-{number:012x}", "", (f"m{number}",), plan, 0, 0, "d", tasks=settled, documents=columns,
        by_task={one.task: one for one in planned},
    )  # fmt: skip


def varied(draw: Draw, *, tasks: int, apart: float, same: bool) -> Sequence[Floats]:
    """Right and wrong answers of each task, [documents, set-ups], of which each suits all tasks alike, by that SD on the logit's scale."""
    lean, hard = draw.normal(0, apart, SETUPS), draw.normal(size=(1 if same else tasks, ASKED, 1))
    return [(draw.random((ASKED, SETUPS)) < expit(hard[place % len(hard)] + lean)).astype(np.float64) for place in range(tasks)]


def _of_groups(draw: Draw, simulations: int, *, run: Tables, same: bool) -> float:
    return held([_group(run(draw), same=same) for _ in range(simulations)], SHARE)


def _group(tables: Sequence[Floats], *, same: bool) -> Interval | None:
    """The interval of the group's row."""
    planned, scores, parts = [], [], {}
    for place, table in enumerate(tables):
        several, documents = table.ndim > 1, "same" if same else None
        values = table.mean(axis=1) if several else table
        found = mean_of(values.tolist(), within=RATIO, varied=crossed(table) if several else None)
        low, high = found.interval or (None, None)
        planned.append({
            "task": f"t{place}", "group": "g", "main_metric": "acc", "main_filter": "none", "documents": documents, "setups": several,
            "expected": [{"metric": "acc", "filter": "none", "aggregation": "mean"}],
        })  # fmt: skip
        scores.append({
            "task": f"t{place}", "metric": "acc", "filter": "none", "value": found.value, "stderr": found.stderr, "low": low, "high": high,
            "samples": found.n, "complete": True, "sequential": False, "not_scored": 0, "truncated": 0,
        })  # fmt: skip
        parts[f"t{place}"] = Part(values, np.arange(len(values)), None, documents, table if several else None)
    (row,) = group_scores(planned, scores, parts)
    return row["low"], row["high"]


def _of_pairs(draw: Draw, simulations: int, *, run: Tables, same: bool) -> float:
    """Two runs that are as good: is no difference within the interval over all tasks?"""
    return held([compare(_measured(run(draw), same), _measured(run(draw), same)).overall_interval for _ in range(simulations)], 0.0)


def _measured(tables: Sequence[Floats], same: bool) -> dict[str, Measured]:
    return {
        f"t{place}": Measured("build", "acc", "none", True, "mean", _samples(table), documents="same" if same else None)
        for place, table in enumerate(tables)
    }


def _samples(table: Floats) -> dict[int, Sample]:
    return {n: Sample(n, float(row.mean()), by_setup=tuple(row.tolist()) if row.ndim else ()) for n, row in enumerate(table)}
