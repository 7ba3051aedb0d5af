"""What a dispatcher knows of its pool: a fold over plans, releases, reports, heartbeats and the steps of runs.

A job's attempt is leased to one incarnation of one agent. The lease lasts as long as that incarnation's heartbeats name the
attempt; who stays silent has lost it, and the job is released again as the next attempt, with the samples that are already done.
A dispatcher's *term* is the offset of its `DispatcherTook`; it writes a mark of its term into every partition of the job topic, and
a release that lies behind a mark of a higher term is void, for agents and dispatchers alike. Hence two dispatchers never both act.

The fold takes partitions in any interleaving, each in its order, any stretch again: it knows how far it has read each. But of an event
whose term is `unheard` its caller tells first who has taken the pool by then (streams/queue/succession.py). What follows from
the log alone is the same in every process; only the clocks (`confirmed_us`, `ended_us`, `heard_us`, `since_us`) depend on when it was told.
When a job was planned, a run or an attempt began and a line was served are times of the log's: a writer's clock may be a day ahead.
What to do is decided in streams/queue/deciding.py, and what is kept in a snapshot in streams/queue/keeping.py.

A run that is over is forgotten with its jobs, but for its name and for agents that have not said how they ended (unended.py): whatever
else is read of it later says nothing.
"""

from contextlib import suppress
from dataclasses import dataclass, field

from schemas.event import Event
from schemas.jobs import AgentBeat, DispatcherBeat, DispatcherTook, EnvironmentSeen, Job, JobChanged, JobPlanned, JobReleased
from schemas.requests import CancellationRequested
from schemas.results import PricePublished, TaskStopped
from schemas.runs import RunChanged, RunDelayed
from streams.errors import Invalid
from streams.names import Names
from streams.planning import task_of
from streams.queue.bits import union
from streams.queue.crew import Crew
from streams.queue.delays import Delays
from streams.queue.leases import Entry, Lease, Leaving
from streams.queue.limits import Limit, limit_of
from streams.queue.lines import key_of
from streams.queue.money import Money
from streams.queue.open_runs import Run
from streams.queue.places import At, Places
from streams.queue.queueing import USUAL, Policy
from streams.queue.shelves import Shelves
from streams.queue.succession import Succession
from streams.queue.unended import ENDED, Unended


