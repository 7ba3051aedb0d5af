"""A simulated pool: agents that work, fail, crash and come back, and dispatchers that follow, take over, leave and die, over a log in
partitions. Jobs fail for good too, and dispatchers are stopped and die between any two of their writes.

It speaks the real protocol: each dispatcher reads the log at its own pace, and acts on nothing that it has not read. Wall clocks jump.
"""

import random
import zlib
from dataclasses import dataclass, field

from agents.decided import delayed, event_of
from schemas.event import Event
from schemas.jobs import AgentBeat, DispatcherBeat, DispatcherTook, EnvironmentSeen, Job, JobChanged, JobError, JobReleased, Running
from schemas.requests import Budget, CancellationRequested
from schemas.results import PricePublished
from schemas.runs import RunChanged
from streams.queue.clocks import Moment
from streams.queue.deciding import decide, waits
from streams.queue.dispatch import Pool
from streams.queue.keeping import dumped, loaded, picture
from streams.queue.places import At
from streams.queue.succession import Succession
from streams.runs import TERMINAL
from streams.settling.used import Used
from streams.topics import DISPATCHERS, RUNS, topic_of
from tests.pool import SECOND, STAMP, beat, changed, job, planned, ran, released, took
from tests.runs import run_named

PARTITIONS, JOB_PARTITIONS = 2, 3
Log = dict[At, list[tuple[Event, int]]]
HOURS = 3600 * SECOND
RUNS_OF_IT = tuple(map(run_named, range(3)))
TAKEN = DISPATCHERS.name, zlib.crc32(b"default") % PARTITIONS
JOBS = topic_of(released(job("any"))).name
FOR_GOOD = JobError(code="nan-weights", message="layer 1 has NaN", permanent=True)


def made(number: int) -> Job:
    """A job; some wait for others, one run has a budget that lasts."""
    run_id, needed = RUNS_OF_IT[number % 3], (f"{RUNS_OF_IT[number % 3]}/t/0/{number - 6}",) if number > 6 else ()
    budget = Budget(usd_nano=10**18) if number % 3 == 1 else Budget()
    return job(f"{run_id}/t/0/{number}", run=run_id, depends_on=needed, budget=budget)


def empty() -> Pool:
    """A pool that was told nothing."""
    return Pool("default", lease_us=3 * SECOND, max_attempts=6)


def partition_of(event: Event) -> int:
    """Where an event goes: a lease to its agent's partition, others by their key."""
    if isinstance(event, JobReleased):
        return int(event.nonce) if event.kind == "mark" else zlib.crc32(event.agent_id.encode()) % JOB_PARTITIONS
    return zlib.crc32(event.partition_key()) % PARTITIONS


def tell(pool: Pool, log: Log, at: At, *, at_us: int) -> bool:
    """The pool's next event of a partition is told to it; False where it has had them all."""
    offset = pool.places.next.get(at, 0)
    if offset >= len(log.get(at, ())):
        return False
    tell_again(pool, log, at, offset, at_us=at_us)
    return True


def tell_again(pool: Pool, log: Log, at: At, offset: int, *, at_us: int) -> None:
    """An event is told to the pool, new or not; before one of a term that it does not know, all that lies where terms are taken."""
    event, written_us = log[at][offset]
    while pool.unheard(event) and tell(pool, log, TAKEN, at_us=at_us):
        pass
    pool.fold(event, at=at, offset=offset, written_us=written_us, at_us=at_us)


@dataclass(eq=False)
class Dispatcher:
    """One of those that may act: what it has read, its term, what it waits to read before it goes on, and whether it has read its marks."""

    pool: Pool = field(default_factory=empty)
    term: int = -1
    sequence: int = 0
    acts: bool = False
    until: dict[At, int] = field(default_factory=dict)
    asleep: int = 0
    unsaid: list[Event] = field(default_factory=list)

    def caught_up(self) -> bool:
        """It has read what it waits for."""
        return all(self.pool.places.next.get(at, 0) >= end for at, end in self.until.items())


@dataclass
class Agent:
    """One incarnation of an agent: what it is at, for how long, and how far it has read its partition."""

    incarnation: int
    read: int
    sequence: int = 0
    job: Job | None = None
    attempt: int = 0
    left: int = 0
    away: int = 0
    term: int = -1


