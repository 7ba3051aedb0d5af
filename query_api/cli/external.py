"""Others' results on the command line: importing files that other harnesses wrote, and listing what is known."""

import getpass
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.client import Client
from query_api.cli.external_files import document_of
from query_api.cli.options import AsJson
from query_api.drawing.charts import number
from query_api.routes.external import AT_ONCE, ExternalFigure
from streams.errors import Invalid
from streams.external.reading import FORMS, figures_of, form_of
from streams.times import day

MOST_BYTES = 2**19  # of a body's figures: half of what the API takes


def external(context: typer.Context) -> None:
    """Others' results, beside our own: `import` reads files of other harnesses, `list` shows what is known.

    Examples: `assay external import results.json --source URL --licence CC-BY-4.0` · `assay external list --task arc_easy`
    """
    if context.invoked_subcommand is None:
        listed()


def listed(
    model: Annotated[str, typer.Option(help="only of this model")] = "",
    task: Annotated[str, typer.Option(help="only of this task")] = "",
    form: Annotated[str, typer.Option(help=f"only from files of this form: {', '.join(FORMS)}")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="how many at most")] = 50,
    as_json: AsJson = False,
) -> None:
    """Lists others' results, the newest import first. They have no rank: others' conditions are not ours.

    Examples: `assay external list --model SmolLM2-135M` · `assay external list --form mlperf --json`
    """
    found = Client(Settings()).get("/v1/external-results", model=model or None, task=task or None, form=form or None, limit=limit)
    if as_json:
        showing.document(found)
        return
    if not found["results"]:
        showing.say("nothing is imported yet: `assay external import FILE --source URL --licence NAME`")
        return
    showing.table(["model", "task", "metric", ">value", "by", "when"], map(_row, found["results"]), title="others' results")
    for source in dict.fromkeys((row["source"], row["licence"]) for row in found["results"]):
        showing.note(f"{source[0]} ({source[1]})")
    if found["next"]:
        showing.note("there are more: --limit, --model, --task")


def history(
    task: Annotated[str, typer.Argument(help="the task")],
    model: Annotated[str, typer.Option(help="only of this model")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="how many of each origin at most")] = 50,
    as_json: AsJson = False,
) -> None:
    """Tells how a task's scores went over time: our own runs' and others' figures, the newest first, each with its origin.

    Examples: `assay external history gsm8k` · `assay external history gsm8k --model SmolLM2-135M --json`
    """
    found = Client(Settings()).get("/v1/score-history", task=task, model=model or None, limit=limit)
    if as_json:
        showing.document(found)
        return
    if not found["scores"]:
        showing.say(f"nothing is known of {task}: no run of it is complete, and nothing was imported")
        return
    showing.table(["when", "model", "metric", ">score", "origin", "by"], map(_then, found["scores"]))


def _then(row: dict[str, Any]) -> tuple[Any, ...]:
    when = None if row["at_us"] is None else day(row["at_us"])
    ends = f" ({number(row['low'])} to {number(row['high'])})" if row["low"] is not None and row["high"] is not None else ""
    by = row["run_id"] or f"{row['form']}: {row['source']} ({row['licence']})"
    return when, showing.short(row["model"]), row["metric"], f"{number(row['value'])}{ends}", row["origin"], by


def _row(row: dict[str, Any]) -> tuple[Any, ...]:
    sure = f" ± {number(row['stderr'])}" if row["stderr"] is not None else ""
    metric = row["metric"] if row["filter"] == "none" else f"{row['metric']} ({row['filter']})"
    when = None if row["measured_us"] is None else day(row["measured_us"])
    by = " ".join(filter(None, (row["form"], row["harness_version"])))
    return showing.short(row["model"]), row["task"], metric, f"{number(row['value'])}{sure} {row['unit'] or ''}".strip(), by, when


def import_results(
    files: Annotated[list[Path], typer.Argument(help="files that lm-eval, inspect, HELM … wrote; of HELM a run's folder")],
    source: Annotated[str, typer.Option(help="where they were published")],
    licence: Annotated[str, typer.Option(help="under which terms: an SPDX name, or unknown")],
    form: Annotated[str, typer.Option(help=f"the form, where it is not told by the file: {', '.join(FORMS)}")] = "",
    by: Annotated[str, typer.Option(help="who imports them")] = "",
    as_json: AsJson = False,
) -> None:
    """Imports others' results from files. All files are read first: where one is not as its form says, nothing is imported.

    Examples: `assay external import results.json --source https://example.org/board --licence CC-BY-4.0` ·
    `assay external import logs/*.eval --source "our lab, May" --licence unknown`
    """
    read = [_read(path, form) for path in files]
    client, told = Client(Settings()), {"source": source, "licence": licence, "by": by or getpass.getuser()}
    imported = 0
    for about, figures in read:
        for part in _parts(figures):
            imported += client.post("/v1/external-results", told | about | {"figures": part})["imported"]
    count = sum(len(figures) for _, figures in read)
    if as_json:
        showing.document({"imported": imported, "known": count - imported})
        return
    showing.say(f"{imported} new figures of {len(files)} file{'s' if len(files) > 1 else ''}, {count - imported} that were known already")


def _read(path: Path, form: str) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """What holds for the file, and its figures. Raises: Invalid, naming the file and the place in it."""
    document, sha256 = document_of(path)
    try:
        named = form or form_of(document)
        figures = [asdict(one) for one in figures_of(document, named)]
    except Invalid as error:
        raise Invalid(f"{path}: {error}", code=error.code) from error
    for one in figures:
        try:
            ExternalFigure.model_validate(one)
        except ValidationError as error:
            field, why = error.errors()[0]["loc"], error.errors()[0]["msg"]
            raise Invalid(f"{path}: {one['place']}, {'.'.join(map(str, field))}: {why}", code="not-its-form") from error
    return {"file_sha256": sha256, "form": named}, figures


def _parts(figures: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The figures in parts that a body can hold."""
    part, size = list[dict[str, Any]](), 0
    for one in figures:
        size += len(json.dumps(one))
        if part and (len(part) == AT_ONCE or size > MOST_BYTES):
            yield part
            part, size = [], len(json.dumps(one))
        part.append(one)
    yield part
