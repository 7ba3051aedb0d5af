"""Says what runs come to: scores, speed, completion, results. The shell of streams/settling.

It holds the open runs of its partitions (agents/shards.py); a run of which all is said, and nothing is awaited, is forgotten. Each run is
settled by a task of its own: an aggregation that takes minutes holds up no other run, nor the reading of what comes.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import structlog

from agents import unread
from agents.aggregating import Aggregating, gathered
from agents.app import consume_sharded, or_end
from agents.asking_again import Waiting, ask_again, in_vain, is_due
from agents.care import TWICE, Care, give_up
from agents.missed import by_settler
from agents.shards import Shards
from infra.builds import Builds
from infra.identity import now_us, producer
from infra.kafka import Ends, Log, Place, Record
from infra.logging import frames
from infra.partitioning import partition_for
from infra.retrying import until_available
from infra.settings import Settings
from schemas.event import Event
from schemas.results import PerformanceSummarised, RunScored, TaskStopped
from schemas.runs import RunChanged, RunState
from schemas.settled import LeftOut, RunSettled
from streams.errors import Permanent, Temporary
from streams.settling import results
from streams.settling.dumping import VERSION, dumped, loaded, pictured
from streams.settling.runs import INPUTS, OpenRuns, Run
from streams.topics import RESULTS, RUNS, STOPS, TOPICS, Topic

PROVISIONAL_EVERY_S = 1.0
SHARE = 20  # provisional figures of a task take at most a twentieth of the time
LONGEST_TOLD = 1000
STAMP = "agents.settle"
PATIENT_EACH = 100_000  # samples take a second or two: they are never more than that of what may hang
T = TypeVar("T")
log_line = structlog.get_logger()


@dataclass(slots=True)
class Said:
    """What was said of a run: the scores of its tasks, its speed, from what of each workload it was worked out, and its newest result.

    `steps`: those of its states; `broken`: what of it cannot be worked out, by task (None: its speed) and scorer version; `next_s`: when a
    task's provisional figures are due, on the monotonic clock; `samples`: of how many, by task and scorer version, they were said last.
    """

    scores: dict[str, RunScored] = field(default_factory=dict)
    speed: PerformanceSummarised | None = None
    measured: dict[str, tuple[object, ...]] = field(default_factory=dict)
    steps: set[RunState] = field(default_factory=set)
    result: str | None = None
    broken: dict[tuple[str | None, str | None], LeftOut] = field(default_factory=dict)
    next_s: dict[str, float] = field(default_factory=dict)
    samples: dict[tuple[str, str], int] = field(default_factory=dict)
    waiting: Waiting = field(default_factory=Waiting)


@dataclass(slots=True)
class Here:
    """A partition's open runs, those of which something new is known, and what was said of each."""

    runs: OpenRuns = field(default_factory=OpenRuns)
    touched: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    said: dict[str, Said] = field(default_factory=dict)
    busy: dict[str, asyncio.Task[None]] = field(default_factory=dict)


