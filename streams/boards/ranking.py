"""Boards: which of the runs that count stands where, and how surely.

A board is a suite (or the tasks of a run, joined), plus one board for every task. Its version names the builds and sample counts of
its newest complete run: runs on other data are not compared with it. Of a model's runs the newest completed one counts.

The score of a suite is the mean over its tasks of the task's main metric, chance-corrected where the task has a chance level:
(value - chance) / (1 - chance). Tasks of a group count as one, each by its share of the group's samples, as lm-eval has it. Only means
over samples where more is better enter a suite; any other metric has its task's board. A task's score has the interval of its mean
(Wilson's, where values are 0 or 1), a suite's the one that follows from its tasks'. Which places a model may have comes from a paired
bootstrap: every draw takes the same samples (whole clusters of those that share a passage) for all models. Equal scores share a place.
A run that may stop early has the score of its own samples and its confidence sequence as interval; places still come from shared samples.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from schemas.results import Figure, RankingRow
from schemas.runs import PlannedTask
from streams.boards.results import Result
from streams.boards.weighing import Counted, greatest, weights
from streams.planning import board_of
from streams.quality.exposure import DataAge, data_age, joined
from streams.quality.judging import about, by
from streams.statistics.intervals import Clusters, Floats, Interval, mean_interval, mean_of_independent, resampled_means

FORMULA_VERSION = "ranking-3"
Data = tuple[str, str, int]  # task, build, samples


@dataclass(frozen=True, slots=True)
class Entry:
    """A run on a board, with what is joined to its row; `speed_run` is the run that the speed was measured in.

    `judged` is the run whose answers it judges, for its row is that one's.
    """

    run: Result
    hardware: str
    speed: Mapping[str, Figure]
    speed_run: str | None = None
    judged: Result | None = None

    @property
    def digest(self) -> str:
        """A name of what its row rests on."""
        joined = self.judged.digest if self.judged else ""
        return "|".join([self.run.run_id, self.run.digest, self.hardware, self.speed_run or "", repr(sorted(self.speed.items())), joined])


@dataclass(frozen=True, slots=True)
class Shared:
    """Values of the samples that all entries have, shape [entries, samples], and the cluster of each sample."""

    values: Floats
    clusters: Clusters


@dataclass(frozen=True, slots=True)
class Standing:
    """How entries stand on a task: scores, shape [entries], their intervals, and paired draws of the scores, shape [entries, draws]."""

    scores: Floats
    intervals: list[Interval | None]
    drawn: Floats


@dataclass(frozen=True, slots=True)
class Chosen:
    """Who stands on a board: every entry, and those that have all of its data; `version` names the data."""

    name: str
    version: str
    tasks: tuple[str, ...]
    entries: tuple[Entry, ...]
    full: tuple[Entry, ...]

    @property
    def digest(self) -> str:
        """A name of all that the board rests on: equal ones have equal rows."""
        told = [FORMULA_VERSION, self.name, self.version, *(entry.digest for entry in self.entries)]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Board:
    """A board's state: everything that a RankingChanged says beside its header."""

    name: str
    version: str
    tasks: tuple[str, ...]
    runs: tuple[str, ...]
    rows: tuple[RankingRow, ...]
    digest: str


def boards_of(run: Result) -> dict[str, tuple[str, ...]]:
    """The boards on which a run stands, each with its tasks. What a judge says stands on boards of that judge's."""
    names, judge = [planned.task for planned in run.plan.tasks], by(run.plan)
    boards = {f"task:{name}{judge}": (name,) for name in names}
    suite = board_of(run.plan.suite, run.plan.tasks)
    in_suite = tuple(sorted(planned.task for planned in run.plan.tasks if _adds_up(planned)))
    return boards | ({f"{suite}{judge}": in_suite} if suite and in_suite else {})


def _adds_up(planned: PlannedTask) -> bool:
    main = next((e for e in planned.expected if (e.metric, e.filter) == (planned.main_metric, planned.main_filter)), None)
    return main is not None and main.higher_is_better and main.aggregation == "mean"


def data_of(run: Result, tasks: Iterable[str]) -> frozenset[Data]:
    """The data of these tasks: what runs must share to be compared."""
    planned = [found for task in tasks if (found := run.planned(task))]
    return frozenset((one.task, f"{one.judged}@{one.task_version}" if one.judged else one.build_id, one.samples) for one in planned)


def _age(run: Result) -> tuple[int, str]:
    return run.changed_us, run.run_id


