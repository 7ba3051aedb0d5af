"""What all runs have come to: the fold that run scores, performance, completion and rankings are read from.

It takes events in any interleaving of partitions, any number of times.
"""

from dataclasses import dataclass, field

from schemas.builds import TaskBuilt
from schemas.event import Event
from schemas.jobs import EngineUsed, EnvironmentSeen, JobChanged
from schemas.measurements import RequestTimed, ResourceRead, TokensTimed
from schemas.results import SampleNotScored, SampleScored, TaskStopped
from schemas.runs import Plan, PlannedTask, RunChanged, RunState
from streams.planning import is_perf, run_of
from streams.quality import stopping
from streams.quality.scores import TaskScores
from streams.runs import TERMINAL, step
from streams.speed.performance import Speed
from streams.trust.privacy import told


@dataclass(slots=True)
class Run:
    """What is known of one run. `scores` is by task and scorer version, `stops` by task: those that are known well enough."""

    run_id: str
    organisation_id: str = "local"
    plan: Plan | None = None
    state: RunState | None = None
    changed_us: int = 0
    scores: dict[tuple[str, str], TaskScores] = field(default_factory=dict)
    speeds: dict[str, Speed] = field(default_factory=dict)
    engine: EngineUsed | None = None
    environment_sha: str | None = None
    stops: dict[str, TaskStopped] = field(default_factory=dict)

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
        return self.plan.planned(task) if self.plan else None

    def complete_scores(self, task: str) -> tuple[str, TaskScores] | None:
        """The task's complete scores under the newest scorer version that has them."""
        expected = self.expected(task)
        done = [(version, self.counting(task, scores)) for (name, version), scores in self.scores.items() if name == task]
        done = [(version, scores) for version, scores in done if expected is not None and scores.complete(expected)]
        return max(done, key=lambda found: found[0], default=None)

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
        measured = sum(1 for speed in self.speeds.values() if speed.complete)
        return measured >= perf_jobs and all(self.complete_scores(planned.task) for planned in self.plan.tasks)

    @property
    def latest_us(self) -> int:
        """The time of its latest input."""
        times = [scores.latest_us for scores in self.scores.values()] + [speed.latest_us for speed in self.speeds.values()]
        return max([self.changed_us, *times])


class Results:
    """Every run, and what runs refer to."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.builds: dict[str, TaskBuilt] = {}
        self.environments: dict[str, EnvironmentSeen] = {}

    def run(self, run_id: str) -> Run:
        """The run of that id."""
        return self.runs.setdefault(run_id, Run(run_id))

    def fold(self, event: Event) -> frozenset[str]:
        """Folds an event in; returns the runs that it says something about."""
        match event:
            case TaskBuilt():
                self.builds.setdefault(event.build_id, event)
            case EnvironmentSeen():
                self.environments.setdefault(event.sha, event)
            case ResourceRead():
                return self._read(event)
            case TaskStopped():
                self.run(event.run_id).stops.setdefault(event.task, event)
                return frozenset({event.run_id})
            case RunChanged() | SampleScored() | SampleNotScored() | RequestTimed() | TokensTimed() | JobChanged():
                self._tell(self.run(event.run_id), event)
                return frozenset({event.run_id})
        return frozenset()

    def _read(self, reading: ResourceRead) -> frozenset[str]:
        """A reading belongs to every workload job that was active; a job id begins with its run's."""
        touched = set()
        for job_id in reading.jobs_active:
            run_id = run_of(job_id)
            if is_perf(job_id):
                self.run(run_id).speeds.setdefault(job_id, Speed()).add(reading)
                touched.add(run_id)
        return frozenset(touched)

    @staticmethod
    def _tell(run: Run, event: RunChanged | SampleScored | SampleNotScored | RequestTimed | TokensTimed | JobChanged) -> None:
        match event:
            case RunChanged():
                _change(run, event)
            case SampleScored() | SampleNotScored():
                run.scores.setdefault((event.task, event.scorer_version), TaskScores()).add(event)
            case RequestTimed() | TokensTimed():
                run.speeds.setdefault(event.job_id, Speed()).add(event)
            case JobChanged(state="finished"):
                run.engine, run.environment_sha = event.engine or run.engine, event.environment_sha or run.environment_sha
                if is_perf(event.job_id):
                    run.speeds.setdefault(event.job_id, Speed()).add(event)


def _change(run: Run, change: RunChanged) -> None:
    run.state = step(run.state, change.state)
    if run.state == change.state:
        run.changed_us = max(run.changed_us, change.occurred_us)
    if change.plan and run.plan is None:
        # Rankings tell how prompts were dressed.
        run.plan, run.organisation_id = told(change).plan, change.organisation_id
