"""Boards: which of the runs that count stands where, and how surely.

A board is a suite (or the tasks of a run, joined), plus one board for every task. Its version names the builds and sample counts of
its newest complete run: runs on other data are not compared with it. Of a model's runs the newest completed one counts.

The score of a suite is the mean over its tasks of the task's main metric, chance-corrected where the task has a chance level:
(value - chance) / (1 - chance). Tasks of a group count as one, each by its share of the group's samples, as lm-eval has it. Only means
over samples where more is better enter a suite; any other metric has its task's board. A task's score has the interval of its mean, a
suite's that of its tasks' joined (streams/statistics/intervals.py); what tasks over the same documents share counts in full. Which places a
model may have holds for the whole board at once, from tests of all pairs on the samples that all have (streams/statistics/ranks.py). Equal
scores share a place. A run that stopped early has the score of its own samples and its confidence sequence as interval; one that was asked
in several set-ups has its own too, with what these leave open: in a suite as much as tasks could share of it, and as much in the tests
behind its places. A run that asked a
part of a task adaptively has the estimate as score, says so, and has no rank: ranks are of what was asked. Of a model's runs one that asked
all goes before it. One that cannot be ranked with the others has no rank either, and says why (apart.py).
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from schemas.results import Figure, RankingRow
from schemas.runs import ExpectedMetric, PlannedTask
from streams.boards import speeds
from streams.boards.apart import apart
from streams.boards.reckoned import Reckoned
from streams.boards.results import Result
from streams.boards.standing import Shared, Standing, standing
from streams.boards.weighing import Counted, greatest, weights
from streams.planning import board_of
from streams.quality.adaptive import words
from streams.quality.exposure import DataAge, data_age, joined
from streams.quality.judging import about, by
from streams.statistics.intervals import Interval, joined_by, joint_interval
from streams.statistics.joining import Places, at_most, covariance, places, stretch, together
from streams.statistics.ranks import OverSetups, Standings, ranges, standings
from streams.statistics.spreads import Floats

FORMULA_VERSION = "ranking-12"
Data = tuple[str, str, int]  # task, build, samples


@dataclass(frozen=True, slots=True)
class Entry:
    """A run on a board, with its tasks there and what is joined to its row; `speed_run` is the run that the speed was measured in.

    `judged` is the run whose answers it judges, for its row is that one's. `runs`: how many runs of the model could stand here.
    `retracted`: it has a row still, and no rank.
    """

    run: Result
    tasks: tuple[str, ...]
    hardware: str
    speed: Mapping[str, Figure]
    speed_run: str | None = None
    judged: Result | None = None
    runs: int = 1
    retracted: bool = False

    @property
    def digest(self) -> str:
        """A name of what its row rests on."""
        joined = self.judged.digest if self.judged else ""
        return "|".join(
            [
                self.run.run_id,
                self.run.digest,
                self.hardware,
                self.speed_run or "",
                repr(sorted(self.speed.items())),
                str(self.runs),
                joined,
                *(["retracted"] if self.retracted else []),
            ]
        )


@dataclass(frozen=True, slots=True)
class Family:
    """Tasks, by their places on the board, that ask about the same documents; and what each one's samples stand and fall with (joining)."""

    tasks: tuple[int, ...]
    places: tuple[Places, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Who stands on a board: every entry, those that have all of its data, and those that estimate them; `version` names the data."""

    name: str
    version: str
    tasks: tuple[str, ...]
    entries: tuple[Entry, ...]
    full: tuple[Entry, ...]
    estimated: tuple[Entry, ...] = ()

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
    in_suite = tuple(sorted(planned.task for planned in run.plan.tasks if adds_up(planned)))
    return boards | ({f"{suite}{judge}": in_suite} if suite and in_suite else {})


def adds_up(planned: PlannedTask) -> bool:
    """The task's main metric is a mean over its samples of which more is better: what can be joined to other tasks'."""
    main = _main(planned)
    return main is not None and main.higher_is_better and main.aggregation == "mean"


def _main(planned: PlannedTask) -> ExpectedMetric | None:
    return next((e for e in planned.expected if (e.metric, e.filter) == (planned.main_metric, planned.main_filter)), None)


def _more_is_better(planned: PlannedTask) -> bool:
    main = _main(planned)
    return main is None or main.higher_is_better


def unplaced(planned: PlannedTask) -> str | None:
    """Why the task's board says no ranges of places, in words; None where it does."""
    main = _main(planned)
    if main is not None and main.aggregation == "mean":
        return None
    return (
        f"no ranges of places: {planned.main_metric} is no mean over samples, and how sure a difference of two models is, is not known here"
    )


def data_of(run: Result, tasks: Iterable[str]) -> frozenset[Data]:
    """The data of these tasks: what runs must share to be compared."""
    planned = [found for task in tasks if (found := run.planned(task))]
    return frozenset((one.task, f"{one.judged}@{one.task_version}" if one.judged else one.asked, _size(one)) for one in planned)


def _size(planned: PlannedTask) -> int:
    """How many samples its figure is about."""
    return planned.adaptive.documents if planned.adaptive else planned.samples


def estimates(run: Result, tasks: Iterable[str]) -> bool:
    """Of one of these tasks only a part was asked."""
    return any(run.part(task) for task in tasks)


def _age(run: Result) -> tuple[int, str]:
    return run.changed_us, run.run_id


def chosen(name: str, entries: Sequence[Entry]) -> Chosen:
    """Who stands on the board of that name, of the completed runs that could."""
    asked_all = [entry for entry in entries if not estimates(entry.run, entry.tasks)]
    newest = max(asked_all or entries, key=lambda entry: (len(entry.tasks), _age(entry.run)))
    tasks = newest.tasks
    data = data_of(newest.run, tasks)
    fitting = [entry for entry in entries if data_of(entry.run, tasks) <= data]
    counting = {entry.run.model: entry for entry in sorted(fitting, key=lambda entry: (not estimates(entry.run, tasks), _age(entry.run)))}
    every = sorted(counting.values(), key=lambda entry: entry.run.run_id)
    whole = [entry for entry in every if data_of(entry.run, tasks) == data and not entry.retracted]
    full, part = ([entry for entry in whole if estimates(entry.run, tasks) is wanted] for wanted in (False, True))
    return Chosen(name, hashlib.sha256(repr(sorted(data)).encode()).hexdigest()[:12], tasks, tuple(every), tuple(full), tuple(part))


def rank(board: Chosen, known: Reckoned | None = None) -> Board:
    """The board, ranked. `known` is what was reckoned for boards before, and is added to."""
    tasks, full, known = board.tasks, board.full, known or Reckoned()
    rows = _rows(full, board, known) if full else []
    rows += [_estimated(entry, board, known) for entry in board.estimated]
    placed = {row.run_id for row in rows}
    rows += [_row(entry, missing=_missing(entry, tasks)) for entry in board.entries if entry.run.run_id not in placed]
    ages = {entry.run.run_id: _age_of_data(entry.run, tasks) for entry in board.entries}
    rows = [row.model_copy(update={"data_age": ages[row.run_id]}) for row in rows]
    return Board(board.name, board.version, tasks, tuple(entry.run.run_id for entry in board.entries), tuple(rows), board.digest)


def _rows(entries: Sequence[Entry], board: Chosen, known: Reckoned) -> list[RankingRow]:
    """Rows of these: of those that can be ranked together, and of the others without a rank."""
    task = board.tasks[0] if board.name.startswith("task:") else None
    single = next(found for entry in entries if (found := entry.run.planned(task))) if task else None
    if single and unplaced(single):
        return _by_figure(entries, single)
    lacking = apart([entry.run for entry in entries], board.tasks)
    alone = [_row(entry, missing=(lacking[entry.run.run_id],)) for entry in entries if entry.run.run_id in lacking]
    if not (together := [entry for entry in entries if entry.run.run_id not in lacking]):
        return alone
    return (_single(together, single, known) if single else _suite(together, board.tasks, known)) + alone


def _estimated(entry: Entry, board: Chosen, known: Reckoned) -> RankingRow:
    """The row of a run that asked a part. Estimates over the same documents have no joint interval: how they vary is not known."""
    (row,), planned = _rows([entry], board, known), [found for task in board.tasks if (found := entry.run.planned(task))]
    told = words(*(one.adaptive for one in planned if one.adaptive))
    nothing = dict.fromkeys(("rank", "rank_low", "rank_high"))
    if len({one.documents or one.task for one in planned}) < len(planned):
        nothing |= dict.fromkeys(("low", "high", "method"))
    return row.model_copy(update=nothing | {"adaptive": told})


def _age_of_data(run: Result, tasks: Iterable[str]) -> DataAge:
    """How old the tasks' data are beside the run's model."""
    model = run.plan.model_published.date if run.plan and run.plan.model_published else None
    return joined(data_age(found.data_published, model) for task in tasks if (found := run.planned(task)))


def _missing(entry: Entry, tasks: Sequence[str]) -> tuple[str, ...]:
    return tuple(task for task in tasks if entry.run.planned(task) is None)


def _suite(entries: Sequence[Entry], tasks: Sequence[str], known: Reckoned) -> list[RankingRow]:
    """Rows from every task's shared samples, each task chance-corrected."""
    planned = [as_planned(entries, task) for task in tasks]
    each = [standing([entry.run for entry in entries], one, known, most=greatest(one.main_metric)) for one in planned]
    scales, taken = corrected(planned)
    guessed = math.fsum(taken)
    scores = np.sum([scale * one.scores for scale, one in zip(scales, each, strict=True)], axis=0) - guessed
    families = _families(planned, [one.shared for one in each])
    of_all = (*(one.shared.name for one in each), *scales)
    intervals = [
        known.of((entry.run.run_id, entry.run.digest, of_all), partial(_joined, n, each, scales, families, guessed))
        for n, entry in enumerate(entries)
    ]
    samples = [_samples(entry, tasks) for entry in entries]
    own = [_places(family, each, scales) for family in families]
    over = _over_setups(planned, each, scales)
    methods = [joined_by((score + guessed) / math.fsum(scales)) for score in scores.tolist()]
    return _ordered(entries, scores, own, over=over, intervals=intervals, methods=methods, samples=samples, tasks=tasks, known=known)


def corrected(planned: Sequence[PlannedTask]) -> tuple[list[float], list[float]]:
    """What a suite's tasks are multiplied by, and what is taken away of each then: what guessing gives. The rest adds up to its score."""
    parts = weights([Counted(one.task, one.group, _size(one), one.weight_by_size) for one in planned])
    chances = [_chance(one) for one in planned]
    scales = [part / (1 - chance) for part, chance in zip(parts, chances, strict=True)]
    return scales, [scale * chance for scale, chance in zip(scales, chances, strict=True)]


def as_planned(entries: Sequence[Entry], task: str) -> PlannedTask:
    """The task as one of the runs has it, where they can be told one that knows what it shares with tasks of other files."""
    return max((found for entry in entries if (found := entry.run.planned(task))), key=lambda found: bool(found.places))


def _chance(planned: PlannedTask) -> float:
    """What guessing gives; 0 where none is told, and where that told is none: nothing is left to be right about by more than chance."""
    return planned.chance if planned.chance is not None and 0 <= planned.chance < 1 else 0.0


def _families(planned: Sequence[PlannedTask], shared: Sequence[Shared]) -> list[Family]:
    """The tasks that ask about the same documents, together, whichever of these lack a value; each other task by itself."""
    found: dict[str, list[int]] = {}
    for place, one in enumerate(planned):
        found.setdefault(one.documents or f"{one.task}@{one.asked}", []).append(place)
    return [
        Family(tuple(own), tuple(places([shared[place].ordinals for place in own], [shared[place].clusters for place in own])))
        for own in found.values()
    ]


def _places(family: Family, found: Sequence[Standing], scales: Sequence[float]) -> Standings:
    """What tells who is surely above whom: the weighted sum of tasks over the same documents, so that what they share counts in full."""
    own = [(scales[place], found[place]) for place in family.tasks]
    widths = [scale * one.width for scale, one in own if one.width is not None]
    width = math.fsum(widths) if len(widths) == len(own) else None
    if len(own) == 1:
        return standings(own[0][0] * own[0][1].shared.values, own[0][1].shared.clusters, width=width)
    values, clusters, stretched = together(
        [scale * one.shared.values for scale, one in own], [one.shared.ordinals for _, one in own], family.places
    )
    return standings(values, clusters, width=width and width * stretched)


def _over_setups(planned: Sequence[PlannedTask], found: Sequence[Standing], scales: Sequence[float]) -> OverSetups | None:
    """What set-ups add to each entry's weighted sum: in all tasks the same way, as may be. The fewest set-ups of a task count."""
    counts = [len(one.builds) for one in planned]
    if max(counts) < 2:
        return None
    errors = np.sum(
        [scale * np.asarray(one.over_setups) / math.sqrt(stretch(count))
         for scale, one, count in zip(scales, found, counts, strict=True) if count > 1], axis=0,
    )  # fmt: skip
    return OverSetups(errors, min(count for count in counts if count > 1))


def _joined(entry: int, found: Sequence[Standing], scales: Sequence[float], families: Sequence[Family], guessed: float) -> Interval | None:
    """The interval of an entry's suite; None where a task has none."""
    parts = [one.ratios[entry] for one in found]
    known = [part for part in parts if part]
    if len(known) < len(parts):
        return None
    shared = [
        covariance([scales[place] * found[place].shared.values[entry] for place in family.tasks], family.places) for family in families
    ]
    shared.append(at_most([scale * one.over_setups[entry] for scale, one in zip(scales, found, strict=True)]))
    family_of = {place: number for number, family in enumerate(families) for place in family.tasks}
    low, high = joint_interval(known, scales, math.fsum(shared), families=[family_of[place] for place in range(len(found))])
    return low - guessed, high - guessed


def _single(entries: Sequence[Entry], planned: PlannedTask, known: Reckoned) -> list[RankingRow]:
    """Rows of one task's main metric, a mean, as it is: not chance-corrected."""
    sign, tasks = 1 if _more_is_better(planned) else -1, (planned.task,)
    found = standing([entry.run for entry in entries], planned, known)
    own, over = [_places(Family((0,), (found.shared.ordinals,)), [found], [1.0])], _over_setups([planned], [found], [1.0])
    samples = [_samples(entry, tasks) for entry in entries]
    return _ordered(
        entries, found.scores, own, over=over, intervals=found.intervals, methods=found.methods, samples=samples, tasks=tasks, known=known,
        sign=sign,
    )  # fmt: skip


def _by_figure(entries: Sequence[Entry], planned: PlannedTask) -> list[RankingRow]:
    """Rows of a metric that is no mean, by the runs' own figures: of it there are no ranges of places."""
    better = _more_is_better(planned)
    main = [entry.run.figure(planned.task) for entry in entries]
    placed = [(entry, figure) for entry, figure in zip(entries, main, strict=True) if figure and figure.value is not None]
    placed.sort(key=lambda item: (-(item[1].value or 0) if better else (item[1].value or 0), item[0].run.run_id))
    values = [figure.value for _, figure in placed]
    rows = [
        _row(
            entry, rank=1 + values.index(figure.value), score=figure.value, low=figure.low, high=figure.high,
            samples=_samples(entry, (planned.task,)), method=None if figure.low is None else figure.method,
        )
        for entry, figure in placed
    ]  # fmt: skip
    there = {row.run_id for row in rows}
    return rows + [_row(entry, missing=(planned.task,)) for entry in entries if entry.run.run_id not in there]


def _samples(entry: Entry, tasks: Sequence[str]) -> int:
    return sum(entry.run.tasks[task].documents for task in tasks if task in entry.run.tasks)


def _ordered(
    entries: Sequence[Entry],
    scores: Floats,
    own: Sequence[Standings],
    *,
    over: OverSetups | None,
    intervals: Sequence[Interval | None],
    methods: Sequence[str | None],
    samples: Sequence[int],
    tasks: Sequence[str],
    known: Reckoned,
    sign: int = 1,
) -> list[RankingRow]:
    """Rows in the order of their scores, shape [entries]; `own`: the standings on which the scores rest, independent of one another.

    `over`: what they vary with set-ups. `sign`: -1 where less is better.
    """
    places = ranges(own, over, moved=known.moved)
    if sign < 0:
        places = [(len(places) + 1 - high, len(places) + 1 - low) for low, high in places]
    rows, ahead = [], sign * scores
    for index in sorted(range(len(entries)), key=lambda i: (-ahead[i], entries[i].run.run_id)):
        low, high = intervals[index] or (None, None)
        rows.append(
            _row(
                entries[index], rank=1 + int((ahead > ahead[index]).sum()), score=float(scores[index]), low=low, high=high,
                rank_low=places[index][0], rank_high=places[index][1], samples=samples[index],
                sequential=any(entries[index].run.stopped(task) for task in tasks), method=methods[index] if intervals[index] else None,
            )
        )  # fmt: skip
    return rows


def _row(entry: Entry, **told: object) -> RankingRow:
    ranked = about(entry.run.plan)
    nothing = {"rank": None, "score": None, "low": None, "high": None, "rank_low": None, "rank_high": None, "samples": 0}
    ttft, energy = _value(speeds.ttft(entry.speed)), speeds.energy(entry.speed)
    speed = {
        "output_tokens_per_s": _value(speeds.capacity(entry.speed)),
        "ttft_p50_ns": round(ttft) if ttft is not None else None,
        "joules_per_token": energy.value / 1e6 if energy and energy.value is not None else None,
        "energy_grade": energy.origin if energy else None,
    }
    return RankingRow.model_validate(nothing | speed | {
        "model": ranked.model.uri, "model_sha": ranked.model_sha, "engine": ranked.engine.name, "hardware": entry.hardware,
        "run_id": entry.run.run_id, "environment_sha": (entry.judged or entry.run).environment_sha, "speed_run": entry.speed_run,
        "chat": ranked.chat, "chat_template_sha": ranked.chat_template_sha, "run_count": entry.runs,
    } | told)  # fmt: skip


def _value(figure: Figure | None) -> float | None:
    return figure.value if figure else None