def chosen(name: str, entries: Sequence[Entry]) -> Chosen:
    """Who stands on the board of that name, of the completed runs that could."""
    newest = max(entries, key=lambda entry: (len(boards_of(entry.run)[name]), _age(entry.run)))
    tasks = boards_of(newest.run)[name]
    data = data_of(newest.run, tasks)
    fitting = [entry for entry in entries if data_of(entry.run, tasks) <= data]
    counting = {entry.run.model: entry for entry in sorted(fitting, key=lambda entry: _age(entry.run))}
    every = sorted(counting.values(), key=lambda entry: entry.run.run_id)
    full = [entry for entry in every if data_of(entry.run, tasks) == data]
    return Chosen(name, hashlib.sha256(repr(sorted(data)).encode()).hexdigest()[:12], tasks, tuple(every), tuple(full))


def rank(board: Chosen) -> Board:
    """The board, ranked."""
    tasks, full = board.tasks, board.full
    rows = _single(full, tasks[0]) if board.name.startswith("task:") else _suite(full, tasks)
    rows += [_row(entry, missing=_missing(entry, tasks)) for entry in board.entries if entry not in full]
    ages = {entry.run.run_id: _age_of_data(entry.run, tasks) for entry in board.entries}
    rows = [row.model_copy(update={"data_age": ages[row.run_id]}) for row in rows]
    return Board(board.name, board.version, tasks, tuple(entry.run.run_id for entry in board.entries), tuple(rows), board.digest)


def _age_of_data(run: Result, tasks: Iterable[str]) -> DataAge:
    """How old the tasks' data are beside the run's model."""
    model = run.plan.model_published.date if run.plan and run.plan.model_published else None
    return joined(data_age(found.data_published, model) for task in tasks if (found := run.planned(task)))


def _missing(entry: Entry, tasks: Sequence[str]) -> tuple[str, ...]:
    return tuple(task for task in tasks if entry.run.planned(task) is None)


def _suite(entries: Sequence[Entry], tasks: Sequence[str]) -> list[RankingRow]:
    """Rows from every task's shared samples, each task chance-corrected."""
    planned = [next(found for entry in entries if (found := entry.run.planned(task))) for task in tasks] if entries else []
    drawn, scores, intervals = [], [], []
    parts = weights([Counted(one.task, one.group, one.samples) for one in planned])
    for position, one in enumerate(planned):
        standing, chance = _standing(entries, one, stream=position, most=greatest(one.main_metric)), one.chance or 0.0
        scores.append((standing.scores - chance) / (1 - chance))
        intervals.append([_corrected(interval, chance) for interval in standing.intervals])
        drawn.append((standing.drawn - chance) / (1 - chance))
    joined = [
        _joined([float(task[n]) for task in scores], [task[n] for task in intervals], parts) for n in range(len(entries))
    ]  # fmt: skip
    samples = [_samples(entry, tasks) for entry in entries]
    return _ordered(entries, _weighted(scores, parts), _weighted(drawn, parts), intervals=joined, samples=samples, tasks=tasks)


def _weighted(rows: Sequence[Floats], parts: Sequence[float]) -> Floats:
    return np.asarray(sum(row * part for row, part in zip(rows, parts, strict=True)), dtype=np.float64)


def _standing(entries: Sequence[Entry], planned: PlannedTask, *, stream: int, most: int = 1) -> Standing:
    """By the samples that all entries have; one that may stop early by its own samples and its sequence. Draws are of what all have."""
    task = planned.task
    whole = [entry for entry in entries if not entry.run.stretches(task)]
    every = _shared(entries, task, most)
    shared = every if len(whole) == len(entries) else _shared(whole, task, most) if whole else None
    told = zip(whole, shared.values.mean(axis=1).tolist(), _intervals(shared), strict=True) if shared else ()
    found = {entry.run.run_id: (score, interval) for entry, score, interval in told}
    found |= {entry.run.run_id: _own(entry.run.figure(task)) for entry in entries if entry.run.run_id not in found}
    scores, intervals = zip(*(found[entry.run.run_id] for entry in entries), strict=True)
    return Standing(np.asarray(scores, dtype=np.float64), list(intervals), _drawn(every, stream=stream))


def _own(figure: Figure | None) -> tuple[float, Interval | None]:
    """A figure's value (NaN for none) and its interval."""
    if figure is None or figure.value is None:
        return math.nan, None
    return figure.value, (figure.low, figure.high) if figure.low is not None and figure.high is not None else None


def _intervals(shared: Shared) -> list[Interval | None]:
    return [mean_interval(row.tolist(), shared.clusters) for row in shared.values]


def _drawn(shared: Shared, *, stream: int) -> Floats:
    return resampled_means(shared.values, stream=stream, clusters=shared.clusters)


def _corrected(interval: Interval | None, chance: float) -> Interval | None:
    return ((interval[0] - chance) / (1 - chance), (interval[1] - chance) / (1 - chance)) if interval else None


def _joined(scores: Sequence[float], intervals: Sequence[Interval | None], parts: Sequence[float]) -> Interval | None:
    known = [interval for interval in intervals if interval]
    return mean_of_independent(scores, known, parts) if len(known) == len(scores) else None


