"""What runs have used: agents' time, metered energy, tokens, right answers. The fold that costs are read from.

It takes events in any interleaving of partitions, any number of times. Of an attempt counts the time from its first report to its last
(`JobChanged`, on its agent's clock): one that was cut off counts up to its last report, one that failed has occupied its agent too.
Energy is what an agent's counters grew by while a job was active on it.
"""

from dataclasses import dataclass, field
from typing import Final

from schemas.event import Event
from schemas.jobs import EnvironmentSeen, JobChanged, JobPlanned
from schemas.measurements import ResourceRead
from schemas.results import PerformanceSummarised, PricePublished, RunScored
from schemas.runs import Plan, RunChanged, RunState
from streams.money.prices import PriceBook
from streams.planning import run_of
from streams.runs import TERMINAL, step
from streams.speed.performance import GRADES

# Ten times what lies between two readings of a meter: a longer gap was no work of the job's.
LONGEST_GAP_NS: Final = 5 * 10**9
Where = tuple[str, str]  # job, agent
Counter = tuple[str, str, str, str | None]  # agent, boot, sensor, device


@dataclass(slots=True)
class Attempt:
    """An attempt of a job on an agent, from its first report to its last."""

    first_us: int
    last_us: int
    environment_sha: str | None
    finished: bool


@dataclass(slots=True)
class Energy:
    """What counters grew by while a job was active, in µJ, and the grade of the least good of them."""

    uj: int
    grade: str


@dataclass(slots=True)
class Spending:
    """What is known of one run."""

    run_id: str
    organisation_id: str = "local"
    plan: Plan | None = None
    state: RunState | None = None
    latest_us: int = 0
    served_elsewhere: bool = False
    attempts: dict[tuple[str, str, int], Attempt] = field(default_factory=dict)  # job, agent, attempt
    energy: dict[Where, Energy] = field(default_factory=dict)
    scores: dict[tuple[str, str], RunScored] = field(default_factory=dict)  # task, scorer version
    speeds: dict[str, PerformanceSummarised] = field(default_factory=dict)  # formula version

    @property
    def whole(self) -> bool:
        """Nothing is awaited: the run is over, and of a completed one all scores and its speed are here."""
        if self.plan is None or self.state not in TERMINAL or not self.attempts:
            return False
        if self.state != "completed":
            return True
        measured = self.plan.perf_requests is None or self.speed is not None
        return measured and all(self.scored(planned.task) for planned in self.plan.tasks)

    @property
    def speed(self) -> PerformanceSummarised | None:
        """The speed by the newest formula."""
        return max(self.speeds.values(), key=lambda speed: speed.formula_version, default=None)

    def scored(self, task: str) -> RunScored | None:
        """A task's scores by the newest scorer."""
        found = [scored for (name, _), scored in self.scores.items() if name == task]
        return max(found, key=lambda scored: scored.scorer_version, default=None)

    @property
    def began_us(self) -> int:
        """When the first attempt began: the time whose prices hold for the whole run."""
        return min(attempt.first_us for attempt in self.attempts.values())


class Ledger:
    """What every run has used, the environments, and the price book."""

    def __init__(self) -> None:
        self.runs: dict[str, Spending] = {}
        self.environments: dict[str, EnvironmentSeen] = {}
        self.book = PriceBook()
        self._read: dict[Counter, ResourceRead] = {}

    def run(self, run_id: str) -> Spending:
        """The run of that id."""
        return self.runs.setdefault(run_id, Spending(run_id))

    def fold(self, event: Event) -> frozenset[str]:
        """Folds an event in; returns the runs that it may say something about. Raises: Invalid for a price that cannot be."""
        match event:
            case PricePublished():
                self.book.fold(event)
                return frozenset(self.runs)
            case EnvironmentSeen() if event.sha not in self.environments:
                self.environments[event.sha] = event
                return frozenset(self.runs)
            case ResourceRead():
                return self._meter(event)
            case RunChanged() | JobPlanned() | JobChanged() | RunScored() | PerformanceSummarised():
                _tell(self.run(event.run_id), event)
                return frozenset({event.run_id})
        return frozenset()

    def _meter(self, reading: ResourceRead) -> frozenset[str]:
        """A counter's growth since its reading before goes to every job that was active at both; what is not newer came again."""
        if reading.energy_uj is None or reading.sensor not in GRADES:
            return frozenset()
        counter = (reading.agent_id, reading.boot_id, reading.sensor, reading.device_uuid)
        before = self._read.get(counter)
        if before is None or reading.mono_ns > before.mono_ns:
            self._read[counter] = reading
            if before and (grown_uj := _grown_uj(before, reading)) is not None:
                for job_id in set(before.jobs_active) & set(reading.jobs_active):
                    self._add(job_id, reading, grown_uj=grown_uj)
        return frozenset(run_of(job_id) for job_id in reading.jobs_active)

    def _add(self, job_id: str, reading: ResourceRead, *, grown_uj: int) -> None:
        run, where, grade = self.run(run_of(job_id)), (job_id, reading.agent_id), GRADES[reading.sensor]
        known = run.energy.get(where, Energy(0, grade))
        run.energy[where] = Energy(known.uj + grown_uj, max(known.grade, grade))
        run.latest_us = max(run.latest_us, reading.occurred_us)


def _grown_uj(before: ResourceRead, reading: ResourceRead) -> int | None:
    """What a counter grew by between two readings; None where it began anew, or nobody read it for long."""
    grown_uj = (reading.energy_uj or 0) - (before.energy_uj or 0)
    return grown_uj if grown_uj >= 0 and reading.mono_ns - before.mono_ns <= LONGEST_GAP_NS else None


def _tell(run: Spending, event: RunChanged | JobPlanned | JobChanged | RunScored | PerformanceSummarised) -> None:
    match event:
        case RunChanged():
            run.state = step(run.state, event.state)
            if event.plan and run.plan is None:
                run.plan, run.organisation_id = event.plan, event.organisation_id
        case JobPlanned():
            run.served_elsewhere |= event.job.workload is not None and event.job.workload.url is not None
        case JobChanged() if event.agent_id:  # without one the dispatcher says that a job is given up
            _occupy(run, event)
        case RunScored() if event.complete:
            run.scores.setdefault((event.task, event.scorer_version), event)
        case PerformanceSummarised() if event.complete:
            run.speeds.setdefault(event.formula_version, event)
    run.latest_us = max(run.latest_us, event.occurred_us)


def _occupy(run: Spending, event: JobChanged) -> None:
    at, finished = event.occurred_us, event.state == "finished"
    known = run.attempts.setdefault((event.job_id, event.agent_id, event.attempt), Attempt(at, at, event.environment_sha, finished))
    known.first_us, known.last_us = min(known.first_us, at), max(known.last_us, at)
    known.environment_sha, known.finished = known.environment_sha or event.environment_sha, known.finished or finished
