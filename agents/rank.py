"""Keeps run scores, performance and rankings, and says when a run is complete: the shell of streams/results.py and of boards.

One process only: a ranking needs every run. Its state is in memory, and is folded from the log anew at every start.
"""

import asyncio
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor

import structlog

from agents.app import CRASHED, consume
from infra.harness.aggregating import aggregate
from infra.harness.processes import prepare
from infra.identity import producer
from infra.kafka import Log, Record
from infra.pools import pool
from infra.retrying import until_available
from infra.settings import Settings
from schemas.event import Event
from schemas.results import Figure, PerformanceSummarised, RankingChanged, RunScored, TaskStopped
from schemas.runs import RunChanged
from streams.boards.ranking import Board, Entry, boards_of, model_of, rank
from streams.quality import stopping
from streams.quality.scores import Key, TaskScores
from streams.results import Results, Run
from streams.speed.performance import FORMULA_VERSION
from streams.statistics.intervals import Interval
from streams.topics import (
    BUILDS,
    ENVIRONMENTS,
    JOB_STATUS,
    NOT_SCORED,
    PERFORMANCE,
    RANKINGS,
    REQUEST_TIMINGS,
    RESOURCES,
    RUN_SCORES,
    RUNS,
    SCORES,
    STOPS,
    TOKEN_TIMINGS,
    TOPICS,
)

INPUTS = (BUILDS, ENVIRONMENTS, RUNS, SCORES, NOT_SCORED, JOB_STATUS, REQUEST_TIMINGS, TOKEN_TIMINGS, RESOURCES)
OWN = (RUN_SCORES, STOPS, PERFORMANCE, RANKINGS)
PROVISIONAL_EVERY_S = 1.0
log_line = structlog.get_logger()


