"""Two runs compared, for people: a table, what it means in words, and the samples that differ."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.client import Client
from query_api.cli.completing import task_names
from query_api.cli.options import AsJson, RunId
from query_api.drawing.against import COLUMNS
from query_api.drawing.against import rows as rows_of
from query_api.drawing.charts import number
from query_api.drawing.grouping import arranged, mean_told

LISTED = 5


def compare(
    a: RunId,
    b: RunId,
    task: Annotated[str | None, typer.Option(help="only this task, or the tasks of this group", autocompletion=task_names)] = None,
    samples: Annotated[int, typer.Option(min=1, max=500, help="list so many differing samples of each task (--json has as many)")] = LISTED,
    difference: Annotated[float | None, typer.Option(min=0, help="say how many samples would find a true difference of this size")] = None,
    margin: Annotated[float | None, typer.Option(min=0, help="test whether the runs are within this of one another")] = None,
    speed: Annotated[bool, typer.Option("--speed", help="compare the loads of two runs of `assay perf`, figure by figure")] = False,
    as_json: AsJson = False,
) -> None:
    """Compares two runs on the samples that both have, or their loads, and says whether the difference is real.

    The difference is of the task's main metric, with its 95 % interval; p is of McNemar's mid-p test (0/1 values) or of a t test that
    allows for skewness, after Holm's correction over all tasks that are compared, each of a group's too. Questions on one passage count as
    one cluster. A group of tasks (MMLU's subjects) has a row too, and counts as one in the mean over tasks, as in rankings; neither is
    tested.

    Examples: `assay compare A B` · `assay compare A B --task mmlu --samples 20` · `assay compare A B --difference 0.02`
    · `assay compare FULL QUANTISED --margin 0.01` · `assay compare A B --json` · `assay compare A B --speed`
    """
    if speed:
        loads = Client(Settings()).get("/v1/compare-loads", a=a, b=b)
        showing.document(loads) if as_json else _loads(loads)
        return
    told = Client(Settings()).get("/v1/compare", a=a, b=b, task=task, limit=samples, difference=difference, margin=margin)
    showing.document(told) if as_json else _shown(told)


def _sides(told: Mapping[str, Any]) -> None:
    for side in ("a", "b"):
        one = told[side]
        partly = "" if one["state"] == "completed" else f"  {one['state']}: its figures are provisional"
        name = f"  {showing.short(one['model'])}  "
        showing.say((side.upper(), "bold"), name, (one["run_id"], "dim"), (partly, "yellow"))


def _loads(told: Mapping[str, Any]) -> None:
    _sides(told)
    showing.table(["", *(f">{name}" if name else "" for name in COLUMNS)], rows_of(told["figures"]))
    for one in told["unlike"]:
        showing.say((f"not alike: {one}", "yellow"))
    showing.note("intervals are of each run's own; what changes from one start of a server to the next is in none (--repeat 5)")


def _shown(told: Mapping[str, Any]) -> None:
    _sides(told)
    arranged_rows = arranged(told["tasks"], told["groups"])
    rows = [_row(one) for one in arranged_rows]
    showing.table(["task", ">A", ">B", ">A - B", ">95 % interval", ">p", ">differ"], rows)
    if any(one["p_holm"] is not None for one in arranged_rows):
        tests = dict.fromkeys(one["difference"]["test"] for one in told["tasks"])
        showing.note(f"p: {' · '.join(tests)}; after Holm's correction over all tasks")
    if methods := dict.fromkeys(one["difference"]["method"] for one in arranged_rows if one["difference"]["method"]):
        showing.note(f"intervals: {' · '.join(methods)}")
    for one in arranged_rows:
        showing.say(f"{one['task'] or one['group']} by {_metric(one)}: {one['words']}")
    if len(told["tasks"]) > 1:
        whole = told["overall"]
        interval = f"{number(whole['low'], 3)} to {number(whole['high'], 3)}"
        means = f"{mean_told(told)}: {number(whole['difference'], 3)} ({interval}), positive where A is better."
        showing.say(f"\n{told['summary']}. {means}")
    for one in told["skipped"]:
        showing.say((f"{one['task']} is not compared: {one['reason']}", "yellow"))
    for one in told["tasks"]:
        _samples(one)


def _row(one: Mapping[str, Any]) -> tuple[Any, ...]:
    own = one["difference"]
    interval = f"{number(own['low'], 3)} to {number(own['high'], 3)}"
    figures = number(one["a"], 4), number(one["b"], 4), number(own["value"], 4)
    name = one["task"] or f"{one['group']} ({one['tasks']} tasks)"
    p = None if one["p_holm"] is None else f"{one['p_holm']:.2g}"
    differ = f"{one['differing']} of {own['n']}"
    return f"  {name}" if one["task"] and one["group"] else name, *figures, interval, p, differ


def _metric(one: Mapping[str, Any]) -> str:
    return str(one["metric"]) if one["filter"] == "none" else f"{one['metric']} ({one['filter']})"


def _samples(one: Mapping[str, Any]) -> None:
    if not one["samples"]:
        return
    left = one["differing"] - len(one["samples"])
    rows = [(sample["ordinal"], sample["doc_id"], number(sample["a"], 3), number(sample["b"], 3)) for sample in one["samples"]]
    showing.say(f"\n{one['task']}: samples that differ most{f', {left} more not shown' if left else ''}")
    showing.table([">sample", ">document", ">A", ">B"], rows)