class World:
    """All of it. `turns`: how likely the wall clock jumps in a tick, by up to a day either way; `forging`: others write too."""

    def __init__(self, chance: random.Random, *, turns: float = 0.05, calm: bool = False, forging: bool = False) -> None:
        self.chance, self.turns, self.calm, self.forging = chance, turns, calm, forging
        self.clocks, self.now, self.wall = random.Random(chance.random()), SECOND, 10**15
        self.log: Log = {}
        self.order: list[At] = []
        self.over, self.done = set[str](), set[str]()
        self.used: dict[str, Used] = {run_id: Used() for run_id in RUNS_OF_IT}
        self.jobs = [made(number) for number in range(9)]
        self.saved: bytes | None = None
        for event in [*(ran("planned", run=run_id) for run_id in RUNS_OF_IT), *map(planned, self.jobs), *MONEY]:
            self.write(event)
        self.incarnations = 100
        self.agents = {name: self.born() for name in "abc"}
        self.dispatchers = [Dispatcher(), Dispatcher()]

    def born(self) -> Agent:
        """A fresh incarnation, named by a clock that may have gone back."""
        self.incarnations += self.chance.choice((-7, 3, 11))
        return Agent(self.incarnations * 1000 + self.chance.randrange(1000), read=-1)

    def write(self, event: Event) -> tuple[At, int]:
        """Appends to the log."""
        at = topic_of(event).name, partition_of(event)
        self.log.setdefault(at, []).append((event, self.wall + self.now))
        self.order.append(at)
        if isinstance(event, RunChanged) and event.state in TERMINAL:
            self.over.add(event.run_id)
        if isinstance(event, JobChanged):
            self.used[event.run_id].report(event)
            if event.state == "finished":
                self.done.add(event.job_id)
        return at, len(self.log[at]) - 1

    def ends(self) -> dict[At, int]:
        """The next offsets."""
        return {at: len(events) for at, events in self.log.items()}

    def tick(self) -> None:
        """Half a second."""
        self.now += SECOND // 2
        if self.clocks.random() < self.turns:
            self.wall += self.clocks.randrange(-24 * HOURS, 24 * HOURS)
        for name, agent in list(self.agents.items()):
            self.live(name, agent)
        for place, dispatcher in enumerate(self.dispatchers):
            self.dispatch(place, dispatcher)
        if self.forging and self.chance.random() < 0.3:
            self.write(self.forged())
        self.settle()

    def forged(self) -> Event:
        """What somebody sends who is no dispatcher, under a term that nobody took, or not yet.

        Beats only of terms that nobody will: one that was guessed is believed by whoever reads it late, and costs at most a takeover.
        """
        work, kind = self.chance.choice(self.jobs), self.chance.choice(("beat", "mark", "release", "cancel"))
        far, next_one = (2**63 - 1, 10**6, -1, -(2**63)), len(self.log.get(TAKEN, ()))
        term = self.chance.choice(far if kind == "beat" else (*far, next_one, next_one + 1))
        said = {"occurred_us": 0, "producer": STAMP, "pool": "default", "term": term}
        if kind == "beat":
            return DispatcherBeat.model_validate(said | {"sequence": 2**63 - 1, "leaving": True})
        if kind == "mark":
            return JobReleased.model_validate(said | {"kind": kind, "nonce": f"{self.chance.randrange(JOB_PARTITIONS)}"})
        agent = self.chance.choice("abc")
        incarnation, attempt = self.agents[agent].incarnation, self.chance.choice((1, 2, 2**63 - 1))
        return released(work, agent=agent, attempt=attempt, term=term, incarnation=incarnation, kind=kind)

    def settle(self) -> None:
        """A run whose jobs have all finished is completed; now and then one is cancelled by a person."""
        for run_id in RUNS_OF_IT:
            if run_id not in self.over and all(one.job_id in self.done for one in self.jobs if one.run_id == run_id):
                self.write(ran("completed", run=run_id))
        if not self.calm and self.chance.random() < 0.01:
            self.write(CancellationRequested(occurred_us=0, producer=STAMP, run_id=RUNS_OF_IT[2], by="me"))

    def finished(self) -> bool:
        """No run is open, nobody is at a job any more, and who settles waits for no agent."""
        working, awaited = any(agent.job for agent in self.agents.values()), any(used.open for used in self.used.values())
        return len(self.over) == len(RUNS_OF_IT) and not working and not awaited

    # --- Agents

    def live(self, name: str, agent: Agent) -> None:
        """An agent obeys, works and beats, or dies and comes back as another incarnation."""
        if agent.away:
            agent.away -= 1
            return
        if self.chance.random() < 0.04:
            self.agents[name] = self.born()
            self.agents[name].away = self.chance.randrange(1, 12)
            return
        self.obey(name, agent)
        if agent.job and agent.left == 0:
            state = "failed" if self.chance.random() < 0.25 else "finished"
            self.report(name, agent, state)
        agent.left = max(0, agent.left - 1)
        agent.sequence += 1
        running = (Running(job_id=agent.job.job_id, attempt=agent.attempt),) if agent.job else ()
        self.write(beat(name, incarnation=agent.incarnation, sequence=agent.sequence, running=running))

    def report(self, name: str, agent: Agent, state: str) -> None:
        """The agent says where its attempt stands, or how it ended."""
        assert agent.job
        error = FOR_GOOD if state == "failed" and self.chance.random() < 0.3 else None
        told = changed(agent.job, state, attempt=agent.attempt, sequence=agent.sequence, error=error)
        agent_of = {"agent_id": name, "incarnation": agent.incarnation, "environment_sha": "env", "event_id": ""}
        self.write(type(told).model_validate(told.model_dump() | agent_of))
        if state != "loading":
            agent.job = None

    def obey(self, name: str, agent: Agent) -> None:
        """Takes what lies in its partition from its birth on, but for what a higher mark makes void."""
        at = JOBS, zlib.crc32(name.encode()) % JOB_PARTITIONS
        events = self.log.get(at, [])
        if agent.read < 0:
            # As the worker does: marks that lie before its beginning it will never read.
            agent.read, agent.term = len(events), len(self.log.get(TAKEN, ())) - 1
        taken = Succession()
        for offset, (event, _) in enumerate(self.log.get(TAKEN, ())):
            assert isinstance(event, DispatcherTook)
            taken.fold(event, offset=offset, at_us=0)
        for offset, (event, _) in enumerate(events[agent.read :], agent.read):
            assert isinstance(event, JobReleased)
            if event.term >= agent.term and taken.holds(event.term, partition=at[1], offset=offset):
                agent.term = event.term
                self.take(name, agent, event)
        agent.read = len(events)

    def take(self, name: str, agent: Agent, lease: JobReleased) -> None:
        """Begins a job that is leased to this incarnation, or lets go of it."""
        if (lease.agent_id, lease.incarnation) != (name, agent.incarnation):
            return
        if lease.kind == "cancel":
            if agent.job and (agent.job.job_id, agent.attempt) == (lease.job_id, lease.attempt):
                self.report(name, agent, "cancelled")
            return
        assert lease.job and agent.job is None, "an agent that is busy was leased a job"
        holders = [other for other in self.agents.values() if other.job and other.job.job_id == lease.job_id and not other.away]
        assert not holders, "two live incarnations hold one job"
        agent.job, agent.attempt, agent.left = lease.job, lease.attempt, self.chance.randrange(1, 14)
        self.report(name, agent, "loading")

    # --- Dispatchers

    def dispatch(self, place: int, dispatcher: Dispatcher) -> None:
        """A dispatcher dies, or reads on and does what there is to do."""
        if not self.calm and self.chance.random() < 0.05:
            if dispatcher.acts and self.chance.random() < 0.5:
                self.says(dispatcher, leaving=True)
            self.dispatchers[place] = self.restored()
            return
        if self.sleeps(dispatcher):
            return
        self.read(dispatcher, at_us=self.now)
        if not dispatcher.caught_up():
            return
        succession = dispatcher.pool.succession
        if dispatcher.acts and succession.term == dispatcher.term:
            self.says(dispatcher)
            self.act(dispatcher)
        elif dispatcher.term == succession.term and dispatcher.term >= 0:
            dispatcher.acts = True
        elif succession.vacant(now_us=self.now):
            self.succeed(dispatcher)

    def sleeps(self, dispatcher: Dispatcher) -> bool:
        """Whether the process is stopped; at the end it writes what it had decided before, though another may have the pool by now."""
        if dispatcher.asleep:
            dispatcher.asleep -= 1
            if not dispatcher.asleep:
                self.says_all(dispatcher, dispatcher.unsaid)
            return True
        return False

    def restored(self) -> Dispatcher:
        """A new process, from the newest snapshot or from nothing, caught up."""
        pool = loaded(self.saved, empty()) if self.saved and self.chance.random() < 0.7 else empty()
        found = Dispatcher(pool)
        while any([tell(pool, self.log, at, at_us=0) for at in self.log]):
            pass
        pool.listens(now_us=self.now)
        pool.succession.listens(now_us=self.now)
        return found

    def read(self, dispatcher: Dispatcher, *, at_us: int) -> None:
        """Reads everything, or some of it in any order."""
        for at in self.chance.sample(sorted(self.log), len(self.log)):
            most = 1000 if self.calm or self.chance.random() < 0.8 else self.chance.randrange(3)
            while most and tell(dispatcher.pool, self.log, at, at_us=at_us):
                most -= 1
        if self.chance.random() < 0.1:
            self.saved = dumped(picture(dispatcher.pool))

    def says(self, dispatcher: Dispatcher, *, leaving: bool = False) -> None:
        """It lives, or leaves."""
        dispatcher.sequence += 1
        told = {"term": dispatcher.term, "sequence": dispatcher.sequence, "leaving": leaving}
        self.write(DispatcherBeat.model_validate({"occurred_us": 0, "producer": STAMP, "pool": "default"} | told))

    def succeed(self, dispatcher: Dispatcher) -> None:
        """It takes the pool, and acts once it has read up to its marks."""
        begins = tuple(len(self.log.get((JOBS, partition), ())) for partition in range(JOB_PARTITIONS))
        _, dispatcher.term = self.write(took(begins=begins, nonce=f"{self.chance.random()}"))
        dispatcher.sequence, dispatcher.acts = 0, False
        for partition in range(JOB_PARTITIONS):
            self.write(JobReleased(occurred_us=0, producer=STAMP, pool="default", term=dispatcher.term, kind="mark", nonce=f"{partition}"))
        dispatcher.until = self.ends()

    def act(self, dispatcher: Dispatcher) -> None:
        """Writes what it decides, and waits until it has read that; or is stopped, or dies, before it has written all of it."""
        pool, now = dispatcher.pool, Moment(self.now, self.wall + self.now)
        events = [event_of(decision, pool="default", term=dispatcher.term) for decision in decide(pool, now)]
        if events and not self.calm and self.chance.random() < 0.3:
            self.says_all(dispatcher, events[: self.chance.randrange(len(events) + 1)])
            self.dispatchers[self.dispatchers.index(dispatcher)] = self.restored()
            return
        if self.chance.random() < 0.2:
            events += [delayed(delay, pool, term=dispatcher.term) for delay in waits(pool, now)]
        if events and not self.calm and self.chance.random() < 0.15:
            written = self.chance.randrange(len(events) + 1)
            self.says_all(dispatcher, events[:written])
            dispatcher.asleep, dispatcher.unsaid = self.chance.randrange(2, 20), events[written:]
            return
        self.says_all(dispatcher, events)

    def says_all(self, dispatcher: Dispatcher, events: list[Event]) -> None:
        """Writes events, and has the dispatcher wait until it has read them."""
        for event in events:
            at, offset = self.write(event)
            dispatcher.until[at] = offset + 1


