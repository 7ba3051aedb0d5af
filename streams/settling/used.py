"""What a run has used: the time of its attempts, and what meters counted while they ran.

Of an attempt counts the time from its first report to its last (`JobChanged`, on its agent's clock): one that was cut off counts up to its
last report, one that failed has occupied its agent too. Energy is what an agent's chips took between two readings at both of which the
attempt was active, by their counters, or by their power over time (the trapezoidal rule); readings of another attempt, of the same job too,
say nothing of it. What the whole machine took is no part of it: the chips' energy is in that.
"""

from copy import copy
from dataclasses import dataclass, field
from typing import Final

from schemas.jobs import JobChanged
from schemas.measurements import ResourceRead
from schemas.settled import AttemptUsed
from streams.speed.counters import grown_uj, integrated_uj
from streams.speed.sensors import SENSORS, micro_watts, together

ENDED: Final = frozenset({"finished", "failed", "cancelled"})
Which = tuple[str, str, int]  # job, agent, attempt
Sensor = tuple[str, str, str]  # boot, sensor, device
Source = tuple[str, str, str, str]  # boot, scope, sensor, device


@dataclass(slots=True)
class Counter:
    """A meter's last reading, µJ of a counter or µW of one of power, and the µJ that its device took since its first one."""

    mono_ns: int
    shown: int
    grown_uj: int = 0


@dataclass(slots=True)
class Attempt:
    """An attempt of a job on an agent. `readings`: how many it says to have published, once it has ended."""

    first_us: int
    last_us: int
    environment_sha: str | None = None
    finished: bool = False
    ended: bool = False
    readings: int = 0


@dataclass(slots=True)
class Came:
    """How many readings of a source came, and when the newest was taken."""

    mono_ns: int
    count: int = 1


@dataclass(slots=True)
class Used:
    """The attempts of a run, and its meters' counters. Reports of an attempt share a partition, readings too: each kind comes in order."""

    attempts: dict[Which, Attempt] = field(default_factory=dict)
    counters: dict[Which, dict[Sensor, Counter]] = field(default_factory=dict)
    given_up: set[str] = field(default_factory=set)
    latest_us: int = 0
    came: dict[Which, dict[Source, Came]] = field(default_factory=dict)

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
        if event.state in ENDED:
            known.ended, known.readings = True, max(known.readings, event.counts.get("readings", 0))
        self.latest_us = max(self.latest_us, at)

    def read(self, event: ResourceRead) -> None:
        """Folds a reading in; one that is not newer came again."""
        for job_id, attempt in zip(event.jobs_active, event.attempts or (1,) * len(event.jobs_active), strict=False):
            which, source = (job_id, event.agent_id, attempt), (event.boot_id, event.scope, event.sensor, event.device_uuid or "")
            came = self.came.setdefault(which, {})
            if (known := came.get(source)) is None:
                came[source] = Came(event.mono_ns)
            elif event.mono_ns > known.mono_ns:
                known.mono_ns, known.count = event.mono_ns, known.count + 1
            self._count(which, event)

    def _count(self, which: Which, event: ResourceRead) -> None:
        """Folds in a reading of a meter that tells energy, or power."""
        known = SENSORS.get(event.sensor)
        counts = event.energy_uj is not None
        shown = event.energy_uj if event.energy_uj is not None else micro_watts(event.power_w)
        if known is None or known.boundary == "host" or shown is None:
            return
        sensor = (event.boot_id, event.sensor, event.device_uuid or "")
        counters = self.counters.setdefault(which, {})
        meter = counters.setdefault(sensor, Counter(event.mono_ns, shown))
        if event.mono_ns <= meter.mono_ns:
            return
        before, after = (meter.mono_ns, meter.shown), (event.mono_ns, shown)
        grown = grown_uj(before, after, range_uj=event.energy_range_uj) if counts else integrated_uj(before, after)
        # What is not known, over a gap or a setting back, was no work of the job's that could be told.
        meter.grown_uj += grown or 0
        meter.mono_ns, meter.shown = after
        self.latest_us = max(self.latest_us, event.occurred_us)

    def pictured(self) -> "Used":
        """What is known now; what comes later changes nothing of it."""
        return Used(
            {which: copy(one) for which, one in self.attempts.items()},
            {which: {sensor: copy(one) for sensor, one in counters.items()} for which, counters in self.counters.items()},
            set(self.given_up), self.latest_us,
            {which: {source: copy(one) for source, one in came.items()} for which, came in self.came.items()},
        )  # fmt: skip

    @property
    def open(self) -> bool:
        """An attempt may still report: it has not ended, its job has no later one, and is not given up."""
        newest: dict[str, int] = {}
        for job_id, _, attempt in self.attempts:
            newest[job_id] = max(attempt, newest.get(job_id, 0))
        running = {job_id for (job_id, _, attempt), one in self.attempts.items() if not one.ended and attempt == newest[job_id]}
        return bool(running - self.given_up)

    @property
    def awaited(self) -> bool:
        """Readings of an attempt that has ended are not all here, for they come by another topic: what it used is not known yet."""
        return any(
            sum(one.count for one in self.came.get(which, {}).values()) < attempt.readings for which, attempt in self.attempts.items()
        )

    @property
    def cut_off(self) -> bool:
        """Of an attempt nobody says how many readings it has: it has not ended by itself."""
        return any(not attempt.ended for attempt in self.attempts.values())

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
            energy_grade=together(SENSORS[sensor] for _, sensor, _ in counters),
        )  # fmt: skip
