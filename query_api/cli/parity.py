"""Runs held to a reference, for people: quality at a margin, then all else as multiples, and what differs in how they ran."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.client import Client
from query_api.cli.completing import run_ids
from query_api.cli.options import AsJson, RunId
from query_api.drawing.charts import number
from query_api.drawing.gains import amount, common, headline, multiple
from streams.boards.parity import MARGIN

VERDICTS = {"as-good": "as good", "better": "better", "worse": "worse", "unknown": "not known"}


def parity(
    reference: RunId,
    others: Annotated[list[str], typer.Argument(help="runs that are held to it", autocompletion=run_ids)],
    margin: Annotated[float, typer.Option(min=0, help="within this, in ratios, a run is as good as the reference")] = MARGIN,
    as_json: AsJson = False,
) -> None:
    """Holds runs to a reference: what the same weights lose and gain on another engine, or quantised.

    For each run: in what it was run differently; the difference of each task's main metric with its 95 % interval, and whether it is as
    good within the margin (two one-sided tests), worse, or not known, with the documents that would tell; tokens/s, TTFT, peak memory,
    J/token and $/1M tokens as multiples of the reference's. p is corrected over all runs and tasks. What was measured on another machine,
    or under another load, is not compared. docs/comparing.md tells how.

    Examples: `assay parity FULL Q4` · `assay parity FULL AWQ FP8 Q4 --margin 0.02` · `assay parity FULL Q4 --json`
    """
    told = Client(Settings()).get("/v1/parity", reference=reference, run=others, margin=margin)
    showing.document(told) if as_json else _shown(told)


def _shown(told: Mapping[str, Any]) -> None:
    one = told["reference"]
    showing.say(("Reference", "bold"), f"  {showing.short(one['model'])}  ", (one["run_id"], "dim"))
    for warning in told["warnings"]:
        showing.say((f"  {warning}", "yellow"))
    for row in told["rows"]:
        _row(row)
    tests = "1 test" if told["tests"] == 1 else f"{told['tests']} tests"
    showing.note(f"p: after Holm's correction over {tests}; margin {told['margin']:g}; changed: documents that are scored differently")


def _row(row: Mapping[str, Any]) -> None:
    showing.say(("\n" + showing.short(row["model"]), "bold"), "  ", (row["run_id"], "dim"))
    for part in _how(row):
        showing.say(f"  {part}")
    for warning in row["warnings"]:
        showing.say((f"  {warning}", "yellow"))
    columns = ["task", ">reference", ">this", ">difference", ">95 % interval", ">p", ">changed", ">answers differ", ""]
    showing.table(columns, [_task(one) for one in row["tasks"]])
    for one in row["tasks"]:
        showing.say(f"{one['task']} by {one['metric']}: {one['words']}")
    if len(row["tasks"]) > 1:
        showing.say(f"Over all: {row['words']}")
    for one in row["skipped"]:
        showing.say((f"{one['task']} is not compared: {one['reason']}", "yellow"))
    why = common(row["figures"])
    if any(value is not None for one in row["figures"] for value in (one["reference"], one["other"])):
        showing.table(["", ">reference", ">this", ">times", ""], [_figure(one, note=not why) for one in row["figures"]])
    if why:
        showing.say(f"Speed, memory, energy and cost: {why}")


def _how(row: Mapping[str, Any]) -> Iterator[str]:
    if not row["differs"]:
        yield "run as the reference was"
    for fact in row["differs"]:
        yield f"{fact['name']}: {fact['other'] or 'none'} (the reference: {fact['reference'] or 'none'})"


def _task(one: Mapping[str, Any]) -> tuple[Any, ...]:
    interval = f"{number(one['low'], 3)} to {number(one['high'], 3)}" if one["low"] is not None else None
    answers = None if one["answered_differently_ratio"] is None else f"{100 * one['answered_differently_ratio']:.1f} %"
    return (
        one["task"], number(one["reference"], 4), number(one["other"], 4), number(one["difference"], 4), interval, f"{one['p_holm']:.2g}",
        f"{one['changed']} of {one['n']}", answers, VERDICTS[one["verdict"]],
    )  # fmt: skip


def _figure(one: Mapping[str, Any], *, note: bool) -> tuple[Any, ...]:
    return (
        headline(one["name"]),
        amount(one["name"], one["reference"]),
        amount(one["name"], one["other"]),
        multiple(one),
        one["why"] if note else None,
    )
