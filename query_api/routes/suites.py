"""Suites: the tasks that they bring, and what these are pinned to."""

from dataclasses import asdict
from typing import Final, Literal

from pydantic import Field

from infra.suites.reading import Member, Suite, names, suite
from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.reading.paging import UNKNOWN, Listing, PagedWhole, page
from streams.errors import NotFound

LISTING: Final = Listing("suites", sorts={"name": "String"}, key={"name": "String"})
TASKS: Final = Listing("suite_tasks", sorts={"place": "Int64", "task": "String", "samples": UNKNOWN}, key={"place": "Int64"})


class SuitesAsked(PagedWhole):
    """Which suites."""

    match: str = Field(default="", description="only those whose name has this in it")
    sort: Literal["name", "-name"] = Field(default="name", description="by name; a minus: backwards")


class SuiteTasksAsked(PagedWhole):
    """Which tasks of a suite."""

    match: str = Field(default="", description="only those whose name has this in it")
    group: str = Field(default="", description="only those of this group")
    licence: str = Field(default="", description="only those whose data have this licence")
    sort: Literal["place", "-place", "task", "-task", "samples", "-samples"] = Field(
        default="place", description="as the suite has them, by name, or by how many samples they have; what is not known comes last"
    )


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
    published: str | None = Field(description="the month in which the data first appeared, YYYY-MM; null where that is not surely known")


class SuiteTold(Shape):
    """A version of a suite."""

    name: str
    version: str
    description: str
    seed: int
    tasks: tuple[SuiteTask, ...]


class Suites(Shape):
    """The project's suites, in the order asked for."""

    suites: tuple[SuiteTold, ...]
    next: str | None = Field(description="the next page's cursor; null at the end")


class SuiteTasks(Shape):
    """Tasks of a version of a suite, in the order asked for."""

    name: str
    version: str
    tasks: tuple[SuiteTask, ...]
    next: str | None = Field(description="the next page's cursor; null at the end")


NO_PIN = dict.fromkeys(("version", "data", "sha256", "metric", "chance", "samples"))


def told(found: Suite) -> SuiteTold:
    """A suite as clients have it."""
    return SuiteTold(
        name=found.name, version=found.version, description=found.description, seed=found.seed, tasks=tuple(map(_task, found.members))
    )


def _task(one: Member) -> SuiteTask:
    own = {"task": one.task, "fewshot": one.fewshot, "group": one.group, "licence": one.licence, "source": one.source,
           "metrics": one.metrics, "published": one.published}  # fmt: skip
    return SuiteTask.model_validate(own | (asdict(one.pin) if one.pin else NO_PIN))


async def suites(call: Call[SuitesAsked, Nothing]) -> Suites:
    """Lists the suites that can be asked for by name, each with its tasks and their pins."""
    asked = call.query
    fitting = [{"name": name} for name in names() if asked.match in name]
    found, following = page(fitting, LISTING, asked.sort, asked={"match": asked.match}, limit=asked.limit, cursor=asked.cursor)
    return Suites(suites=tuple(told(suite(one["name"])) for one in found), next=following)


async def suite_tasks(call: Call[SuiteTasksAsked, Nothing]) -> SuiteTasks:
    """Lists the tasks of a suite with their pins, in the suite's own order."""
    name, asked = call.path["suite"], call.query
    if name not in names():
        raise NotFound(f"no suite {name!r}; there are: {', '.join(names())}", code="unknown-suite")
    found = suite(name)
    filters = asked.model_dump(exclude={"sort", "limit", "cursor"})
    rows = [_task(one).model_dump() | {"place": place} for place, one in enumerate(found.members) if _fits(one, **filters)]
    # Of another version's tasks a place says nothing.
    told, following = page(
        rows, TASKS, asked.sort, asked=filters | {"suite": name, "version": found.version}, limit=asked.limit, cursor=asked.cursor
    )
    tasks = [{column: value for column, value in row.items() if column != "place"} for row in told]
    return SuiteTasks.model_validate({"name": name, "version": found.version, "tasks": tasks, "next": following})


def _fits(one: Member, *, match: str, group: str, licence: str) -> bool:
    return match in one.task and group in ("", one.group) and licence in ("", one.licence)


OPERATIONS = (
    Operation("GET", "/v1/suites", suites, tag="rankings"),
    Operation("GET", "/v1/suites/{suite}/tasks", suite_tasks, tag="rankings"),
)
