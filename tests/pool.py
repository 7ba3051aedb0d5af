"""Jobs, agents and what is said of them, for tests of a pool's queue and leases."""

from dataclasses import dataclass, field
from typing import Any

from schemas.event import Event, Producer
from schemas.jobs import AgentBeat, DispatcherBeat, DispatcherTook, Job, JobChanged, JobError, JobPlanned, JobReleased, Need
from schemas.requests import Budget, Chat, EngineChoice, ModelRef
from schemas.runs import RunChanged
from streams.queue.clocks import Moment
from streams.queue.deciding import decide, waits
from streams.queue.delays import Delay
from streams.queue.dispatch import Pool
from streams.queue.leases import Cancel, Decision
from streams.queue.lines import Waiting
from streams.queue.queueing import GIB, Policy
from streams.topics import DISPATCHERS, topic_of
from tests.runs import run_named

STAMP = Producer(service="test", version="0")
RUN = run_named("run")
SECOND = 1_000_000
# A policy whose times are short, and a moment long after the first.
POLICY = Policy(ageing_us=10, patience_us=60, slice_us=15)
NOW = 1000


def job(name: str, *, run: str = RUN, priority: int = 0, submitter: str = "me", model: str = "m", **more: Any) -> Job:
    """A job of four samples."""
    return Job(
        run_id=run, job_id=name, kind="answer", pool="default", submitter=submitter, organisation_id="local", priority=priority,
        model=ModelRef(uri=model), engine=EngineChoice(name="echo"), chat=Chat(), count=4, **more,
    )  # fmt: skip


def waiting(name: str, age: int = 0, *, gib: int = 0, devices: int = 0, deadline: int | None = None, **more: Any) -> Waiting:
    """A waiting job, planned at NOW unless told otherwise."""
    since, after = more.pop("since", NOW), more.pop("after", None)
    need = Need(memory_bytes=gib * GIB, devices=devices)
    return Waiting(job(name, need=need, budget=Budget(deadline_us=deadline), **more), (age, 0, 0), since, after)


def planned(work: Job) -> JobPlanned:
    """The plan of a job."""
    return JobPlanned(occurred_us=0, producer=STAMP, pool="default", job_id=work.job_id, run_id=work.run_id, job=work)


def beat(agent: str, *, incarnation: int = 1, sequence: int = 0, held: tuple[str, ...] = (), gib: int = 0, **more: Any) -> AgentBeat:
    """A heartbeat of an agent with so much memory."""
    return AgentBeat(
        occurred_us=0, producer=STAMP, pool="default", agent_id=agent, incarnation=incarnation, sequence=sequence,
        models_held=held, total_bytes=gib * 2**30, **more,
    )  # fmt: skip


def changed(work: Job, state: str, *, attempt: int = 1, done: bytes = b"", error: JobError | None = None, sequence: int = 0) -> JobChanged:
    """A report on a job."""
    return JobChanged.model_validate({
        "occurred_us": 0, "producer": STAMP, "pool": "default", "run_id": work.run_id, "job_id": work.job_id, "attempt": attempt,
        "agent_id": "a", "incarnation": 1, "state": state, "done": done, "error": error, "sequence": sequence,
    })  # fmt: skip


def released(work: Job, *, agent: str = "a", attempt: int = 1, term: int = 0, incarnation: int = 1, kind: str = "release") -> JobReleased:
    """A lease."""
    return JobReleased.model_validate({
        "occurred_us": 0, "producer": STAMP, "pool": "default", "term": term, "kind": kind, "run_id": work.run_id,
        "job_id": work.job_id, "job": work, "attempt": attempt, "agent_id": agent, "incarnation": incarnation,
    })  # fmt: skip


def took(pool: str = "default", *, begins: tuple[int, ...] = (), nonce: str = "n") -> DispatcherTook:
    """A dispatcher takes the pool."""
    return DispatcherTook(occurred_us=0, producer=STAMP, pool=pool, nonce=nonce, begins=begins)


def cancel(work: Job, *, agent: str = "a", attempt: int = 1, incarnation: int = 1) -> Cancel:
    """The decision to end a lease."""
    return Cancel(work.run_id, work.job_id, attempt, agent, incarnation, work.organisation_id, work.visibility)


@dataclass
class Told:
    """A pool, and the offset of the next event that it is told.

    Of a run whose job is planned, it is said before that it is planned; of an event of a newer term, that a dispatcher took it.
    """

    pool: Pool = field(default_factory=lambda: Pool("default", lease_us=8 * SECOND))
    offset: int = 0
    said: set[str] = field(default_factory=set)

    def tell(self, *events: Event, at_us: int = 1) -> "Told":
        """Folds events in."""
        for event in events:
            if isinstance(event, JobPlanned) and event.run_id not in self.said:
                self.said.add(event.run_id)
                self._fold(ran("planned", run=event.run_id), at_us)
            self._fold(event, at_us)
        return self

    def takes(self, *terms: int) -> "Told":
        """Dispatchers take the pool, one after the other."""
        for term in terms:
            self.pool.fold(took(self.pool.name), at=(DISPATCHERS.name, 0), offset=term, written_us=1, at_us=1)
        return self

    def _fold(self, event: Event, at_us: int) -> None:
        if isinstance(event, JobReleased | DispatcherBeat) and self.pool.unheard(event):
            self.takes(event.term)
        self.pool.fold(event, at=(topic_of(event).name, 0), offset=self.offset, written_us=at_us, at_us=at_us)
        self.offset += 1

    def decide(self, at_us: int) -> list[Decision]:
        """What the pool decides when both clocks say so."""
        return decide(self.pool, Moment(at_us, at_us))

    def waits(self, at_us: int) -> list[Delay]:
        """What runs wait for when both clocks say so, as far as it is new."""
        return waits(self.pool, Moment(at_us, at_us))


def ran(state: str, *, run: str = RUN, occurred_us: int = 0) -> RunChanged:
    """A step of a run."""
    return RunChanged.model_validate({"occurred_us": occurred_us, "producer": STAMP, "run_id": run, "state": state})
