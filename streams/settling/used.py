"""What a run has used: the time of its attempts, and what meters counted while they ran.

Of an attempt counts the time from its first report to its last (`JobChanged`, on its agent's clock): one that was cut off counts up to its
last report, one that failed has occupied its agent too. Energy is what an agent's counters grew by between two readings at both of which
the attempt was active; readings of another attempt, of the same job too, say nothing of it.
"""

from dataclasses import dataclass, field
from typing import Final

from schemas.jobs import JobChanged
from schemas.measurements import ResourceRead
from schemas.settled import AttemptUsed
from streams.speed.counters import grown_uj
from streams.speed.energy import GRADES

ENDED: Final = frozenset({"finished", "failed", "cancelled"})
Which = tuple[str, str, int]  # job, agent, attempt
Sensor = tuple[str, str, str]  # boot, sensor, device


@dataclass(slots=True)
class Counter:
    """A counter's last reading, and what it grew by since its first one, in µJ."""

    mono_ns: int
    uj: int
    grown_uj: int = 0


@dataclass(slots=True)
class Attempt:
    """An attempt of a job on an agent."""

    first_us: int
    last_us: int
    environment_sha: str | None = None
    finished: bool = False
    ended: bool = False


@dataclass(slots=True)
class Used:
    """The attempts of a run, and its meters' counters. Reports of an attempt share a partition, readings too: each kind comes in order."""

    attempts: dict[Which, Attempt] = field(default_factory=dict)
    counters: dict[Which, dict[Sensor, Counter]] = field(default_factory=dict)
    given_up: set[str] = field(default_factory=set)
    latest_us: int = 0

    def report(self, event: JobChanged) -> None:
        """Folds a report in; without an agent it is the dispatcher's, that a job is given up: nobody reports of it any more."""
        if not event.agent_id:
            self.given_up.add(event.job_id)
            return
        at, which = event.occurred_us, (event.job_id, event.agent_id, event.attempt)
        known = self.attempts.setdefault(which, Attempt(at, at))
        known.first_us, known.last_us = min(known.first_us, at), max(known.last_us, at)
        known.environment_sha = known.environment_sha or event.environment_sha
        known.finished = known.finished or event.state == "finished"
        known.ended = known.ended or event.state in ENDED
        self.latest_us = max(self.latest_us, at)

    def read(self, event: ResourceRead) -> None:
        """Folds a reading of a counter in; one that is not newer came again."""
        if event.energy_uj is None or event.sensor not in GRADES:
            return
        sensor = (event.boot_id, event.sensor, event.device_uuid or "")
        for job_id, attempt in zip(event.jobs_active, event.attempts or (1,) * len(event.jobs_active), strict=False):
            counters = self.counters.setdefault((job_id, event.agent_id, attempt), {})
            known = counters.setdefault(sensor, Counter(event.mono_ns, event.energy_uj))
            if event.mono_ns <= known.mono_ns:
                continue
            # What is not known, over a gap or a setting back, was no work of the job's that could be told.
            known.grown_uj += grown_uj((known.mono_ns, known.uj), (event.mono_ns, event.energy_uj), range_uj=event.energy_range_uj) or 0
            known.mono_ns, known.uj = event.mono_ns, event.energy_uj
            self.latest_us = max(self.latest_us, event.occurred_us)

    @property
    def open(self) -> bool:
        """An attempt may still report: it has not ended, its job has no later one, and is not given up."""
        newest: dict[str, int] = {}
        for job_id, _, attempt in self.attempts:
            newest[job_id] = max(attempt, newest.get(job_id, 0))
        running = {job_id for (job_id, _, attempt), one in self.attempts.items() if not one.ended and attempt == newest[job_id]}
        return bool(running - self.given_up)

    def told(self) -> tuple[AttemptUsed, ...]:
        """The attempts as they are said, in the order of job, attempt and agent."""
        return tuple(self._told(which) for which in sorted(self.attempts, key=lambda which: (which[0], which[2], which[1])))

    def _told(self, which: Which) -> AttemptUsed:
        attempt, counters = self.attempts[which], self.counters.get(which, {})
        # What was read once has counted nothing yet.
        return AttemptUsed(
            job_id=which[0], agent_id=which[1], attempt=which[2], first_us=attempt.first_us, last_us=attempt.last_us,
            environment_sha=attempt.environment_sha, finished=attempt.finished,
            energy_uj=sum(counter.grown_uj for counter in counters.values()) if counters else None,
            energy_grade=max((GRADES[sensor] for _, sensor, _ in counters), default=None),
        )  # fmt: skip