class Ranker:
    """The results of all runs, and what has been said of them."""

    def __init__(self, log: Log, processes: ProcessPoolExecutor) -> None:
        self._log = log
        self._processes = processes
        self._results = Results()
        self._said: set[str] = set()
        self._figures: dict[tuple[str, str], tuple[Figure, ...]] = {}
        self._dirty: set[str] = set()
        self._lock = asyncio.Lock()

    async def rebuild(self) -> None:
        """Folds the log's past, then says what an earlier process had no time to say."""
        started, events = time.perf_counter(), 0
        async for record in self._log.read((*INPUTS, *OWN)):
            events += 1
            self._recall(record.event)
            if record.event:
                self._results.fold(record.event)
        for run in list(self._results.runs.values()):
            await self._settle(run)
        await self._rank_all(self._results.runs.values())
        log_line.info("rebuilt", events=events, runs=len(self._results.runs), took_s=round(time.perf_counter() - started, 3))

    def _recall(self, event: Event | None) -> None:
        if isinstance(event, (RunScored, PerformanceSummarised, RankingChanged)):
            self._said.add(event.event_id)
        if isinstance(event, RunScored) and event.complete:
            self._figures.setdefault((event.run_id, event.task), event.figures)

    async def handle(self, records: Sequence[Record]) -> None:
        """Folds a batch, and says what has become final with it."""
        touched: set[str] = set()
        for record in records:
            if record.event:
                touched |= self._results.fold(record.event)
        async with self._lock:
            for run_id in sorted(touched):
                run = self._results.run(run_id)
                if not await self._settle(run):
                    self._dirty.add(run_id)

    async def provisional(self) -> None:
        """Says once a second where unfinished runs stand."""
        while True:
            await asyncio.sleep(PROVISIONAL_EVERY_S)
            async with self._lock:
                dirty, self._dirty = self._dirty, set()
                for run_id in sorted(dirty):
                    run = self._results.run(run_id)
                    scores = [self._provisional(run, task, version, found) for (task, version), found in run.scores.items()]
                    await self._say([event for event in scores if event])

    def _provisional(self, run: Run, task: str, version: str, scores: TaskScores) -> RunScored | None:
        expected, counting = run.expected(task), run.counting(task, scores)
        if expected is None or counting.complete(expected):
            return None
        return self._scored(
            run, task, version=version, scores=counting, figures=counting.figures(_plain_mean, sequential=_sequential(run, task, scores))
        )

    async def _settle(self, run: Run) -> bool:
        """Says what is final of a run; True where nothing more is to come."""
        if run.plan is None:
            return False
        for planned in run.plan.tasks:
            await self._settle_task(run, planned.task)
        await self._say(event for job_id in sorted(run.speeds) if (event := self._summary(run, job_id)))
        if run.complete and not run.over:
            await self._complete(run)
        return run.over and run.complete

    async def _stop(self, run: Run, task: str) -> None:
        """Says that a task is known well enough, by the scores of the newest scorer."""
        planned, versions = run.planned(task), [version for name, version in run.scores if name == task]
        if planned is None or planned.stopping is None or task in run.stops or not versions:
            return
        scores = run.scores[task, max(versions)]
        known = stopping.known(scores, planned)
        if known is None or known.samples == planned.samples:
            return
        counting = scores.of(frozenset(stopping.order(planned.build_id, planned.samples)[: known.samples]))
        stop = TaskStopped(
            occurred_us=scores.latest_us, producer=producer("agents.rank"), organisation_id=run.organisation_id, run_id=run.run_id,
            task=task, scorer_version=max(versions), samples=known.samples * planned.repeats, planned=planned.samples * planned.repeats,
            not_scored=len(counting.not_scored), half_width=known.half_width, confidence=planned.stopping.confidence,
        )  # fmt: skip
        await self._log.publish(stop)
        self._results.fold(stop)
        log_line.info("task stopped", run_id=run.run_id, task=task, samples=stop.samples, planned=stop.planned)

    async def _settle_task(self, run: Run, task: str) -> None:
        await self._stop(run, task)
        found = run.complete_scores(task)
        if found is None or (run.run_id, task) in self._figures:
            return
        version, scores = found
        planned, loop = run.planned(task), asyncio.get_running_loop()
        built = self._results.builds.get(planned.build_id) if planned else None
        config = built.config_json if built else "{}"
        parts = {key: [cell.parts_json for _, cell in sorted(cells.items()) if cell.parts_json] for key, cells in scores.cells.items()}
        waiting = {key: loop.run_in_executor(self._processes, aggregate, config, key[1], parts[key]) for key in parts}
        known = {key: await value for key, value in waiting.items()}
        figures = scores.figures(lambda key, _parts: known[key], sequential=_sequential(run, task, scores))
        await self._say([self._scored(run, task, version=version, scores=scores, figures=figures)])
        self._figures[run.run_id, task] = figures

    def _scored(self, run: Run, task: str, *, version: str, scores: TaskScores, figures: tuple[Figure, ...]) -> RunScored:
        expected = run.expected(task) or 0
        return RunScored(
            occurred_us=scores.latest_us, producer=producer("agents.rank"), organisation_id=run.organisation_id, run_id=run.run_id,
            task=task, scorer_version=version, complete=scores.complete(expected), scored=scores.scored, expected=expected,
            inputs_digest=scores.digest(), figures=figures,
        )  # fmt: skip

    def _summary(self, run: Run, job_id: str) -> PerformanceSummarised | None:
        speed = run.speeds[job_id]
        if not speed.complete:
            return None
        figures, histograms = speed.summary()
        return PerformanceSummarised(
            occurred_us=speed.latest_us, producer=producer("agents.rank"), organisation_id=run.organisation_id, run_id=run.run_id,
            formula_version=FORMULA_VERSION, complete=True, inputs_digest=speed.digest(), figures=figures, histograms=histograms,
        )  # fmt: skip

    async def _complete(self, run: Run) -> None:
        change = RunChanged(
            occurred_us=run.latest_us, producer=producer("agents.rank"), organisation_id=run.organisation_id,
            run_id=run.run_id, state="completed",
        )  # fmt: skip
        await self._log.publish(change)
        self._results.fold(change)
        log_line.info("run completed", run_id=run.run_id)
        # A speed measured now belongs to every row of the same model.
        await self._rank_all(other for other in self._results.runs.values() if other.plan and model_of(other) == model_of(run))

    async def _rank_all(self, runs: Iterable[Run]) -> None:
        """Says how the boards stand on which these runs are."""
        names = sorted({name for run in runs if run.state == "completed" and run.complete for name in boards_of(run)})
        await self._say([self._ranking(self._board(name)) for name in names])

    def _board(self, name: str) -> Board:
        runs = [run for run in self._results.runs.values() if run.state == "completed" and run.complete and name in boards_of(run)]
        return rank(name, [self._entry(run) for run in runs], figures=lambda run, task: self._figures.get((run.run_id, task), ()))

    def _entry(self, run: Run) -> Entry:
        judged = self._results.run(run.plan.subject.run_id) if run.plan and run.plan.subject else None
        ranked = judged or run
        seen = self._results.environments.get(ranked.environment_sha or "")
        measured = self._measured(ranked) if ranked.plan else None
        speeds = [speed for speed in measured.speeds.values() if speed.complete] if measured else []
        figures = {figure.metric: figure for speed in speeds for figure in speed.summary()[0]}
        return Entry(run, hardware=_hardware(seen), speed=figures, speed_run=measured.run_id if measured else None, judged=judged)

    def _measured(self, run: Run) -> Run | None:
        """The newest run with a speed of the very same model, engine and environment."""
        measured = [other for other in self._results.runs.values() if other.plan and any(speed.complete for speed in other.speeds.values())]
        alike = [other for other in measured if model_of(other) == model_of(run) and other.engine == run.engine]
        return max(alike, key=lambda other: (other.latest_us, other.run_id), default=None)

    def _ranking(self, board: Board) -> RankingChanged:
        runs = [self._results.run(run_id) for run_id in board.runs]
        return RankingChanged(
            occurred_us=max(run.latest_us for run in runs), producer=producer("agents.rank"), organisation_id=runs[0].organisation_id,
            board=board.name, version=board.version, tasks=board.tasks, runs=board.runs, inputs_digest=board.digest,
            provisional=False, rows=board.rows,
        )  # fmt: skip

    async def _say(self, events: Iterable[Event]) -> None:
        new = [event for event in events if event.event_id not in self._said]
        await self._log.publish_all(new)
        self._said |= {event.event_id for event in new}


