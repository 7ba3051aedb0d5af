"""The cells of `make bench-rigor` about what joins several tasks, boards, groups and comparisons: documents and set-ups that they share."""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from scipy import stats
from scipy.special import expit

from benchmarks.rigor_cells import SUITES, Cell, Draw, held
from query_api.reading.groups import group_scores
from query_api.reading.measured import part_of
from schemas.requests import Chat, EngineChoice, ModelRef
from schemas.results import Figure, RankingRow
from schemas.runs import Estimate, ExpectedMetric, Plan, PlannedTask, Setup
from schemas.settled import TaskSettled
from streams.boards.comparison import Measured, Sample, compare
from streams.boards.ranking import Board, Chosen, Entry, rank
from streams.boards.results import Result
from streams.settling.documents import Columns
from streams.statistics.components import crossed
from streams.statistics.differences import LEVEL
from streams.statistics.intervals import RATIO, Interval, mean_of
from streams.statistics.spreads import Floats

MODELS, DOCUMENTS, ALIKE, SHARE, SIMULATIONS = 5, 200, 0.6, 0.5, 300
SETUPS, ASKED = 5, 100  # set-ups, and documents that are asked in each
STEP = 0.5  # by which each model of a ladder is better than the next, on the logit's scale
ORDER = np.random.default_rng(0).permutation(DOCUMENTS)
TURNED = "one of them in another order"
NONE: Mapping[str, tuple[int, ...]] = MappingProxyType({})
Tables = Callable[[Draw], Sequence[Floats]]  # a run's tasks: values, [documents], or [documents, set-ups]