@dataclass(slots=True)
class Pool:
    """What a dispatcher knows of its pool. `lease_us`: silence after which a lease is lost; `max_attempts` of a job.

    `changes` counts what was folded, heartbeats aside; `since_us` is when this process began to listen, on its steady clock. `aside` are
    runs of which nothing is decided, for over their state it breaks; `at` is the run that deciding looks at just now.
    """

    name: str
    lease_us: int = 8_000_000
    max_attempts: int = 3
    policy: Policy = USUAL
    places: Places = field(default_factory=Places)
    entries: dict[str, Entry] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    over: Names = field(default_factory=Names)
    crew: Crew = field(default_factory=Crew)
    terms: dict[int, int] = field(default_factory=dict)
    delays: Delays = field(default_factory=Delays)
    money: Money = field(default_factory=Money)
    shelves: Shelves = field(default_factory=Shelves)
    succession: Succession = field(default_factory=Succession)
    unended: Unended = field(default_factory=Unended)
    leaving: dict[tuple[str, int], Leaving] = field(default_factory=dict)
    limits: dict[str, Limit] = field(default_factory=dict)
    changes: int = 0
    since_us: int = 0
    fruitless: object = None
    aside: set[str] = field(default_factory=set)
    at: str | None = None
    _unweighed: set[str] = field(default_factory=set)

    def fold(self, event: Event, *, at: At, offset: int, written_us: int, at_us: int) -> None:
        """Takes one event in. `written_us` is the log's time, `at_us` when this process was told, on its steady clock (0: the past)."""
        if not self.places.passes(at, offset=offset, written_us=written_us):
            return
        self.changes += not isinstance(event, AgentBeat | DispatcherBeat)
        if getattr(event, "pool", self.name) != self.name:
            return
        match event:
            case JobPlanned():
                self._planned(event, age=(self.places.latest_us[at], at[1], offset))
            case JobReleased() | JobChanged() | AgentBeat():
                self._of_lease(event, at=at, offset=offset, at_us=at_us)
            case DispatcherTook() | DispatcherBeat():
                self.succession.fold(event, offset=offset, at_us=at_us)
            case RunChanged() | TaskStopped() | CancellationRequested() | RunDelayed():
                self._of_run(event, written_us=self.places.latest_us[at], at_us=at_us)
            case PricePublished() | EnvironmentSeen():
                self._of_money(event)

    def _of_lease(self, event: JobReleased | JobChanged | AgentBeat, *, at: At, offset: int, at_us: int) -> None:
        match event:
            case JobReleased() if self.succession.holds(event.term, partition=at[1], offset=offset):
                self._released(event, at=at, at_us=at_us)
            case JobChanged():
                self._changed(event, written_us=self.places.latest_us[at], at_us=at_us)
            case AgentBeat():
                self._beat(event, at_us=at_us)

    def unheard(self, event: Event) -> bool:
        """It claims a term of the pool's that is newer than all that were told: those that lie in the log by now come first."""
        return isinstance(event, JobReleased | DispatcherBeat) and event.pool == self.name and event.term > self.succession.term

    def _of_money(self, event: PricePublished | EnvironmentSeen) -> None:
        with suppress(Invalid):  # a price that cannot be: agents.cost dead-letters it
            self.money.fold(event)
        self._unweighed.update(self.runs)

    def _of_run(self, event: RunChanged | TaskStopped | CancellationRequested | RunDelayed, *, written_us: int, at_us: int) -> None:
        if event.run_id in self.over:
            return
        run = self._run(event.run_id)
        match event:
            case RunChanged() if run.fold(event, written_us=written_us):
                self._stepped(run, at_us=at_us)
            case TaskStopped():
                # Its jobs that do not run yet are withdrawn; one that runs ends by itself, for to cut it off would cost the loaded model.
                run.stopped.add(event.task)
                self._settle_all(run)
            case CancellationRequested():
                run.asked = run.asked or event.why
            case RunDelayed():
                self.delays.fold(event)

    def _run(self, run_id: str) -> Run:
        """The run of that id, which is open."""
        return self.runs.setdefault(run_id, Run(run_id))

    def _entry(self, job_id: str, run_id: str) -> Entry:
        self._run(run_id).names.add(job_id)
        return self.entries.setdefault(job_id, Entry(job_id, run_id))

    def _planned(self, event: JobPlanned, *, age: tuple[int, int, int]) -> None:
        if event.run_id in self.over:
            return
        entry, run = self._entry(event.job_id, event.run_id), self._run(event.run_id)
        if entry.job is not None:
            return
        entry.job, entry.age = event.job, age
        run.job_ids.append(event.job_id)
        run.organisation_id, run.visibility, run.budget = event.job.organisation_id, event.job.visibility, event.job.budget
        for needed in event.job.depends_on:
            run.dependents.setdefault(needed, []).append(event.job_id)
        self.settle(entry)

    def _released(self, event: JobReleased, *, at: At, at_us: int) -> None:
        if event.term < self.terms.get(at[1], -1):
            return
        self.terms[at[1]] = event.term
        if event.job_id is None or event.run_id is None:
            return
        if event.job and event.kind == "release":
            self.shelves.lines.served(key_of(event.job), at_us=self.places.latest_us[at])
        if event.run_id in self.over:
            if event.kind == "cancel" and (known := self.leaving.get((event.job_id, event.attempt))):
                known.told = True
            return
        self._leased(self._entry(event.job_id, event.run_id), event, at_us=at_us)

    def _leased(self, entry: Entry, event: JobReleased, *, at_us: int) -> None:
        lease = entry.leases.get(event.attempt)
        if event.kind == "cancel":
            if lease is not None:
                lease.cancelled = True
            return
        if lease is None:
            entry.leases[event.attempt] = Lease(event.attempt, event.term, event.agent_id, event.incarnation, at_us)
        elif event.term > lease.term:
            lease.term, lease.agent_id, lease.incarnation, lease.confirmed_us = event.term, event.agent_id, event.incarnation, at_us
        self.settle(entry)

    def _changed(self, event: JobChanged, *, written_us: int, at_us: int) -> None:
        self.unended.fold(event, at_us=at_us)
        if event.run_id in self.over:
            if event.state in ENDED:
                self.leaving.pop((event.job_id, event.attempt), None)
            return
        entry = self._entry(event.job_id, event.run_id)
        entry.done = union(entry.done, event.done)
        if event.state in ENDED:
            lease = entry.leases.setdefault(event.attempt, Lease(event.attempt, -1, event.agent_id, event.incarnation, at_us))
            if lease.ended is None:
                lease.ended, lease.error, lease.ended_us = event.state, event.error, at_us
        if entry.over is None and (event.state == "finished" or event.final):
            entry.over, entry.why = ("finished", None) if event.state == "finished" else ("failed", event.error)
        if event.state in ENDED or event.final:
            self.settle(entry)
            for job_id in self._run(event.run_id).dependents.get(event.job_id, ()):
                self.settle(self.entries[job_id])
        self.money.occupied(event, written_us=written_us)
        self._unweighed.add(event.run_id)

    def _beat(self, event: AgentBeat, *, at_us: int) -> None:
        if not self.crew.fold(event, at_us=at_us):
            return
        self.unended.heard(event, at_us=at_us)
        for running in event.running:
            entry = self.entries.get(running.job_id)
            lease = entry.leases.get(running.attempt) if entry else None
            if entry and lease and (lease.agent_id, lease.incarnation) == (event.agent_id, event.incarnation):
                lease.confirmed_us = max(lease.confirmed_us, at_us)
                if entry.shelf != "leased":
                    self.settle(entry)

    def _stepped(self, run: Run, *, at_us: int) -> None:
        if run.over:
            self._forget(run, at_us=at_us)
        else:
            self._settle_all(run)

    def _forget(self, run: Run, *, at_us: int) -> None:
        """Keeps the run's name and nothing else; of its leases that run only until their agents have let go."""
        for job_id in run.names:
            entry = self.entries.pop(job_id)
            lease = entry.lease
            if entry.shelf == "leased" and lease:
                self.leaving[job_id, lease.attempt] = Leaving(
                    run.run_id, job_id, lease.attempt, lease.agent_id, lease.incarnation, run.organisation_id, run.visibility, at_us,
                    lease.cancelled,
                )  # fmt: skip
            self.shelves.put(entry, None)
        del self.runs[run.run_id]
        self.over.add(run.run_id)
        self.aside.discard(run.run_id)
        self.delays.forget(run.run_id)
        self.money.forget(run.run_id)
        self.limits.pop(run.run_id, None)

    def withdrawn(self, entry: Entry) -> bool:
        """The entry's task is known well enough."""
        return task_of(entry.job_id) in self._run(entry.run_id).stopped

    def _settle_all(self, run: Run) -> None:
        for job_id in run.job_ids:
            self.settle(self.entries[job_id])

    def settle(self, entry: Entry) -> None:
        """Puts the entry on the shelf where the log says that it belongs; deciding knows what time has changed since."""
        lease = entry.lease
        self._unweighed.add(entry.run_id)
        if entry.over:
            self.shelves.put(entry, "failed" if entry.over == "failed" else None)
        elif lease and not lease.ended:
            self.shelves.put(entry, "leased")
        elif entry.job is None or not self._run(entry.run_id).runnable or self.withdrawn(entry) or not self._met(entry.job):
            self.shelves.put(entry, None)
        else:
            self.shelves.put(entry, "paused" if lease and lease.ended == "failed" else "waiting")

    def _met(self, job: Job) -> bool:
        """What the job depends on has finished, or is not wanted any more."""
        found = [self.entries.get(needed) for needed in job.depends_on]
        return all(entry is not None and (entry.over == "finished" or self.withdrawn(entry)) for entry in found)

    def moved(self, entry: Entry) -> None:
        """Time has put the entry on another shelf."""
        self.shelves.put(entry, "waiting" if self._run(entry.run_id).runnable and not self.withdrawn(entry) else None)
        self._unweighed.add(entry.run_id)

    def weigh(self) -> None:
        """Brings the limits of runs up to what was told since."""
        for run_id in (self._unweighed & self.runs.keys()) - self.aside:
            run = self.runs[run_id]
            self.at = run_id
            found = [limit for limit in (limit_of(run.budget, started_us=run.started_us), self._money_limit(run)) if limit]
            if found and run.job_ids:
                self.limits[run_id] = min(found)
            else:
                self.limits.pop(run_id, None)
        self._unweighed &= self.aside

    def _money_limit(self, run: Run) -> Limit | None:
        if run.budget.usd_nano is None:
            return None
        leased = [(entry.job_id, entry.lease) for entry in self.shelves.leased.values() if entry.run_id == run.run_id]
        running = {(job_id, lease.agent_id, lease.attempt) for job_id, lease in leased if lease}
        return self.money.limit(run.budget, run_id=run.run_id, running=running)

    def listens(self, *, now_us: int) -> None:
        """Starts the clocks: what the past says of leases holds for one more lease, and agents must speak again."""
        self.since_us = now_us
        for entry in self.entries.values():
            for lease in entry.leases.values():
                lease.confirmed_us = now_us
        for leaving in self.leaving.values():
            leaving.since_us = now_us
        self.unended.listens(now_us=now_us)

    def counts(self) -> tuple[int, int]:
        """Jobs that wait for an agent or for their next attempt, and leases that run."""
        return len(self.shelves.lines) + len(self.shelves.paused), len(self.shelves.leased)

    def alive(self, *, now_us: int) -> list[AgentBeat]:
        """The agents that were heard lately, by name."""
        return self.crew.alive(now_us=now_us, within_us=self.lease_us)

    def held(self, entry: Entry, *, now_us: int) -> bool:
        """The newest lease has not ended, and its holder is neither silent nor another incarnation by now."""
        lease = entry.lease
        if lease is None or lease.ended or self.crew.replaced(lease.agent_id, lease.incarnation):
            return False
        return now_us - lease.confirmed_us <= self.lease_us