def _sequential(run: Run, task: str, scores: TaskScores) -> Mapping[Key, Interval] | None:
    """The intervals of a task that may stop early; None of any other."""
    planned = run.planned(task)
    return stopping.intervals(scores, planned, run.stretch(task, scores)) if planned and planned.stopping else None


def _plain_mean(_key: Key, parts: list[str]) -> tuple[float | None, float | None]:
    """A provisional value: the mean, where parts are plain numbers."""
    try:
        values = [float(part) for part in parts]
    except ValueError:
        return None, None
    return (sum(values) / len(values) if values else None), None


def _hardware(seen: object) -> str:
    devices = getattr(seen, "devices", ())
    return ", ".join(device.name for device in devices) or getattr(seen, "cpu", "")


async def _supervised(ranker: Ranker) -> None:
    try:
        await ranker.provisional()
    except asyncio.CancelledError:
        raise
    except Exception:  # this task's one supervised loop: it ends the process like the consumer's
        log_line.exception("provisional scores failed")
        os._exit(CRASHED)


async def main(settings: Settings) -> None:
    """Ranks until SIGTERM."""
    with pool(1) as processes:
        async with Log(settings, client_id="agents.rank") as log:
            await until_available(lambda: log.create_topics(TOPICS), what="topics")
            ranker = Ranker(log, processes)
            asyncio.get_running_loop().run_in_executor(processes, prepare)
            await ranker.rebuild()
            ticking = asyncio.create_task(_supervised(ranker))
            await consume("rank", INPUTS, ranker.handle, log=log, settings=settings)
            ticking.cancel()
