"""Runs as boards see them: what each has come to, and the values of its documents. From the results that are said, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.event import Visibility
from schemas.jobs import EngineUsed
from schemas.results import Documents, Figure
from schemas.runs import Adaptive, Plan, PlannedTask
from schemas.settled import RunSettled, TaskSettled
from streams.quality.judging import about, identity
from streams.settling.documents import Columns, unpacked

PROVEN_SINCE: Final = 10  # the version of performance from which on a capacity is one that was proven


@dataclass(frozen=True, slots=True)
class Result:
    """A run that has completed. `model`: what makes two runs runs of one model; a run that judges is about the model that it judges.

    Runs of several organisations, or public ones and others, are not of one model: none takes the other's place on a board.

    `documents`: the values of its tasks' main metrics; `speed`: the figures of its workload; `by_task`: the tasks of its plan.
    """

    run_id: str
    organisation_id: str
    visibility: Visibility
    model: tuple[str, ...]
    plan: Plan
    changed_us: int
    latest_us: int
    digest: str
    engine: EngineUsed | None = None
    environment_sha: str | None = None
    environments: tuple[str, ...] = ()
    tasks: Mapping[str, TaskSettled] = field(default_factory=dict)
    speed: Mapping[str, Figure] = field(default_factory=dict)
    documents: Mapping[str, Columns] = field(default_factory=dict)
    served_elsewhere: bool = False
    by_task: Mapping[str, PlannedTask] = field(default_factory=dict)

    def planned(self, task: str) -> PlannedTask | None:
        """The task as planned."""
        return self.by_task.get(task)

    def stopped(self, task: str) -> bool:
        """The task stopped early."""
        planned = self.planned(task)
        return planned is not None and planned.stopping is not None and task in self.tasks and self.tasks[task].documents < planned.samples

    def part(self, task: str) -> Adaptive | None:
        """The part of the task that was asked in place of the whole; None where all of it was."""
        planned = self.planned(task)
        return planned.adaptive if planned else None

    def figure(self, task: str) -> Figure | None:
        """The task's main figure."""
        return self.tasks[task].figure if task in self.tasks else None

    @property
    def whole(self) -> bool:
        """Every task's scores are here, their documents too."""
        return all(planned.task in self.tasks and planned.task in self.documents for planned in self.plan.tasks)


def result_of(settled: RunSettled, scores: Mapping[str, Documents]) -> Result | None:
    """The result of a completed run; None of any other. `scores`: task → its documents, by the scorer that the result names."""
    if settled.state != "completed" or settled.plan is None:
        return None
    return Result(
        run_id=settled.run_id,
        organisation_id=settled.organisation_id,
        visibility=settled.visibility,
        model=(*identity(about(settled.plan)), settled.organisation_id, *(["public"] if settled.visibility == "public" else [])),
        plan=settled.plan,
        changed_us=settled.changed_us,
        latest_us=settled.occurred_us,
        digest=settled.inputs_digest,
        engine=settled.engine,
        environment_sha=settled.environment_sha,
        environments=settled.environments,
        tasks={task.task: task for task in settled.tasks},
        speed=_speed(settled),
        documents={task: unpacked(documents) for task, documents in scores.items()},
        served_elsewhere=settled.served_elsewhere,
        by_task={planned.task: planned for planned in settled.plan.tasks},
    )


def _speed(settled: RunSettled) -> dict[str, Figure]:
    """The figures of its workload. Older formulas called the tokens/s of any closed load a capacity: only those of a sweep are kept."""
    speed = {figure.metric: figure for figure in settled.speed}
    _, _, number = (settled.speed_formula or "").partition("performance-")
    if number.isdigit() and int(number) < PROVEN_SINCE and "capacity_requests_per_s" not in speed:
        speed.pop("capacity_tokens_per_s", None)
    return speed
