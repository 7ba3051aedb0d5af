"""The runs of a partition that are open: the fold that scores, speed, costs and completion are read from.

All that the log says of a run lies in one partition number of its topics. Events may come in any interleaving of those topics, any number
of times. A run that is over and awaits nothing is forgotten (`close`); of it stays only what is needed to recognise what comes again.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Final

from schemas.event import Event, Visibility
from schemas.jobs import EngineUsed, Job, JobChanged, JobPlanned
from schemas.measurements import RequestTimed, ResourceRead, TokensTimed
from schemas.requests import CancellationRequested, Objective
from schemas.results import SampleNotScored, SampleScored, TaskStopped
from schemas.runs import Plan, PlannedTask, RunChanged, RunState
from schemas.settled import RunSettled
from streams.engines import is_elsewhere
from streams.planning import is_perf, run_of
from streams.quality import stopping
from streams.quality.scores import TaskScores, settled_by
from streams.queue.bits import count, union
from streams.runs import PASSED, TERMINAL, step
from streams.settling.attempts import unfolded
from streams.settling.closed import Closed, Through
from streams.settling.used import Used
from streams.speed.performance import Speed
from streams.speed.usage import Asked, asked_of
from streams.topics import (
    CANCELLATIONS,
    JOB_STATUS,
    JOBS_PLANNED,
    NOT_SCORED,
    REQUEST_TIMINGS,
    RESOURCES,
    RESULTS,
    RUNS,
    SCORES,
    STOPS,
    TOKEN_TIMINGS,
)
from streams.trust.privacy import told

# What an open run is folded from. All lie by the run, so that one worker has all of a run's.
INPUTS: Final = (RUNS, STOPS, CANCELLATIONS, JOBS_PLANNED, JOB_STATUS, SCORES, NOT_SCORED, REQUEST_TIMINGS, TOKEN_TIMINGS, RESOURCES)
OfRun = (
    RunChanged | SampleScored | SampleNotScored | RequestTimed | TokensTimed | JobChanged | JobPlanned | TaskStopped | CancellationRequested
)


@dataclass(slots=True)
class Finished:
    """The first attempt of a job that has finished, and what it ran on."""

    attempt: int
    engine: EngineUsed | None
    environment_sha: str | None


@dataclass(slots=True)
class Run:
    """What is known of one run. `scores` is by task and scorer version (`versions`: each of these), `stops` by task: those that are known
    well enough.

    `planned_at` is the offset of its plan; `asked` that somebody wants it to stop; `answered` the samples of each job that its agents say
    to have answered, a bitset; `lengths` how long its load's answers were to be; `heard` the steps that were told of it. `before` is its
    last result, where it is scored anew. `lacks`: of what was said of it something could not be taken in, so that what is here may never
    be all.
    """

    run_id: str
    organisation_id: str = "local"
    visibility: Visibility = "organisation"
    plan: Plan | None = None
    planned_at: int | None = None
    state: RunState | None = None
    heard: set[RunState] = field(default_factory=set)
    changed_us: int = 0
    scores: dict[tuple[str, str], TaskScores] = field(default_factory=dict)
    speeds: dict[str, Speed] = field(default_factory=dict)
    finished: dict[str, Finished] = field(default_factory=dict)
    answered: dict[str, bytes] = field(default_factory=dict)
    served_elsewhere: bool = False
    slo: Objective | None = None
    lengths: Asked | None = None
    deadline_us: int | None = None
    asked: CancellationRequested | None = None
    used: Used = field(default_factory=Used)
    stops: dict[str, TaskStopped] = field(default_factory=dict)
    before: RunSettled | None = None
    lacks: bool = False
    versions: set[str] = field(default_factory=set)
    by_task: dict[str, PlannedTask] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Nothing changes its state any more."""
        return self.state in TERMINAL

    def expected(self, task: str) -> int | None:
        """Samples that the task will have, repeats included; None where the plan is not known yet."""
        planned = self.planned(task)
        if planned is None:
            return None
        return self.stops[task].samples if task in self.stops else planned.samples * planned.repeats

    def planned(self, task: str) -> PlannedTask | None:
        """The task as planned."""
        if self.plan and not self.by_task:
            self.by_task = {one.task: one for one in reversed(self.plan.tasks)}
        return self.by_task.get(task)

    def size(self, task: str) -> int:
        """How many samples the task has, repeats and all, wherever it stops."""
        planned = self.planned(task)
        return planned.samples * planned.repeats if planned else 0

    def complete_scores(self, task: str) -> tuple[str, TaskScores] | None:
        """The task's complete scores under the newest scorer version that has them."""
        return next(iter(self.each_complete(task)), None)

    def each_complete(self, task: str) -> list[tuple[str, TaskScores]]:
        """The task's complete scores under every scorer version that has them, the newest first."""
        if (expected := self.expected(task)) is None:
            return []
        # What counts of a task that may stop is found in seconds for a long one: not while even all of it is too little.
        known = [(version, scores) for version in self.versions if (scores := self.scores.get((task, version)))]
        enough = [(version, scores) for version, scores in known if scores.complete(expected)]
        done = [(version, counting) for version, scores in enough if (counting := self.counting(task, scores)).complete(expected)]
        return sorted(done, key=lambda found: found[0], reverse=True)

    def each_standing(self, task: str) -> list[tuple[str, TaskScores]]:
        """Of the task's complete scores those that its run may stand with, the newest first: of one scored anew in part the old.

        A newer scorer's count where it has every task, or where a task has no others: the run completed with them.
        """
        found = self.each_complete(task)
        if self.plan is None or len({version for _, version in self.scores}) < 2:
            return found
        oldest = min((known[0] for one in self.plan.tasks if (known := self.complete_scores(one.task))), default="")
        return [one for one in found if one[0] <= oldest] or found

    def counting(self, task: str, scores: TaskScores) -> TaskScores:
        """The scores that count: of a task that may stop early those of the stretch of its order that is whole, up to where it stops."""
        return scores.of(frozenset(self.stretch(task, scores))) if self.stretches(task) else scores

    def stretches(self, task: str) -> bool:
        """The task may stop early."""
        planned = self.planned(task)
        return planned is not None and planned.stopping is not None

    def stretch(self, task: str, scores: TaskScores) -> tuple[int, ...]:
        """The ordinals that count, of a task that may stop early."""
        planned = self.planned(task)
        assert planned is not None
        if task in self.stops:
            return stopping.order(planned.build_id, planned.samples)[: self.stops[task].samples // planned.repeats]
        return stopping.stretch(scores, planned)

    @property
    def complete(self) -> bool:
        """All that was planned is scored and measured."""
        if self.plan is None:
            return False
        perf_jobs = 1 if self.plan.perf_requests is not None else 0
        measured = sum(1 for speed in self.speeds.values() if speed.complete) or (1 if self.before else 0)
        return measured >= perf_jobs and all(self.complete_scores(planned.task) for planned in self.plan.tasks)

    @property
    def final(self) -> bool:
        """It is over, and nothing more is awaited of it: no attempt may report any more, and all that was answered and read is here.

        Of one that lacks something nobody knows what is all.
        """
        if not self.over or self.used.open or (self.used.awaited and not self.lacks):
            return False
        return self.plan is None or self.lacks or self.settled_samples >= sum(map(count, self.answered.values()))

    @property
    def settled_samples(self) -> int:
        """How many samples are scored, or cannot be, by whatever scorer: two may share a task."""
        tasks = dict[str, list[TaskScores]]()
        for (task, _), scores in self.scores.items():
            tasks.setdefault(task, []).append(scores)
        return sum(one[0].settled_samples if len(one) == 1 else len(settled_by(one)) for one in tasks.values())

    def take(self, event: "OfRun") -> None:
        """Folds an event of its own in."""
        _tell(self, event, None)

    @property
    def latest_us(self) -> int:
        """The time of its latest input."""
        times = [scores.latest_us for scores in self.scores.values()] + [speed.latest_us for speed in self.speeds.values()]
        return max([self.changed_us, self.used.latest_us, *times])

    @property
    def engine(self) -> EngineUsed | None:
        """The engine that it ran on: that of its first job, by name, whichever was reported first."""
        return next((one.engine for _, one in sorted(self.finished.items()) if one.engine), None)

    @property
    def environment_sha(self) -> str | None:
        """The environment of its first job, by name."""
        return next((one.environment_sha for _, one in sorted(self.finished.items()) if one.environment_sha), None)

    @property
    def environments(self) -> tuple[str, ...]:
        """Every environment that a job of it has finished in."""
        return tuple(sorted({one.environment_sha for one in self.finished.values() if one.environment_sha}))


@dataclass(slots=True)
class OpenRuns:
    """The open runs of a partition, and which were closed. `through`: of those that were found closed, what their results know."""

    runs: dict[str, Run] = field(default_factory=dict)
    closed: Closed = field(default_factory=Closed)
    through: Through = field(default_factory=partial(Through, tuple(topic.name for topic in INPUTS)))

    def run(self, run_id: str) -> Run:
        """The run of that id."""
        if run_id not in self.runs:
            self.runs[run_id] = Run(run_id)
        return self.runs[run_id]

    def fold(self, event: Event, *, offset: int | None = None) -> frozenset[str]:
        """Folds an event in; returns the runs that it says something about. What is said of a closed run again changes nothing."""
        match event:
            case RunSettled():
                self._settled(event)
            case ResourceRead():
                return self._read(event)
            case (
                RunChanged()
                | SampleScored()
                | SampleNotScored()
                | RequestTimed()
                | TokensTimed()
                | JobChanged()
                | JobPlanned()
                | TaskStopped()
                | CancellationRequested()
            ):
                if event.run_id not in self.closed:
                    _tell(self.run(event.run_id), event, offset)
                    return frozenset({event.run_id})
        return frozenset()

    def reopens(self, event: Event) -> int | None:
        """The offset of the plan of a closed run that this event scores by a newer scorer; None for any other event."""
        if not isinstance(event, (SampleScored, SampleNotScored)) or (known := self.closed.get(event.run_id)) is None:
            return None
        planned_at, versions = known
        return planned_at if event.scorer_version > max(versions, default="") else None

    def reopen(self, planned: RunChanged, *, offset: int, before: RunSettled | None) -> Run:
        """Opens a completed run again, for it is scored anew: all but its scores stands as in its result before. Raises: Invalid."""
        before = before and unfolded(before)
        self.closed.drop(planned.run_id)
        run = self.run(planned.run_id)
        _tell(run, planned, offset)
        run.state, run.before = "completed", before
        run.changed_us = before.changed_us if before else run.changed_us
        return run

    def close(self, run: Run) -> None:
        """Forgets a run of which all is said."""
        self.runs.pop(run.run_id, None)  # its result may have come back meanwhile
        # Only what was completed can be scored anew; a newer scorer that has begun is asked for all of it then.
        planned_at = run.planned_at if run.state == "completed" else None
        scored = run.scores.items() if run.complete else ()
        whole = {version for (task, version), scores in scored if scores.complete(run.expected(task) or 0)}
        self.closed.put(run.run_id, planned_at, frozenset(whole) | (run.before.scorers if run.before else frozenset()))

    def _settled(self, event: RunSettled) -> None:
        """A result that was said: a run of which nothing is awaited is closed, unless a newer scorer has come since."""
        versions, known = event.scorers, self.runs.get(event.run_id)
        if event.final and not (known and any(version > max(versions, default="") for _, version in known.scores)):
            self.runs.pop(event.run_id, None)
            self.closed.put(event.run_id, event.planned_at if event.state == "completed" else None, versions)
            self.through.put(event.run_id, event.through)

    def _read(self, reading: ResourceRead) -> frozenset[str]:
        """A reading belongs to every job that was active, all of the run whose events it lies by: a job id begins with its run's."""
        run_id = run_of(reading.jobs_active[0]) if reading.jobs_active else None
        if run_id is None or run_id in self.closed:
            return frozenset()
        run = self.run(run_id)
        run.used.read(reading)
        for job_id in filter(is_perf, reading.jobs_active):
            run.speeds.setdefault(job_id, Speed(job_id)).add(reading)
        return frozenset({run_id})


def _tell(run: Run, event: OfRun, offset: int | None) -> None:
    match event:
        case RunChanged():
            _change(run, event, offset)
        case SampleScored() | SampleNotScored():
            run.scores.setdefault((event.task, event.scorer_version), TaskScores()).add(event)
            run.versions.add(event.scorer_version)
        case RequestTimed() | TokensTimed():
            run.speeds.setdefault(event.job_id, Speed(event.job_id)).add(event)
        case JobPlanned():
            _plan(run, event.job)
        case TaskStopped():
            run.stops.setdefault(event.task, event)
        case CancellationRequested():
            run.asked = run.asked or event
        case JobChanged():
            _report(run, event)


def _plan(run: Run, job: Job) -> None:
    run.deadline_us, run.slo = job.budget.deadline_us, run.slo or job.slo
    run.served_elsewhere |= is_elsewhere(job.engine.name)
    if job.workload is not None:
        run.served_elsewhere |= job.workload.url is not None
        run.lengths = run.lengths or asked_of(job.workload)


def _report(run: Run, event: JobChanged) -> None:
    run.used.report(event)
    if not is_perf(event.job_id):
        run.answered[event.job_id] = union(run.answered.get(event.job_id, b""), event.done)
    if event.state == "finished":
        known = run.finished.get(event.job_id)
        if known is None or event.attempt < known.attempt:
            run.finished[event.job_id] = Finished(event.attempt, event.engine, event.environment_sha)
        if is_perf(event.job_id):
            run.speeds.setdefault(event.job_id, Speed(event.job_id)).add(event)


def _change(run: Run, change: RunChanged, offset: int | None) -> None:
    run.lacks |= change.reason_code == PASSED
    if change.state not in run.heard:
        run.state = step(run.state, change.state)
    run.heard.add(change.state)
    if run.state == change.state:
        run.changed_us = max(run.changed_us, change.occurred_us)
    if change.plan and run.plan is None:
        # Rankings tell how prompts were dressed.
        run.plan, run.organisation_id, run.planned_at = told(change).plan, change.organisation_id, offset
        run.visibility = change.visibility


__all__ = ["INPUTS", "RESULTS", "Finished", "OpenRuns", "Run"]
