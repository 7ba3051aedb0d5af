"""Leases of one pool: a fold over plans, releases, reports and heartbeats, and the decisions that follow from it.

A job's attempt is leased to one incarnation of one agent. The lease lasts as long as that incarnation's heartbeats name the
attempt; who stays silent has lost it, and the job is released again as the next attempt, with the samples that are already done.
A dispatcher's *term* is the offset of its `DispatcherTook`; it writes a mark of its term into every partition of the job topic, and
a release that lies behind a mark of a higher term is void, for agents and dispatchers alike. Hence two dispatchers never both act.

The fold takes events in any interleaving of partitions, any number of times: plans and releases are kept by id (the first
counts), reports by attempt, samples done as a union. Only the clocks (`seen_us`, `confirmed_us`) depend on when it was told.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from schemas.event import Event
from schemas.jobs import AgentBeat, Job, JobChanged, JobError, JobPlanned, JobReleased
from schemas.requests import CancellationRequested
from schemas.runs import RunChanged
from streams.bits import union
from streams.queueing import Waiting, assign, waits_for
from streams.runs import TERMINAL

ENDED = frozenset({"finished", "failed", "cancelled"})
FIRST_PAUSE_US = 500_000
LONGEST_PAUSE_US = 30_000_000


@dataclass(slots=True)
class Lease:
    """One attempt of a job: to whom it was given, and how it ended (None: it has not)."""

    attempt: int
    term: int
    agent_id: str
    incarnation: int
    confirmed_us: int
    ended: str | None = None
    error: JobError | None = None
    ended_us: int = 0
    cancelled: bool = False


@dataclass(slots=True)
class Entry:
    """All that is known of a job. `age` is its place in the order of planning."""

    job_id: str
    job: Job | None = None
    age: int = 0
    leases: dict[int, Lease] = field(default_factory=dict)
    done: bytes = b""
    over: Literal["finished", "failed"] | None = None

    @property
    def lease(self) -> Lease | None:
        """The newest attempt's."""
        return self.leases[max(self.leases)] if self.leases else None


@dataclass(slots=True)
class Alive:
    """An agent's newest heartbeat, and when this process was told of it (0: before it took over)."""

    beat: AgentBeat
    seen_us: int


@dataclass(frozen=True, slots=True)
class Release:
    """Lease this job's next attempt to this incarnation."""

    job: Job
    attempt: int
    agent_id: str
    incarnation: int
    done: bytes


@dataclass(frozen=True, slots=True)
class Cancel:
    """Tell this incarnation to drop this attempt."""

    job: Job
    attempt: int
    agent_id: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Abandon:
    """The job has failed for good."""

    job: Job
    attempt: int
    error: JobError


@dataclass(frozen=True, slots=True)
class Step:
    """The run takes this step."""

    run_id: str
    organisation_id: str
    state: Literal["running", "failed", "cancelled"]
    reason_code: str | None = None
    message: str | None = None


Decision = Release | Cancel | Abandon | Step


