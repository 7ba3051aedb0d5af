"""The runs of a pool that are open."""

from dataclasses import dataclass, field

from schemas.event import Visibility
from schemas.requests import Budget
from schemas.runs import RunChanged, RunState
from streams.runs import TERMINAL, step

RUNNABLE = frozenset({"planned", "running"})
UNLIMITED = Budget()


@dataclass(slots=True)
class Run:
    """What a pool knows of an open run.

    `heard` are the steps that were told of it, allowed or not. `job_ids` are its planned jobs here, in their order; `names` are all of its
    jobs that were ever heard of, planned or not yet. `dependents` of a job wait for it. `asked` says why it was asked to stop.
    """

    run_id: str
    organisation_id: str = ""
    visibility: Visibility = "organisation"
    budget: Budget = UNLIMITED
    state: RunState | None = None
    heard: set[RunState] = field(default_factory=set)
    started_us: int | None = None
    asked: str | None = None
    stopped: set[str] = field(default_factory=set)
    job_ids: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    dependents: dict[str, list[str]] = field(default_factory=dict)

    def fold(self, event: RunChanged, *, written_us: int) -> bool:
        """Takes a step in, in the order of the log and by its time; False where it is none that may follow, or came again."""
        after = self.state if event.state in self.heard else step(self.state, event.state)
        self.heard.add(event.state)
        if after == self.state:
            return False
        self.state = after
        if after == "running":
            self.started_us = written_us
        return True

    @property
    def over(self) -> bool:
        """Nothing of it is to be run any more."""
        return self.state in TERMINAL

    @property
    def runnable(self) -> bool:
        """The log says that it is planned; its jobs may have been read before that."""
        return self.state in RUNNABLE
