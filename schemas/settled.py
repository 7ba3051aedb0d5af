"""What a run has come to, in one event: boards, costs and comparisons read it, and need nothing of what it was made from."""

from typing import ClassVar

from pydantic import Field

from schemas.event import Event, Record, RunId
from schemas.jobs import EngineUsed
from schemas.results import Figure
from schemas.runs import Plan, RunState


class AttemptUsed(Record):
    """An attempt of a job on an agent, from its first report to its last, and what its meters counted while it ran.

    `energy_uj` is null where nothing was metered; `energy_grade` is that of the least good meter.
    """

    job_id: str
    agent_id: str
    attempt: int
    first_us: int
    last_us: int
    environment_sha: str | None
    finished: bool
    energy_uj: int | None = None
    energy_grade: str | None = None


class TaskSettled(Record):
    """A task that is scored: by which scorer, over how many documents, and its main figure. Its documents are in its RunScored."""

    task: str
    scorer_version: str
    documents: int
    figure: Figure | None


class LeftOut(Record):
    """What could not be worked out of a completed run, and why: a task's scores by a scorer or, where `task` is null, its speed.

    What the same had come to before, by an older scorer, stands.
    """

    task: str | None
    scorer_version: str | None
    why: str


class RunSettled(Event):
    """What a run has come to. Of several the newest in its partition holds: each knows more. `final`: nothing more is awaited.

    `planned_at` is where its plan lies on the topic of runs, in this event's partition. `through` is, for each topic, the offset in this
    partition below which all that the log says of the run is in here; behind it only a newer scorer says anything new. More `attempts` than
    are named one by one are `attempts_packed` (streams/settling/attempts.py); where no record can hold them, `attempts_untold` says why.
    `left_out` is what is missing of it, for it could not be worked out.
    """

    identity: ClassVar[tuple[str, ...]] = ("run_id", "inputs_digest")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    state: RunState
    final: bool
    inputs_digest: str
    changed_us: int
    plan: Plan | None = None
    planned_at: int | None = None
    through: dict[str, int] = Field(default_factory=dict)
    served_elsewhere: bool = False
    engine: EngineUsed | None = None
    environment_sha: str | None = None
    environments: tuple[str, ...] = ()
    attempts: tuple[AttemptUsed, ...] = ()
    tasks: tuple[TaskSettled, ...] = ()
    speed: tuple[Figure, ...] = ()
    speed_formula: str | None = None
    attempts_packed: bytes | None = None
    attempts_untold: str | None = None
    left_out: tuple[LeftOut, ...] = ()

    @property
    def scorers(self) -> frozenset[str]:
        """The scorer versions that it knows the scores of."""
        missing = (one.scorer_version for one in self.left_out if one.scorer_version is not None)
        return frozenset([*(one.scorer_version for one in self.tasks), *missing])

    @property
    def knows(self) -> tuple[object, ...]:
        """How much it knows: of two results of a run that which knows more has the greater one."""
        return self.occurred_us, self.final, max(self.scorers, default=""), len(self.tasks), len(self.left_out)


class RunProgressed(Event):
    """Where a task of a run stands while it runs: provisional figures, kept for a week."""

    identity: ClassVar[tuple[str, ...]] = ("run_id", "task", "scorer_version", "scored", "not_scored")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    task: str
    scorer_version: str
    scored: int
    not_scored: int
    expected: int
    figures: tuple[Figure, ...]
