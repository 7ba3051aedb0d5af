"""Leases of one pool: a fold over plans, releases, reports and heartbeats, and the decisions that follow from it.

A job's attempt is leased to one incarnation of one agent. The lease lasts as long as that incarnation's heartbeats name the
attempt; who stays silent has lost it, and the job is released again as the next attempt, with the samples that are already done.
A dispatcher's *term* is the offset of its `DispatcherTook`; it writes a mark of its term into every partition of the job topic, and
a release that lies behind a mark of a higher term is void, for agents and dispatchers alike. Hence two dispatchers never both act.

The fold takes events in any interleaving of partitions, any number of times: plans and releases are kept by id (the first
counts), reports by attempt, samples done as a union. Only the clocks (`seen_us`, `confirmed_us`) depend on when it was told.

Deciding costs what is leased, paused or about to end, not what waits: every entry is on the shelf that the log puts it on, and
`decide` moves those whose time has come (a lease is lost, a pause is over).
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from schemas.event import Event
from schemas.jobs import AgentBeat, EnvironmentSeen, Job, JobChanged, JobPlanned, JobReleased
from schemas.requests import Budget, CancellationRequested
from schemas.results import PricePublished, TaskStopped
from schemas.runs import RunChanged, RunDelayed
from streams.errors import Invalid
from streams.money.spending import Ledger
from streams.planning import task_of
from streams.queue.bits import union
from streams.queue.delays import Delay, Delays, reasons, tried_again
from streams.queue.leases import Abandon, Alive, Cancel, Decision, Entry, Lease, Release, Shelf, Step, final_error, pause_us
from streams.queue.limits import Limit, limit_of, money_limit, stopped
from streams.queue.lines import Lines, Waiting, key_of
from streams.queue.queueing import USUAL, Policy, assign, kind_of
from streams.runs import TERMINAL

UNLIMITED = Budget()
ENDED = frozenset({"finished", "failed", "cancelled"})


@dataclass(slots=True)
class Run:
    """What a pool knows of a run: its jobs here, its state, when it first ran, and its tasks that are known well enough."""

    run_id: str
    organisation_id: str = ""
    budget: Budget = UNLIMITED
    job_ids: list[str] = field(default_factory=list)
    state: str | None = None
    started_us: int | None = None
    stopped: set[str] = field(default_factory=set)

    @property
    def over(self) -> bool:
        """Nothing of it is to be run any more."""
        return self.state in TERMINAL


@dataclass(slots=True)
class Pool:
    """What a dispatcher knows of its pool. `lease_us`: silence after which a lease is lost; `max_attempts` of a job."""

    name: str
    lease_us: int = 8_000_000
    max_attempts: int = 3
    policy: Policy = USUAL
    entries: dict[str, Entry] = field(default_factory=dict)
    agents: dict[str, Alive] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    cancellations: dict[str, CancellationRequested] = field(default_factory=dict)
    terms: dict[int, int] = field(default_factory=dict)
    delays: Delays = field(default_factory=Delays)
    taken_us: int = 0
    _lines: Lines = field(default_factory=Lines)
    _leased: dict[str, Entry] = field(default_factory=dict)
    _paused: dict[str, Entry] = field(default_factory=dict)
    _dependents: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _stopping: set[str] = field(default_factory=set)
    _limits: dict[str, Limit] = field(default_factory=dict)
    _ledger: Ledger = field(default_factory=Ledger)
    _fruitless: object = None

    def fold(self, event: Event, *, partition: int, offset: int, written_us: int, at_us: int) -> None:
        """Takes one event in. `written_us` is the log's time, `at_us` when this process was told (0 while it reads the past)."""
        if isinstance(event, JobPlanned):
            self._planned(event, offset=offset, written_us=written_us)
        elif isinstance(event, JobReleased):
            self._released(event, partition=partition, at_us=at_us)
        elif isinstance(event, JobChanged):
            self._changed(event, at_us=at_us)
        elif isinstance(event, AgentBeat):
            self._beat(event, at_us=at_us)
        else:
            self._of_run(event)

    def _of_run(self, event: Event) -> None:
        if isinstance(event, RunChanged):
            self._run_changed(event)
        elif isinstance(event, TaskStopped):
            self._stopped(event)
        elif isinstance(event, CancellationRequested):
            self.cancellations.setdefault(event.run_id, event)
            self._weigh(self._run(event.run_id))
        elif isinstance(event, RunDelayed) and event.pool == self.name:
            self.delays.fold(event)
        elif isinstance(event, (PricePublished, EnvironmentSeen)):
            with suppress(Invalid):  # a price that cannot be: agents.cost dead-letters it
                self._weigh_money(self._ledger.fold(event))

    def _entry(self, job_id: str) -> Entry:
        return self.entries.setdefault(job_id, Entry(job_id))

    def _run(self, run_id: str) -> Run:
        return self.runs.setdefault(run_id, Run(run_id))

    def _planned(self, event: JobPlanned, *, offset: int, written_us: int) -> None:
        entry = self._entry(event.job_id) if event.pool == self.name else None
        if entry is None or entry.job is not None:
            return
        entry.job, entry.age, entry.since_us = event.job, offset, written_us
        run = self._run(event.run_id)
        run.job_ids.append(event.job_id)
        run.organisation_id, run.budget = event.job.organisation_id, event.job.budget
        for needed in event.job.depends_on:
            self._dependents[needed].append(event.job_id)
        self._weigh(run)
        self._settle(entry)

    def _released(self, event: JobReleased, *, partition: int, at_us: int) -> None:
        if event.term < self.terms.get(partition, -1):
            return
        self.terms[partition] = event.term
        if event.job_id is None:
            return
        entry = self._entry(event.job_id)
        known = entry.leases.get(event.attempt)
        if event.kind == "cancel":
            if known is not None:
                known.cancelled = True
            return
        if event.job:
            self._lines.served(key_of(event.job), at_us=event.occurred_us)
        if known is None or event.term > known.term:
            entry.leases[event.attempt] = Lease(
                attempt=event.attempt, term=event.term, agent_id=event.agent_id, incarnation=event.incarnation,
                confirmed_us=at_us, ended=known.ended if known else None, error=known.error if known else None,
            )  # fmt: skip
        self._settle(entry)

    def _changed(self, event: JobChanged, *, at_us: int) -> None:
        if event.pool != self.name:
            return
        entry = self._entry(event.job_id)
        entry.done = union(entry.done, event.done)
        if event.state == "finished" or event.final:
            entry.over = entry.over or ("finished" if event.state == "finished" else "failed")
            for job_id in self._dependents.get(event.job_id, ()):
                self._settle(self.entries[job_id])
        if event.state in ENDED:
            lease = entry.leases.setdefault(event.attempt, Lease(event.attempt, -1, event.agent_id, event.incarnation, at_us))
            if lease.ended is None:
                lease.ended, lease.error, lease.ended_us = event.state, event.error, at_us
            self._settle(entry)
        self._weigh_money(self._ledger.fold(event))

    def _beat(self, event: AgentBeat, *, at_us: int) -> None:
        if event.pool != self.name:
            return
        known = self.agents.get(event.agent_id)
        if known and (event.incarnation, event.sequence) <= (known.beat.incarnation, known.beat.sequence):
            return
        self.agents[event.agent_id] = Alive(event, at_us)
        for running in event.running:
            entry = self._entry(running.job_id)
            lease = entry.leases.get(running.attempt)
            if lease and (lease.agent_id, lease.incarnation) == (event.agent_id, event.incarnation):
                lease.confirmed_us = max(lease.confirmed_us, at_us)
                if entry.shelf != "leased":
                    self._settle(entry)

    def _run_changed(self, event: RunChanged) -> None:
        run = self._run(event.run_id)
        if event.state == "running" and run.started_us is None:
            run.started_us = event.occurred_us
        if run.over or (event.state not in TERMINAL and event.state != "running"):
            return
        run.state = event.state
        self._weigh(run)
        if event.state in TERMINAL:
            for job_id in run.job_ids:
                self._settle(self.entries[job_id])

    def _stopped(self, event: TaskStopped) -> None:
        """A task's jobs that do not run yet are withdrawn; one that runs ends by itself, for to cut it off would cost the loaded model."""
        run = self._run(event.run_id)
        run.stopped.add(event.task)
        for job_id in run.job_ids:
            self._settle(self.entries[job_id])

    def _withdrawn(self, entry: Entry) -> bool:
        return entry.job is not None and task_of(entry.job_id) in self._run(entry.job.run_id).stopped

    def _weigh(self, run: Run) -> None:
        """Notes whether the run was asked to stop, and when it must."""
        limits = [] if run.over or not run.job_ids else [limit_of(run.budget, started_us=run.started_us), self._money_limit(run)]
        if found := [limit for limit in limits if limit]:
            self._limits[run.run_id] = min(found)
        else:
            self._limits.pop(run.run_id, None)
        if run.run_id in self.cancellations and run.job_ids and not run.over:
            self._stopping.add(run.run_id)
        else:
            self._stopping.discard(run.run_id)

    def _money_limit(self, run: Run) -> Limit | None:
        if run.budget.usd_nano is None:
            return None
        leases = [(job_id, entry.lease) for job_id in run.job_ids if (entry := self.entries[job_id]).shelf == "leased"]
        running = {(job_id, lease.agent_id, lease.attempt) for job_id, lease in leases if lease}
        return money_limit(run.budget, self._ledger, run_id=run.run_id, running=running)

    def _weigh_money(self, run_ids: Iterable[str]) -> None:
        """What has been used, or what it costs, is known better."""
        for run_id in run_ids:
            if run_id in self.runs and self.runs[run_id].budget.usd_nano is not None:
                self._weigh(self.runs[run_id])

    def _settle(self, entry: Entry) -> None:
        """Puts the entry on the shelf where the log says that it belongs; `decide` knows what time has changed since."""
        lease = entry.lease
        if entry.over:
            self._shelve(entry, None)
        elif lease and not lease.ended:
            self._shelve(entry, "leased")
        elif entry.job is None or self._run(entry.job.run_id).over or self._withdrawn(entry) or not self._met(entry.job):
            self._shelve(entry, None)
        else:
            self._shelve(entry, "paused" if lease and lease.ended == "failed" else "waiting")

    def _met(self, job: Job) -> bool:
        """What the job depends on has finished, or is not wanted any more."""
        found = [self.entries.get(needed) for needed in job.depends_on]
        return all(entry is not None and (entry.over == "finished" or self._withdrawn(entry)) for entry in found)

    def _shelve(self, entry: Entry, shelf: Shelf) -> None:
        """Moves the entry from the index that it is in to another, or to none."""
        self._lines.discard(entry.job_id)
        self._leased.pop(entry.job_id, None)
        self._paused.pop(entry.job_id, None)
        entry.shelf = shelf
        if shelf == "leased":
            self._leased[entry.job_id] = entry
        elif shelf == "paused":
            self._paused[entry.job_id] = entry
        elif shelf == "waiting" and entry.job:
            self._lines.add(Waiting(entry.job, entry.age, entry.since_us, entry.lease.agent_id if entry.lease else None))

    def took_over(self, *, now_us: int) -> None:
        """Starts the clocks: what the past says of leases holds for one more lease; agents must speak again."""
        self.taken_us = now_us
        for entry in self.entries.values():
            for lease in entry.leases.values():
                lease.confirmed_us = now_us

    def decide(self, *, now_us: int) -> list[Decision]:
        """What to write now. The caller writes each as an event and folds it in at once."""
        stops = list(self._stops(now_us))
        ending = {stop.run_id for stop in stops}
        cancels = list(self._cancels(ending))
        failures = list(self._failures(ending, now_us))
        ending |= {failure.run_id for failure in failures if isinstance(failure, Step)}
        return [*stops, *cancels, *failures, *self._releases(ending, now_us)]

    def _stops(self, now_us: int) -> Iterator[Step]:
        """Runs that were asked to stop, or have reached a limit."""
        for run_id in sorted(self._stopping):
            asked = self.cancellations[run_id]
            yield Step(run_id, self.runs[run_id].organisation_id, "cancelled", "cancelled", asked.message or f"cancelled by {asked.by}")
        for run_id, limit in self._limits.items():
            if limit.at_us <= now_us and run_id not in self._stopping:
                run = self.runs[run_id]
                told = stopped(limit.said, [self.entries[job_id] for job_id in run.job_ids])
                yield Step(run_id, run.organisation_id, "cancelled", limit.code, told)

    def _cancels(self, ending: Collection[str]) -> Iterator[Decision]:
        """Leases of runs that are over, or are about to be."""
        for entry in self._leased.values():
            lease, job = entry.lease, entry.job
            if job and lease and not lease.cancelled and (job.run_id in ending or self._run(job.run_id).over):
                yield Cancel(job, lease.attempt, lease.agent_id, lease.incarnation)

    def _held(self, entry: Entry, now_us: int) -> bool:
        """The newest lease has not ended, and its holder is neither silent nor another incarnation by now."""
        lease = entry.lease
        if lease is None or lease.ended:
            return False
        alive = self.agents.get(lease.agent_id)
        return not (alive and alive.beat.incarnation > lease.incarnation) and now_us - lease.confirmed_us <= self.lease_us

    def _failures(self, ending: Collection[str], now_us: int) -> Iterator[Decision]:
        """Jobs that failed or were lost for the last time, and their runs; those that are to be tried again wait from now on."""
        failed: set[str] = set()
        for entry in [*self._leased.values(), *self._paused.values()]:
            lease, job = entry.lease, entry.job
            if lease is None or job is None or self._held(entry, now_us):
                continue
            error = final_error(lease, max_attempts=self.max_attempts)
            if self._run(job.run_id).over or self._withdrawn(entry):
                self._shelve(entry, None)
            elif error is None and (not lease.ended or now_us >= lease.ended_us + pause_us(lease.attempt)):
                self._shelve(entry, "waiting")
                self._weigh_money([job.run_id])
            elif error and job.run_id not in ending:
                yield Abandon(job, lease.attempt, error)
                if job.run_id not in failed:
                    failed.add(job.run_id)
                    yield Step(job.run_id, job.organisation_id, "failed", error.code, error.message)

    def _releases(self, ending: Collection[str], now_us: int) -> Iterator[Decision]:
        free = self._free(now_us) if len(self._lines) else []
        # Who fits whom depends on these alone: where nothing could be leased before, nothing can be while they stay the same.
        scene = (self._lines.version, [(beat.agent_id, *kind_of(beat)) for beat in free])
        if not free or scene == self._fruitless:
            return
        pairs = assign(self._lines.but(ending), free, running=self._shares(), now_us=now_us, policy=self.policy)
        self._fruitless = None if pairs or ending else scene
        started: set[str] = set()
        for item, agent in pairs:
            job, entry = item.job, self.entries[item.job.job_id]
            if self._run(job.run_id).state is None and job.run_id not in started:
                started.add(job.run_id)
                yield Step(job.run_id, job.organisation_id, "running")
            attempt = entry.lease.attempt + 1 if entry.lease else 1
            yield Release(job, attempt, agent.agent_id, agent.incarnation, entry.done)

    def _shares(self) -> Counter[str]:
        """Submitter → jobs that run."""
        return Counter(entry.job.submitter for entry in self._leased.values() if entry.job)

    def alive(self, *, now_us: int) -> list[AgentBeat]:
        """The agents that were heard lately, by name."""
        heard = [agent.beat for agent in self.agents.values() if agent.seen_us and now_us - agent.seen_us <= self.lease_us]
        return sorted(heard, key=lambda beat: beat.agent_id)

    def _free(self, now_us: int) -> list[AgentBeat]:
        busy = {entry.lease.agent_id for entry in self._leased.values() if entry.lease and self._held(entry, now_us)}
        return [beat for beat in self.alive(now_us=now_us) if beat.agent_id not in busy and not beat.running]

    def counts(self) -> tuple[int, int]:
        """Jobs that wait for an agent or for their next attempt, and leases that run."""
        return len(self._lines) + len(self._paused), len(self._leased)

    def waits(self, *, now_us: int) -> list[Delay]:
        """The runs for which what they wait for has changed, with what it is now."""
        if now_us - self.taken_us <= self.lease_us:
            return []  # the agents had no time yet to say that they live
        alive = self.alive(now_us=now_us)
        found = reasons(self._lines.all(), pool=self.name, alive=alive, running=self._shares(), now_us=now_us, policy=self.policy)
        paused = [(entry.job, entry.lease) for entry in self._paused.values()]
        found = {job.run_id: tried_again(lease) for job, lease in paused if job and lease} | found
        for entry in self._leased.values():
            if entry.job:
                found.pop(entry.job.run_id, None)
        return self.delays.changes(found, over=lambda run_id: self._run(run_id).over, now_us=now_us)