class Settling:
    """The fold of a partition's runs, and what is said of them."""

    version = VERSION
    inputs: Sequence[Sequence[Topic]] = ((RESULTS,), INPUTS)

    def __init__(self, log: Log, aggregating: Aggregating, care: Care) -> None:
        self._log = log
        self._care = care
        self._aggregating = aggregating
        self._builds = Builds(log)
        self._asking: dict[str, asyncio.Task[None]] = {}
        self.next_of: Callable[[int], Ends] = _unread

    def empty(self) -> Here:
        """No run."""
        return Here()

    def dumping(self, state: Here) -> Callable[[], bytes]:
        """What writes the open runs, as they are now."""
        return partial(dumped, pictured(state.runs))

    def loaded(self, told: bytes) -> Here:
        """The open runs in such bytes; of each, all is said again."""
        runs = loaded(told)
        return Here(runs, touched=set(runs.runs))

    def wanted(self, state: Here, key: bytes | None, place: Place) -> bool:
        """Of a closed run only what its result does not know: a newer scorer's scores."""
        run_id = (key or b"").partition(b"\x1f")[0].decode(errors="replace")
        return place.offset >= state.runs.through.of(run_id, place.topic)

    async def fold(self, state: Here, record: Record) -> None:
        """Folds a record into its run; a closed run that another scorer scores is opened again."""
        event = record.event
        if event is None:
            return
        if (planned_at := state.runs.reopens(event)) is not None:
            await self._reopen(state, planned_at, record.place)
        state.touched |= state.runs.fold(event, offset=record.place.offset)

    async def _reopen(self, state: Here, planned_at: int, place: Place) -> None:
        """Reads back what the new scores are set beside: the run's plan, where its tasks stopped, and its last result."""
        async for planned in self._log.read_span(RUNS, partition=place.partition, first=planned_at, last=planned_at):
            if not isinstance(planned.event, RunChanged):
                continue
            run_id, before = planned.event.run_id, None
            async for result in self._log.of_key(RESULTS, run_id.encode()):
                before = result.event if isinstance(result.event, RunSettled) else before
            stops = [stop.event async for stop in self._log.of_key(STOPS, run_id.encode()) if isinstance(stop.event, TaskStopped)]
            run = state.runs.reopen(planned.event, offset=planned_at, before=before)  # once all is read: it may have to be tried again
            for stop in stops:
                run.take(stop)
            log_line.info("scored anew", run_id=run_id)

    async def say(self, state: Here, partition: int) -> None:
        """Lets every run of which something new is known be settled; one that is being settled is settled again after that."""
        state.runs.through.clear()  # it was for what lies behind
        state.moved |= state.touched
        for run_id in state.touched - state.busy.keys():
            state.busy[run_id] = asyncio.create_task(self._settling(state, run_id, partition))
        await asyncio.sleep(0)

    def gone(self, state: Here, partition: int) -> None:
        """Ends what is being settled: the partition's new worker does it."""
        log_line.info("gone", partition=partition, runs=len(state.runs.runs))
        for task in state.busy.values():
            task.cancel()

    async def _settling(self, state: Here, run_id: str, partition: int) -> None:
        """Settles a run until nothing new is known of it: also of what is read while that it cannot be settled is being said."""
        try:
            while run_id in state.touched:
                state.touched.discard(run_id)
                if run := state.runs.runs.get(run_id):
                    await self._settled(state, run, partition)
        finally:
            state.busy.pop(run_id, None)

    async def _settled(self, state: Here, run: Run, partition: int) -> None:
        """Settles a run. What cannot be said of it is its own failure, and nobody else's."""
        try:
            await until_available(lambda: self._settle(state, run, partition), what="what a run's results are made from")
        except Exception as error:  # noqa: BLE001  # one run's: it is told, and others go on
            log_line.error("cannot be settled", run_id=run.run_id, error=frames(error))
            if run.run_id in state.runs.runs:
                await self._failed(state, run, error, partition)

    async def _failed(self, state: Here, run: Run, error: Exception, partition: int) -> None:
        """Says that a run has failed; of one that was over, of which not even that can be its result, by a dead letter of its plan."""
        told = f"its results cannot be worked out: {type(error).__name__}: {error}"[:LONGEST_TOLD]
        if not run.over:
            await self._tell(state, run, results.changed(run, "failed", stamp=producer(STAMP), code="cannot-settle", message=told))
        elif run.planned_at is not None:
            plan = self._log.read_span(RUNS, partition=partition, first=run.planned_at, last=run.planned_at)
            async with aclosing(plan) as records:
                await give_up([(record, "cannot-settle", told) async for record in records], log=self._log)
            self._forget(state, run)

    async def _settle(self, state: Here, run: Run, partition: int) -> None:
        """Says what is final of a run, and forgets it where nothing more is to come."""
        if run.plan is None:
            if run.over:
                self._forget(state, run)  # it was never planned
            return
        said, through = state.said.setdefault(run.run_id, Said()), self._through(partition)
        # Of one that is scored anew all tasks are said, or none: else a board would have some by either scorer.
        for planned in run.plan.tasks if run.before is None or run.complete else ():
            await self._where_it_can(run, said, planned.task, partial(self._score, run, planned.task, said))
        await self._where_it_can(run, said, None, partial(self._summarise, run, said))
        if run.complete:
            await self._tell(state, run, results.changed(run, "completed", stamp=producer(STAMP)))
        if not run.over or (run.state == "completed" and not run.complete):
            return
        if run.final and await unread.awaited(self._log, run, partition=partition, read=self.next_of(partition)):
            return
        # What was folded while figures were worked out is taken in first: a final result is said once.
        if run.run_id not in state.touched:
            await self._result(state, run, said, through=through)

    async def _where_it_can(self, run: Run, said: Said, task: str | None, say: Callable[[], Awaitable[None]]) -> None:
        """Says a part of what a run comes to. Of one that is over what breaks is left out. Raises: what keeps any other from its end."""
        version: str | None = None
        try:
            version = found[0] if task and (found := run.complete_scores(task)) else None
            if (task, version) not in said.broken:
                await say()
        except Temporary:
            raise
        except Exception as error:
            if not run.over:
                raise
            log_line.error("left out of its result", run_id=run.run_id, task=task, scorer=version, error=frames(error))
            said.broken[task, version] = results.left_out(task, version, error)

    async def _result(self, state: Here, run: Run, said: Said, *, through: dict[str, int]) -> None:
        """Says what a run that is over has come to, and forgets it where nothing is awaited any more."""
        result = results.settled(
            run, said.scores, said.speed, through=through, stamp=producer(STAMP), missing=list(said.broken.values())
        )  # fmt: skip
        if result.event_id != said.result:
            await self._write(result)
            said.result = result.event_id
        if result.final and run.run_id not in state.touched:
            self._forget(state, run)
            log_line.info("settled", run_id=run.run_id, state=run.state)

    def _forget(self, state: Here, run: Run) -> None:
        state.runs.close(run)
        state.said.pop(run.run_id, None)

    def _through(self, partition: int) -> dict[str, int]:
        return {topic: offset for (topic, _), offset in self.next_of(partition).items()}

    async def _score(self, run: Run, task: str, said: Said) -> None:
        """Says a task's scores, once they are complete, by the newest scorer that has them all.

        One that may stop ends where it is known, also where all of its scores came before anybody looked: the scores alone decide.
        """
        if run.complete_scores(task):
            await self._stop(run, task)
        found, planned = run.complete_scores(task), run.planned(task)
        before = said.scores.get(task)
        if found is None or planned is None or (before and before.scorer_version >= found[0]):
            return
        config_json, scores = await self._builds.config_of(planned.build_id), found[1].taken()
        # Of a long task each of these takes seconds: beside the loop, from what is here now.
        size = run.size(task)
        opened = self._log.vault.parts_of(task, found[0], run_id=run.run_id, organisation_id=run.organisation_id)
        parts, groups = await self._beside(run, partial(gathered, scores, results.means(planned), opened), size=size)
        known = await self._aggregating.all_of(config_json, parts, groups, submitter=run.plan.submitter if run.plan else "")
        work = partial(results.scored, run, task, aggregate=known, stamp=producer(STAMP), taken=(found[0], scores))
        if event := await self._beside(run, work, size=size):
            await self._write(event)
            said.scores[task] = event

    async def _beside(self, run: Run, work: Callable[[], T], *, size: int) -> T:
        """What some work gives over so many samples or requests of a run, in a thread; where that gets nowhere, the process ends.

        Raises: Permanent, where processes did so again and again.
        """
        with self._in_hand(run, size=size):
            return await asyncio.to_thread(work)

    @contextmanager
    def _in_hand(self, run: Run, *, size: int) -> Iterator[None]:
        """While it lasts something of a run is worked out, here or in a thread. Raises: as `_beside`."""
        if self._care.suspects(_what(run), times=TWICE):
            raise Permanent("the processor hung over it again and again", code="settling-hangs")
        with self._care.beside(_what(run), patience=1 + size / PATIENT_EACH, told=False):
            yield

    async def _summarise(self, run: Run, said: Said) -> None:
        """Says the speed of a workload whose measurements are all here. What a long load comes to takes seconds, beside the loop."""
        for job_id, speed in sorted(run.speeds.items()):
            known = (speed.added, run.slo, run.served_elsewhere)
            work = results.summarising(run, job_id, stamp=producer(STAMP)) if known != said.measured.get(job_id) else None
            if work is None:
                continue
            event = await self._beside(run, work, size=run.plan.perf_requests or 0 if run.plan else 0)
            if said.speed is None or said.speed.event_id != event.event_id:
                await self._write(event)
                said.speed = event
            said.measured[job_id] = known

    async def _tell(self, state: Here, run: Run, change: RunChanged) -> None:
        """Says a step, once. It counts when it comes back, for the first in the log does, and others write there too."""
        told = state.said.setdefault(run.run_id, Said()).steps
        if not run.over and change.state not in told:
            await self._write(change)
            told.add(change.state)
            log_line.info(f"run {change.state}", run_id=run.run_id)

    async def _write(self, event: Event) -> None:
        await until_available(lambda: self._log.publish(event), what="kafka")

    async def _stop(self, run: Run, task: str) -> None:
        """Says that a task is known well enough, where it is."""
        with self._in_hand(run, size=run.size(task)):
            stop = results.stopped(run, task, stamp=producer(STAMP))
        if stop:
            await self._write(stop)
            async for said in self._log.of_key(STOPS, run.run_id.encode()):  # another worker's may lie before it
                if isinstance(said.event, TaskStopped):
                    run.take(said.event)
            log_line.info("task stopped", run_id=run.run_id, task=task, samples=stop.samples, planned=stop.planned)

    async def progress(self, states: Callable[[], Iterable[Here]]) -> None:
        """Says once a second where unfinished runs stand, whether a task is known well enough, and that a run is given up; for ever."""
        while True:
            await asyncio.sleep(PROVISIONAL_EVERY_S)
            for state in list(states()):
                for open_run in list(state.runs.runs.values()):
                    await self._give_up(state, open_run)
                    self._ask_again(state, open_run)
                for closed in state.said.keys() - state.runs.runs.keys():  # by another worker's result
                    del state.said[closed]
                moved, state.moved = state.moved, set()
                for run_id in sorted(moved):
                    if run := state.runs.runs.get(run_id):
                        await self._told_progress(state, run)

    async def _give_up(self, state: Here, run: Run) -> None:
        """Says that a run is given up, where it is; what cannot be said of one holds up nobody."""
        try:
            if given_up := results.given_up(run, now_us=now_us(), stamp=producer(STAMP)):
                await self._tell(state, run, given_up)
        except Exception as error:  # noqa: BLE001  # one run's, and others go on
            log_line.error("cannot be given up", run_id=run.run_id, error=frames(error))

    def _ask_again(self, state: Here, run: Run) -> None:
        """Lets the newest scorer be asked for what it lacks of a run, where that is due; or forgets one of which that is vain."""
        said = state.said.setdefault(run.run_id, Said())
        if run.run_id in self._asking or run.run_id in state.busy or not is_due(run, said.waiting, now_s=time.monotonic()):
            return
        if in_vain(run, said.waiting):
            log_line.warning(
                "not scored anew: no scorer of that version answers", run_id=run.run_id, scorers=sorted({v for _, v in run.scores})
            )
            self._forget(state, run)
        else:
            task = self._asking[run.run_id] = asyncio.create_task(self._asked_again(run))
            task.add_done_callback(lambda _: self._asking.pop(run.run_id, None))

    async def _asked_again(self, run: Run) -> None:
        try:
            partition = partition_for(run.run_id.encode(), (await self._log.partitions([RUNS]))[RUNS.name])
            await until_available(partial(ask_again, self._log, run, partition=partition), what="kafka")
        except Exception as error:  # noqa: BLE001  # one run's, and others go on
            log_line.error("the newest scorer cannot be asked", run_id=run.run_id, error=frames(error))

    async def _told_progress(self, state: Here, run: Run) -> None:
        """What cannot be worked out of a run before it is complete holds up nobody: when it is, that is told."""
        try:
            await self._progress(state, run)
        except Exception as error:  # noqa: BLE001  # one run's, and others go on
            log_line.error("no provisional figures", run_id=run.run_id, error=frames(error))

    async def _progress(self, state: Here, run: Run) -> None:
        said = state.said.setdefault(run.run_id, Said())
        for task, version in list(run.scores):
            if said.samples.get((task, version)) == (settled := run.scores[task, version].settled_samples):
                continue
            if time.monotonic() < said.next_s.get(task, 0.0):
                state.moved.add(run.run_id)
                continue
            started = time.monotonic()
            await self._stop(run, task)
            with self._in_hand(run, size=run.size(task)):
                event = results.progressed(run, task, version, stamp=producer(STAMP))
            if event:
                await self._write(event)
            said.samples[task, version] = settled
            ended = time.monotonic()
            said.next_s[task] = ended + SHARE * (ended - started)


def _what(run: Run) -> str:
    return f"settled {run.run_id}"


def _unread(_partition: int) -> Ends:
    return {}


async def main(settings: Settings) -> None:
    """Settles until SIGTERM."""
    async with Log(settings, client_id=STAMP) as log:
        await until_available(lambda: log.create_topics(TOPICS), what="topics")
        with Aggregating(limit_s=settings.aggregate_limit_s) as aggregating:
            settling = Settling(log, aggregating, Care("settle", log, settings))
            shards = Shards(log, settings, worker="settle", fold=settling, tells=by_settler)
            settling.next_of = shards.next_of
            ticking = asyncio.create_task(or_end(settling.progress(shards.states_now), what="provisional scores"))
            await consume_sharded("settle", shards, log=log, settings=settings)
            ticking.cancel()
