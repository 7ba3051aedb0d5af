"""The cells of `make bench-rigor` about what is joined from several tasks by whole boards: documents that they share."""

import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy import stats

from benchmarks.rigor_cells import SUITES, Cell, Draw
from schemas.requests import Chat, EngineChoice, ModelRef
from schemas.runs import Estimate, ExpectedMetric, Plan, PlannedTask
from schemas.settled import TaskSettled
from streams.boards.ranking import Board, Chosen, Entry, rank
from streams.boards.results import Result
from streams.settling.documents import Columns
from streams.statistics.differences import LEVEL
from streams.statistics.spreads import Floats

MODELS, DOCUMENTS, ALIKE, SHARE, SIMULATIONS = 5, 200, 0.6, 0.5, 300
Gaps = Sequence[int]  # of each task, how many documents have no value


def of_joined() -> Iterator[Cell]:
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


def alike(draw: Draw, tasks: int, documents: int = DOCUMENTS) -> Floats:
    """Right and wrong answers to each task's question about each document, shape [tasks, documents], alike as ALIKE says."""
    latent = math.sqrt(ALIKE) * draw.normal(size=documents) + math.sqrt(1 - ALIKE) * draw.normal(size=(tasks, documents))
    return (latent < stats.norm.ppf(SHARE)).astype(np.float64)


def _boards(draw: Draw, *, tasks: int, gaps: int) -> Board:
    """A board of equal models; of each task the next documents have no value."""
    names = [f"t{place}" for place in range(tasks)]
    lacking = {name: np.arange(place * gaps, (place + 1) * gaps) % DOCUMENTS for place, name in enumerate(names)}
    there = {name: np.setdiff1d(np.arange(DOCUMENTS), lacking[name]).astype(np.int32) for name in names}
    runs = [
        {name: Columns(there[name], values[there[name]], None) for name, values in zip(names, alike(draw, tasks), strict=True)}
        for _ in range(MODELS)
    ]
    return ranked([result(number, columns) for number, columns in enumerate(runs)], names)


def ranked(runs: Sequence[Result], tasks: Sequence[str]) -> Board:
    """The board of these runs."""
    entries = tuple(Entry(run, tuple(tasks), hardware="h", speed={}) for run in runs)
    return rank(Chosen("suite", "1", tuple(tasks), entries, entries))


def result(number: int, columns: Mapping[str, Columns]) -> Result:
    """A run of tasks over the same documents: the values that each task has of them."""
    planned = tuple(
        PlannedTask(
            task=task, task_version="1", build_id=task, samples=DOCUMENTS, repeats=1, main_metric="acc", main_filter="none",
            expected=(ExpectedMetric(filter="none", metric="acc"),), documents="same",
        )
        for task in columns
    )  # fmt: skip
    plan = Plan(
        submitter="s", model=ModelRef(uri=f"m{number}"), model_sha="", tokenizer_sha="", chat_template_sha="", chat=Chat(),
        engine=EngineChoice(name="echo"), suite="suite", tasks=planned, licences=(), skipped=(), estimate=Estimate(), jobs=1,
    )  # fmt: skip
    settled = {task: TaskSettled(task=task, scorer_version="1", documents=len(own.values), figure=None) for task, own in columns.items()}
    return Result(
        f"01890a5d-ac96-774b-bcce-{number:012x}", "", (f"m{number}",), plan, 0, 0, "d", tasks=settled, documents=columns,
        by_task={one.task: one for one in planned},
    )  # fmt: skip
