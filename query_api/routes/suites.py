"""Suites: the tasks that they bring, and what these are pinned to."""

from dataclasses import asdict

from pydantic import Field

from infra.suites.reading import Member, Suite, names, suite
from query_api.routing import Call, Operation
from query_api.shapes import Nothing, Shape


class SuiteTask(Shape):
    """A task of a suite. What it is pinned to is null where it is not pinned."""

    task: str
    fewshot: int
    group: str | None = Field(description="tasks of one group count as one")
    licence: str = Field(description="the data's")
    source: str = Field(description="where the data come from")
    version: str | None
    data: str | None = Field(description="the data set's name on the hub")
    sha256: str | None = Field(description="of all that is read of the data")
    metric: str | None = Field(description="the main metric, which rankings use")
    chance: float | None = Field(description="what guessing gives by it")
    samples: int | None
    metrics: tuple[str, ...] = Field(description="computed beside the task's own")


class SuiteTold(Shape):
    """A version of a suite."""

    name: str
    version: str
    description: str
    seed: int
    tasks: tuple[SuiteTask, ...]


class Suites(Shape):
    """The project's suites, by name."""

    suites: tuple[SuiteTold, ...]


NO_PIN = dict.fromkeys(("version", "data", "sha256", "metric", "chance", "samples"))


def told(found: Suite) -> SuiteTold:
    """A suite as clients have it."""
    return SuiteTold(
        name=found.name, version=found.version, description=found.description, seed=found.seed, tasks=tuple(map(_task, found.members))
    )


def _task(one: Member) -> SuiteTask:
    own = {"task": one.task, "fewshot": one.fewshot, "group": one.group, "licence": one.licence, "source": one.source,
           "metrics": one.metrics}  # fmt: skip
    return SuiteTask.model_validate(own | (asdict(one.pin) if one.pin else NO_PIN))


async def suites(_call: Call[Nothing, Nothing]) -> Suites:
    """Lists the suites that can be asked for by name, each with its tasks and their pins."""
    return Suites(suites=tuple(told(suite(name)) for name in names()))


OPERATIONS = (Operation("GET", "/v1/suites", suites, tag="rankings"),)
