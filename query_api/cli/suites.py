"""Suites on the command line: listing them, showing one, and asking for one."""

from typing import Annotated, Any

import typer

from infra.suites.reading import Member, Suite, names, suite
from query_api.cli import showing
from query_api.cli.options import AsJson
from query_api.drawing.charts import number
from streams.errors import Invalid


def suite_names(incomplete: str) -> list[str]:
    """Names of suites, for the shell to complete."""
    return [name for name in names() if name.startswith(incomplete)]


def suites(
    name: Annotated[str | None, typer.Argument(help="one suite, with its tasks", autocompletion=suite_names)] = None,
    as_json: AsJson = False,
) -> None:
    """Lists the suites, or shows the tasks of one with what they are pinned to.

    Examples: `assay suites` · `assay suites reasoning` · `assay suites safety --json`
    """
    if name:
        found = suite(name)
        showing.document(_document(found)) if as_json else _shown(found)
        return
    every = [suite(one) for one in names()]
    if as_json:
        showing.document({"suites": [_document(one) for one in every]})
        return
    showing.table(["suite", "version", ">tasks", ">samples", ""], [_row(one) for one in every])


def suite_said(
    tasks: list[dict[str, Any]],
    *,
    fewshot: int | None,
    metrics: list[str] | None = None,
    fewshot_exclude_self: bool | None = None,
    repeats: int | None = None,
    vary: list[str] | None = None,
    **limit: float | None,
) -> dict[str, Any]:
    """What is said of tasks that are not named, and that a suite brings: their `limit`. Raises: Invalid for what a suite does not take."""
    if tasks:
        return {}
    if fewshot is not None:
        raise Invalid("--fewshot: a suite pins the examples of its tasks; name tasks to choose another number", code="option")
    if fewshot_exclude_self:
        raise Invalid("--fewshot-exclude-self: a suite pins the examples of its tasks; name tasks to draw others", code="option")
    if vary or repeats is not None:
        raise Invalid("--repeats, --vary: a suite's tasks are asked as they are pinned; name tasks to repeat them", code="option")
    if metrics:
        raise Invalid("--metric: a suite's tasks have their own metrics; name tasks to ask for more", code="option")
    return {name: value for name, value in limit.items() if value is not None}


def _row(found: Suite) -> tuple[Any, ...]:
    groups = {member.group or member.task for member in found.members}
    return found.name, found.version, len(groups), sum(one.pin.samples for one in found.members if one.pin), found.description


def _shown(found: Suite) -> None:
    showing.say((found.name, "bold"), f" {found.version}: {found.description}")
    showing.table(
        ["task", "version", ">few-shot", "metric", ">chance", ">samples", "data", "published", "licence", "sha256"],
        [_told(one) for one in found.members],
    )


def _told(one: Member) -> tuple[Any, ...]:
    pin = one.pin
    if pin is None:
        return one.task, None, one.fewshot, "not pinned", None, None, one.source, one.published, one.licence, None
    return (one.task, pin.version, one.fewshot, pin.metric, number(pin.chance), pin.samples, pin.data, one.published, one.licence,
            pin.sha256[:12])  # fmt: skip


def _document(found: Suite) -> dict[str, Any]:
    from query_api.routes.suites import told

    return told(found).model_dump(mode="json")