MONEY: tuple[Event, ...] = (
    EnvironmentSeen(
        occurred_us=0, producer=STAMP, sha="env", packages={}, driver=None, cpu="c", cpu_flags=(), cores=4, memory_bytes=0, devices=(),
        container_digest=None, os="l",
    ),
    PricePublished(
        occurred_us=0, producer=STAMP, item="cpu_hour", region="any", currency="USD", amount_nano=10**8, unit="core-hour",
        valid_from_us=-(10**18), valid_to_us=None, source="test", version="v1",
    ),
)  # fmt: skip


def visible(pool: Pool) -> object:
    """All that can be seen of a pool, but for its clocks: its state, and the indexes that follow from it."""
    pool.weigh()
    shelves = pool.shelves
    lines = {line.key: ([(item.age, item.job.job_id, item.after) for item in line.queue], line.served_us) for line in shelves.lines.all()}
    on = tuple(map(set, (shelves.leased, shelves.paused, shelves.failed)))
    return dumped(picture(pool)), lines, on, pool.limits, shelves.shares(), sorted(pool.over)


def straight(log: Log) -> Pool:
    """An undisturbed fold: one partition after the other."""
    pool = empty()
    for at in sorted(log, key=lambda at: (at[0] != RUNS.name, at)):
        while tell(pool, log, at, at_us=0):
            pass
    return pool


def beats_aside(events: list[tuple[Event, int]]) -> list[Event]:
    """The events without heartbeats."""
    return [event for event, _ in events if not isinstance(event, AgentBeat | DispatcherBeat)]
