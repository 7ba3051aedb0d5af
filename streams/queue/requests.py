"""Requests and how far each is planned: the fold of `agents.plan`, whose state its snapshots hold.

A request is open until its plan and all of its jobs are in the log.
"""

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from schemas.event import Event
from schemas.jobs import JobPlanned
from schemas.requests import EvaluationRequested
from schemas.runs import RunChanged, RunState
from streams.errors import Conflict
from streams.names import NAME_BYTES, Marks, in_order
from streams.runs import TERMINAL, step
from streams.topics import JOBS_PLANNED, REQUESTS, RUNS

VERSION: Final = "planning-3"  # of the fold and of its bytes: raise it with either
INPUTS: Final = ((REQUESTS,), (RUNS,), (JOBS_PLANNED,))  # one after the other where a state is made from the log
DIGEST_BYTES: Final = 8  # two requests of one id are taken for the same by chance once in 2^64
NOT_THE_BODY: Final = {"event_id", "occurred_us", "producer", "trace_parent"}


@dataclass(slots=True)
class Asked:
    """A run that was asked for and is open: where its request lies, who asks, how far it is planned, and whether judgements follow."""

    offset: int
    judged: bool
    submitter: str
    state: RunState | None = None
    jobs: int | None = None
    planned: set[str] = field(default_factory=set)

    @property
    def unplanned(self) -> bool:
        """Its plan, or a job of it, is not in the log."""
        return self.state is None or (self.state not in TERMINAL and (self.jobs is None or len(self.planned) < self.jobs))

    @property
    def done(self) -> bool:
        """Nothing is to be done about it any more; of one that is judged, its judgements aside."""
        return not self.unplanned and (not self.judged or self.state in TERMINAL)


@dataclass(slots=True)
class Requests:
    """The requests of a partition: the first of each run, by a digest of its content, and those that are open.

    A run that is over costs 29 bytes of memory (streams/names.py), 32 of a snapshot: it is known however late its request comes again.
    """

    first: Marks = field(default_factory=partial(Marks, DIGEST_BYTES))
    open: dict[str, Asked] = field(default_factory=dict)

    def fold(self, event: Event, *, offset: int) -> None:
        """Takes a request in, or what was said of one. Raises: Conflict for a second request of another content under one id."""
        match event:
            case EvaluationRequested():
                self._ask(event, offset)
            case RunChanged() if known := self.open.get(event.run_id):
                known.state = step(known.state, event.state)
                known.jobs = event.plan.jobs if event.plan and known.jobs is None else known.jobs
            case JobPlanned() if known := self.open.get(event.run_id):
                known.planned.add(event.job_id)

    def _ask(self, request: EvaluationRequested, offset: int) -> None:
        body = json.dumps(request.model_dump(mode="json", exclude=NOT_THE_BODY), sort_keys=True)
        digest, known = hashlib.sha256(body.encode()).digest()[:DIGEST_BYTES], self.first.get(request.run_id)
        if known is None:
            self.first.put(request.run_id, digest)
            self.open[request.run_id] = Asked(offset, bool(request.judgements or request.judges), request.submitter)
        elif known != digest:
            raise Conflict(f"run_id {request.run_id} was used before for another request; draw a new one", code="run-id-used")


def dumping(state: Requests) -> Callable[[], bytes]:
    """What writes the requests, as they are now."""
    first = state.first.taken()
    open_ = {run: [one.offset, one.judged, one.submitter, one.state, one.jobs, list(one.planned)] for run, one in state.open.items()}
    return lambda: json.dumps({"first": b64encode(in_order(first, NAME_BYTES + DIGEST_BYTES)).decode(), "open": open_}).encode()


def loaded(told: bytes) -> Requests:
    """The requests in such bytes. Raises: ValueError, KeyError."""
    found = json.loads(told)
    open_ = {
        run: Asked(offset, judged, who, state, jobs, set(done)) for run, (offset, judged, who, state, jobs, done) in found["open"].items()
    }
    return Requests(Marks(DIGEST_BYTES, b64decode(found["first"])), open_)