def of_joined() -> Iterator[Cell]:
    """All of them."""
    yield from boards()
    for tasks in (3, 8):
        yield from _runs(f"{tasks} tasks over the same documents", functools.partial(alike, tasks=tasks), same=True)
    yield from _runs(f"3 tasks over the same documents, {TURNED}", functools.partial(alike, tasks=3), same=True, turned=True)
    for tasks, n, rare, same in ((3, 50, 0.05, True), (8, 50, 0.02, True), (8, 200, 0.01, True), (8, 50, 0.02, False)):
        name = f"two runs compared, {tasks} tasks over {'the same' if same else 'other'} {n} documents, one fails on {rare:g} of them"
        yield Cell("joined", name, SUITES, functools.partial(_rarely, tasks=tasks, n=n, rare=rare, same=same), SIMULATIONS)
    for tasks, apart, same in ((3, 0.5, False), (10, 0.5, False), (10, 0.0, False), (30, 0.3, False), (3, 0.5, True)):
        name = f"{tasks} tasks in the same {SETUPS} set-ups, SD = {apart:g}{', over the same documents' if same else ''}"
        yield from _runs(name, functools.partial(varied, tasks=tasks, apart=apart, same=same), same=same)

    for tasks, apart in ((1, 1.0), (3, 0.5), (10, 0.5), (10, 0.0), (30, 0.3)):
        name = f"{MODELS} models, {tasks} tasks in the same {SETUPS} set-ups, SD = {apart:g}: rows' intervals"
        find = functools.partial(_boards_varied, tasks=tasks, apart=apart)
        yield Cell("joined", name, SUITES, functools.partial(_rows, find), SIMULATIONS // MODELS)
    for (tasks, apart), setups, ladder in itertools.product(((1, 0.3), (1, 1.0), (3, 0.5), (10, 0.3)), (3, 5, 10), (False, True)):
        which = "a ladder of" if ladder else "equal"
        name = f"{which} models, {tasks} tasks in {setups} set-ups, SD = {apart:g}: boards with a range that misses"
        find = functools.partial(_boards_varied, tasks=tasks, apart=apart, setups=setups, ladder=ladder)
        yield Cell("joined", name, LEVEL, functools.partial(_missed, find, ladder=ladder), SIMULATIONS, least=False)


def _rarely(draw: Draw, simulations: int, *, tasks: int, n: int, rare: float, same: bool) -> float:
    """Two runs that are right on all, but for the second's failures on so many documents: on the same ones in all tasks."""
    all_right = _measured([np.ones(n)] * tasks, same=same, turned=False)
    failed = draw.random((simulations, 1 if same else tasks, n)) < rare
    others = ([np.where(one[place % len(one)], 0.0, 1.0) for place in range(tasks)] for one in failed)
    return held([compare(all_right, _measured(one, same=same, turned=False)).overall_interval for one in others], rare)


def _runs(name: str, run: Tables, *, same: bool, turned: bool = False) -> Iterator[Cell]:
    """Of such runs a group's row, and two of them compared."""
    for which, find in {"a group's row": _of_groups, "two runs compared": _of_pairs}.items():
        yield Cell("joined", f"{which}, {name}", SUITES, functools.partial(find, run=run, same=same, turned=turned), SIMULATIONS)


def boards() -> Iterator[Cell]:
    """Boards of equal models and tasks over the same documents, all of which have a value, or some of which have none in some tasks."""
    for tasks, gaps, turned in (*itertools.product((3, 8), (0, 1, 20), (False,)), (3, 0, True), (3, 20, True)):
        find = functools.partial(_boards, tasks=tasks, gaps=gaps, turned=turned)
        order = f", {TURNED}" if turned else ""
        name = f"{MODELS} models, {tasks} tasks over the same documents{order}, {gaps or 'no'} gaps in each"
        yield Cell("joined", f"{name}: rows' intervals", SUITES, functools.partial(_rows, find), SIMULATIONS)
        yield Cell("joined", f"{name}: boards with a range that misses", LEVEL, functools.partial(_missed, find), SIMULATIONS, least=False)


def _rows(find: functools.partial[Board], draw: Draw, simulations: int) -> float:
    rows = [row for _ in range(simulations) for row in find(draw).rows]
    return float(np.mean([row.low is not None and row.high is not None and row.low <= SHARE <= row.high for row in rows]))


def _missed(find: functools.partial[Board], draw: Draw, simulations: int, *, ladder: bool = False) -> float:
    """Boards with a range that lacks a true place: of equals any, of a ladder the model's own."""
    return float(np.mean([any(_misses(row, ladder=ladder) for row in find(draw).rows) for _ in range(simulations)]))


def _misses(row: RankingRow, *, ladder: bool) -> bool:
    low, high = row.rank_low or 0, row.rank_high or 0
    return not low <= 1 + int(row.model[1:]) <= high if ladder else (low, high) != (1, MODELS)


def alike(draw: Draw, *, tasks: int) -> Sequence[Floats]:
    """Right and wrong answers to each task's question about each document, [documents], alike as ALIKE says."""
    latent = math.sqrt(ALIKE) * draw.normal(size=DOCUMENTS) + math.sqrt(1 - ALIKE) * draw.normal(size=(tasks, DOCUMENTS))
    return [(one < stats.norm.ppf(SHARE)).astype(np.float64) for one in latent]


def _boards(draw: Draw, *, tasks: int, gaps: int, turned: bool = False) -> Board:
    """A board of equal models; of each task the next documents have no value. `turned`: the last task has them in another order."""
    names = [f"t{place}" for place in range(tasks)]
    lacking = {name: np.arange(place * gaps, (place + 1) * gaps) % DOCUMENTS for place, name in enumerate(names)}
    there = {name: np.setdiff1d(np.arange(DOCUMENTS), lacking[name]).astype(np.int32) for name in names}
    orders = {name: ORDER if turned and name == names[-1] else np.arange(DOCUMENTS) for name in names}
    runs = [
        {
            name: Columns(there[name], values[orders[name][there[name]]], None)
            for name, values in zip(names, alike(draw, tasks=tasks), strict=True)
        }
        for _ in range(MODELS)
    ]
    places = {name: tuple(order.tolist()) for name, order in orders.items()} if turned else {}
    return ranked([result(number, columns, places=places) for number, columns in enumerate(runs)], names)


def _boards_varied(draw: Draw, *, tasks: int, apart: float, setups: int = SETUPS, ladder: bool = False) -> Board:
    """A board of models, each of which set-ups suit otherwise: of equals, or each STEP better than the next."""
    runs = []
    for number in range(MODELS):
        able = STEP * (MODELS / 2 - number) if ladder else 0.0
        drawn = varied(draw, tasks=tasks, apart=apart, same=False, setups=setups, able=able)
        tables = {f"t{place}": table for place, table in enumerate(drawn)}
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


def result(
    number: int, columns: Mapping[str, Columns], figures: Mapping[str, Figure] | None = None, places: Mapping[str, tuple[int, ...]] = NONE
) -> Result:
    """A run of tasks over the same documents: the values that each task has of them; `figures`: of several set-ups.

    `places`: of each ordinal its place among the documents, of tasks that have another order.
    """
    count = next(iter(figures.values())).setups if figures else 0
    setups = tuple(Setup(build_id=f"{n}", seed=n, format="plain") for n in range(count))
    planned = tuple(
        PlannedTask(
            task=task, task_version="1", build_id=task, samples=DOCUMENTS, repeats=1, main_metric="acc", main_filter="none",
            expected=(ExpectedMetric(filter="none", metric="acc"),), documents=None if figures else "same", setups=setups,
            places=places.get(task, ()),
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
        f"01890a5d-ac96-774b-bcce-{number:012x}", "", "public", (f"m{number}",), plan, 0, 0, "d", tasks=settled, documents=columns,
        by_task={one.task: one for one in planned},
    )  # fmt: skip


def varied(draw: Draw, *, tasks: int, apart: float, same: bool, setups: int = SETUPS, able: float = 0.0) -> Sequence[Floats]:
    """Right and wrong answers of each task, [documents, set-ups], of which each suits all tasks alike, by that SD on the logit's scale."""
    lean, hard = draw.normal(able, apart, setups), draw.normal(size=(1 if same else tasks, ASKED, 1))
    return [(draw.random((ASKED, setups)) < expit(hard[place % len(hard)] + lean)).astype(np.float64) for place in range(tasks)]


def _of_groups(draw: Draw, simulations: int, *, run: Tables, same: bool, turned: bool) -> float:
    return held([_group(run(draw), same=same, turned=turned) for _ in range(simulations)], SHARE)


def _group(tables: Sequence[Floats], *, same: bool, turned: bool) -> Interval | None:
    """The interval of the group's row."""
    planned, scores = [], []
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
    parts = {task: part_of(one) for task, one in _measured(tables, same=same, turned=turned).items()}
    (row,) = group_scores(planned, scores, parts)
    return row["low"], row["high"]


def _of_pairs(draw: Draw, simulations: int, *, run: Tables, same: bool, turned: bool) -> float:
    """Two runs that are as good: is no difference within the interval over all tasks?"""

    def one() -> dict[str, Measured]:
        return _measured(run(draw), same=same, turned=turned)

    return held([compare(one(), one()).overall_interval for _ in range(simulations)], 0.0)


def _measured(tables: Sequence[Floats], *, same: bool, turned: bool) -> dict[str, Measured]:
    """A run's tasks; `turned`: the last has the documents in another order, and says so."""
    orders = [ORDER if turned and place == len(tables) - 1 else np.arange(len(table)) for place, table in enumerate(tables)]
    return {
        f"t{place}": Measured(
            "build", "acc", "none", True, "mean", _samples(table[order]), documents="same" if same else None,
            places=tuple(order.tolist()) if turned else (),
        )
        for place, (table, order) in enumerate(zip(tables, orders, strict=True))
    }  # fmt: skip


def _samples(table: Floats) -> dict[int, Sample]:
    return {n: Sample(n, float(row.mean()), by_setup=tuple(row.tolist()) if row.ndim else ()) for n, row in enumerate(table)}