def _single(entries: Sequence[Entry], task: str) -> list[RankingRow]:
    """Rows of one task's main metric, as it is: not chance-corrected, and of any kind."""
    planned = next(planned for entry in entries if (planned := entry.run.planned(task)))
    samples = [_samples(entry, (task,)) for entry in entries]
    if _adds_up(planned):
        standing = _standing(entries, planned, stream=0)
        return _ordered(entries, standing.scores, standing.drawn, intervals=standing.intervals, samples=samples, tasks=(task,))
    main = [entry.run.figure(task) for entry in entries]
    better = next((e.higher_is_better for e in planned.expected if e.metric == planned.main_metric), True)
    known = [(entry, figure, n) for entry, figure, n in zip(entries, main, samples, strict=True) if figure and figure.value is not None]
    known.sort(key=lambda item: (-(item[1].value or 0) if better else (item[1].value or 0), item[0].run.run_id))
    rows = [
        _row(entry, rank=place, score=figure.value, low=figure.low, high=figure.high, samples=n)
        for place, (entry, figure, n) in enumerate(known, start=1)
    ]
    there = {row.run_id for row in rows}
    return rows + [_row(entry, missing=(task,)) for entry in entries if entry.run.run_id not in there]


def _shared(entries: Sequence[Entry], task: str, most: int = 1) -> Shared:
    """The main metric's values, over the greatest that there is, of the samples that all entries have."""
    columns = [entry.run.documents[task] for entry in entries]
    ordinals = reduce(lambda left, right: np.intersect1d(left, right, assume_unique=True), [column.ordinals for column in columns])
    if not len(ordinals):
        return Shared(np.full((len(entries), 1), np.nan), (0,))
    values = np.stack([column.values[np.searchsorted(column.ordinals, ordinals)] for column in columns])
    named = next((column for column in columns if column.clusters is not None), None)
    if named is None or named.clusters is None:
        return Shared(values / most, ordinals.tolist())
    return Shared(values / most, [named.clusters[place] for place in np.searchsorted(named.ordinals, ordinals).tolist()])


def _samples(entry: Entry, tasks: Sequence[str]) -> int:
    return sum(entry.run.tasks[task].documents for task in tasks if task in entry.run.tasks)


def _ordered(
    entries: Sequence[Entry],
    scores: Floats,
    drawn: Floats,
    *,
    intervals: Sequence[Interval | None],
    samples: Sequence[int],
    tasks: Sequence[str],
) -> list[RankingRow]:
    """Rows in the order of their scores. `scores`: shape [entries]; `drawn`: shape [entries, draws]."""
    if np.isnan(scores).any():
        return [_row(entry, missing=("a sample that all share",)) for entry in entries]
    places = _places(drawn)
    rows = []
    for index in sorted(range(len(entries)), key=lambda i: (-scores[i], entries[i].run.run_id)):
        low, high = intervals[index] or (None, None)
        best, worst = np.percentile(places[index], [2.5, 97.5], method="nearest")
        rows.append(
            _row(
                entries[index], rank=1 + int((scores > scores[index]).sum()), score=float(scores[index]), low=low, high=high,
                rank_low=int(best), rank_high=int(worst), samples=samples[index],
                sequential=any(entries[index].run.stretches(task) for task in tasks),
            )
        )  # fmt: skip
    return rows


def _places(drawn: Floats) -> NDArray[np.int64]:
    """The place of each entry in each draw, shape [entries, draws]: one more than there are entries above it."""
    ordered = np.sort(drawn, axis=0)
    above = [len(drawn) - np.searchsorted(ordered[:, draw], drawn[:, draw], side="right") for draw in range(drawn.shape[1])]
    return 1 + np.stack(above, axis=1)


def _row(entry: Entry, **told: object) -> RankingRow:
    ranked = about(entry.run.plan)
    nothing = {"rank": None, "score": None, "low": None, "high": None, "rank_low": None, "rank_high": None, "samples": 0}
    ttft, energy = entry.speed.get("ttft_p50"), entry.speed.get("energy_per_output_token_uj")
    speed = {
        "output_tokens_per_s": _value(entry.speed.get("output_tokens_per_s")),
        "ttft_p50_ns": round(ttft.value) if ttft and ttft.value is not None else None,
        "joules_per_token": energy.value / 1e6 if energy and energy.value is not None else None,
        "energy_grade": energy.origin if energy else None,
    }
    return RankingRow.model_validate(nothing | speed | {
        "model": ranked.model.uri, "model_sha": ranked.model_sha, "engine": ranked.engine.name, "hardware": entry.hardware,
        "run_id": entry.run.run_id, "environment_sha": (entry.judged or entry.run).environment_sha, "speed_run": entry.speed_run,
        "chat": ranked.chat, "chat_template_sha": ranked.chat_template_sha,
    } | told)  # fmt: skip


def _value(figure: Figure | None) -> float | None:
    return figure.value if figure else None