@dataclass(slots=True)
class Pool:
    """What a dispatcher knows of its pool. `lease_us`: silence after which a lease is lost; `max_attempts` of a job."""

    name: str
    lease_us: int = 8_000_000
    max_attempts: int = 3
    entries: dict[str, Entry] = field(default_factory=dict)
    agents: dict[str, Alive] = field(default_factory=dict)
    run_states: dict[str, str] = field(default_factory=dict)
    cancellations: dict[str, CancellationRequested] = field(default_factory=dict)
    terms: dict[int, int] = field(default_factory=dict)

    def fold(self, event: Event, *, partition: int, offset: int, at_us: int) -> None:
        """Takes one event in. `at_us` is when this process was told (0 while it reads the past)."""
        if isinstance(event, JobPlanned):
            self._planned(event, offset=offset)
        elif isinstance(event, JobReleased):
            self._released(event, partition=partition, at_us=at_us)
        elif isinstance(event, JobChanged):
            self._changed(event, at_us=at_us)
        elif isinstance(event, AgentBeat):
            self._beat(event, at_us=at_us)
        elif isinstance(event, RunChanged):
            self._run(event)
        elif isinstance(event, CancellationRequested):
            self.cancellations.setdefault(event.run_id, event)

    def _entry(self, job_id: str) -> Entry:
        return self.entries.setdefault(job_id, Entry(job_id))

    def _planned(self, event: JobPlanned, *, offset: int) -> None:
        if event.pool != self.name:
            return
        entry = self._entry(event.job_id)
        if entry.job is None:
            entry.job, entry.age = event.job, offset

    def _released(self, event: JobReleased, *, partition: int, at_us: int) -> None:
        if event.term < self.terms.get(partition, -1):
            return
        self.terms[partition] = event.term
        if event.job_id is None:
            return
        leases = self._entry(event.job_id).leases
        known = leases.get(event.attempt)
        if event.kind == "cancel":
            if known is not None:
                known.cancelled = True
            return
        if known is None or event.term > known.term:
            leases[event.attempt] = Lease(
                attempt=event.attempt, term=event.term, agent_id=event.agent_id, incarnation=event.incarnation,
                confirmed_us=at_us, ended=known.ended if known else None, error=known.error if known else None,
            )  # fmt: skip

    def _changed(self, event: JobChanged, *, at_us: int) -> None:
        if event.pool != self.name:
            return
        entry = self._entry(event.job_id)
        entry.done = union(entry.done, event.done)
        if event.state == "finished" or event.final:
            entry.over = entry.over or ("finished" if event.state == "finished" else "failed")
        if event.state not in ENDED:
            return
        lease = entry.leases.setdefault(event.attempt, Lease(event.attempt, -1, event.agent_id, event.incarnation, at_us))
        if lease.ended is None:
            lease.ended, lease.error, lease.ended_us = event.state, event.error, at_us

    def _beat(self, event: AgentBeat, *, at_us: int) -> None:
        if event.pool != self.name:
            return
        known = self.agents.get(event.agent_id)
        if known and (event.incarnation, event.sequence) <= (known.beat.incarnation, known.beat.sequence):
            return
        self.agents[event.agent_id] = Alive(event, at_us)
        for running in event.running:
            lease = self._entry(running.job_id).leases.get(running.attempt)
            if lease and (lease.agent_id, lease.incarnation) == (event.agent_id, event.incarnation):
                lease.confirmed_us = max(lease.confirmed_us, at_us)

    def _run(self, event: RunChanged) -> None:
        if self.run_states.get(event.run_id) not in TERMINAL and (event.state in TERMINAL or event.state == "running"):
            self.run_states[event.run_id] = event.state

    def took_over(self, *, now_us: int) -> None:
        """Starts the clocks: what the past says of leases holds for one more lease; agents must speak again."""
        for entry in self.entries.values():
            for lease in entry.leases.values():
                lease.confirmed_us = now_us

    def decide(self, *, now_us: int) -> list[Decision]:
        """What to write now. The caller writes each as an event and folds it in at once."""
        steps = list(self._endings())
        ending = {step.run_id for step in steps if isinstance(step, Step)}
        open_entries = [entry for entry in self._open() if entry.job and entry.job.run_id not in ending]
        return [*steps, *self._abandons(open_entries, now_us), *self._releases(open_entries, now_us)]

    def _open(self) -> Iterator[Entry]:
        for entry in self.entries.values():
            if entry.job and not entry.over and self.run_states.get(entry.job.run_id) not in TERMINAL:
                yield entry

    def _endings(self) -> Iterator[Decision]:
        """Runs that were asked to stop; leases of runs that are over."""
        said: set[str] = set()
        for entry in self.entries.values():
            if entry.job is None:
                continue
            run_id, lease = entry.job.run_id, entry.lease
            over = self.run_states.get(run_id) in TERMINAL
            if run_id in self.cancellations and not over and run_id not in said:
                said.add(run_id)
                asked = self.cancellations[run_id]
                yield Step(run_id, entry.job.organisation_id, "cancelled", "cancelled", asked.message or f"cancelled by {asked.by}")
            if (over or run_id in self.cancellations) and not entry.over and lease and not lease.ended and not lease.cancelled:
                yield Cancel(entry.job, lease.attempt, lease.agent_id, lease.incarnation)

    def _lost(self, lease: Lease, now_us: int) -> bool:
        """The lease's holder is silent, is another incarnation by now, or never took the job."""
        alive = self.agents.get(lease.agent_id)
        return bool(alive and alive.beat.incarnation > lease.incarnation) or now_us - lease.confirmed_us > self.lease_us

    def _held(self, entry: Entry, now_us: int) -> bool:
        return bool((lease := entry.lease) and not lease.ended and not self._lost(lease, now_us))

    def _final_error(self, entry: Entry, now_us: int) -> JobError | None:
        lease = entry.lease
        if lease is None or self._held(entry, now_us) or lease.ended == "cancelled":
            return None
        if lease.error and lease.error.permanent:
            return lease.error
        if lease.attempt < self.max_attempts:
            return None
        last = lease.error.message if lease.error else f"{lease.agent_id} fell silent"
        code = lease.error.code if lease.error else "agent-lost"
        return JobError(code=code, message=f"{lease.attempt} attempts failed, the last: {last}", permanent=True)

    def _abandons(self, entries: Iterable[Entry], now_us: int) -> Iterator[Decision]:
        failed: set[str] = set()
        for entry in entries:
            error = self._final_error(entry, now_us)
            if error is None or entry.job is None or entry.lease is None:
                continue
            yield Abandon(entry.job, entry.lease.attempt, error)
            if entry.job.run_id not in failed:
                failed.add(entry.job.run_id)
                yield Step(entry.job.run_id, entry.job.organisation_id, "failed", error.code, error.message)

    def _releases(self, entries: list[Entry], now_us: int) -> Iterator[Decision]:
        failing = {entry.job.run_id for entry in entries if entry.job and self._final_error(entry, now_us)}
        waiting = [Waiting(entry.job, entry.age, _failed_on(entry)) for entry in entries if entry.job and self._due(entry, now_us)]
        waiting = [item for item in waiting if item.job.run_id not in failing]
        running = [entry.job for entry in entries if entry.job and self._held(entry, now_us)]
        started: set[str] = set()
        for job, agent in assign(waiting, self._free(now_us), running=running):
            entry = self.entries[job.job_id]
            if self.run_states.get(job.run_id) is None and job.run_id not in started:
                started.add(job.run_id)
                yield Step(job.run_id, job.organisation_id, "running")
            attempt = entry.lease.attempt + 1 if entry.lease else 1
            yield Release(job, attempt, agent.agent_id, agent.incarnation, entry.done)

    def _due(self, entry: Entry, now_us: int) -> bool:
        """The job waits for an agent, its dependencies are met, and its pause after a failure is over."""
        assert entry.job is not None
        if self._held(entry, now_us) or any(self._entry_over(job_id) != "finished" for job_id in entry.job.depends_on):
            return False
        lease = entry.lease
        return lease is None or now_us >= lease.ended_us + (pause_us(lease.attempt) if lease.ended == "failed" else 0)

    def _entry_over(self, job_id: str) -> str | None:
        entry = self.entries.get(job_id)
        return entry.over if entry else None

    def alive(self, *, now_us: int) -> list[AgentBeat]:
        """The agents that were heard lately, by name."""
        heard = [agent.beat for agent in self.agents.values() if agent.seen_us and now_us - agent.seen_us <= self.lease_us]
        return sorted(heard, key=lambda beat: beat.agent_id)

    def _free(self, now_us: int) -> list[AgentBeat]:
        holders = [entry.lease for entry in self.entries.values() if not entry.over and self._held(entry, now_us)]
        busy = {lease.agent_id for lease in holders if lease}
        return [beat for beat in self.alive(now_us=now_us) if beat.agent_id not in busy and not beat.running]

    def counts(self, *, now_us: int) -> tuple[int, int]:
        """Jobs that wait for an agent, and leases that run."""
        held = [self._held(entry, now_us) for entry in self._open()]
        return held.count(False), held.count(True)

    def waiting(self, *, now_us: int) -> dict[str, str]:
        """Run id → what its first waiting job waits for."""
        agents = self.alive(now_us=now_us)
        waits: dict[str, str] = {}
        for entry in self._open():
            if entry.job and not self._held(entry, now_us):
                waits.setdefault(entry.job.run_id, waits_for(entry.job, agents))
        return waits


def pause_us(attempt: int) -> int:
    """Microseconds to wait after that attempt failed: 0.5 s, doubling up to 30 s."""
    return int(min(FIRST_PAUSE_US * 2 ** (attempt - 1), LONGEST_PAUSE_US))


def _failed_on(entry: Entry) -> str | None:
    return entry.lease.agent_id if entry.lease else None
