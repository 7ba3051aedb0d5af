"""People's labels on the command line: a template to fill in, importing it, and what judges come to when they are held to it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.settings import Settings
from query_api.cli import label_files, showing
from query_api.cli.client import Client
from query_api.cli.completing import run_ids
from query_api.cli.options import ME, AsJson, RunId
from query_api.drawing.charts import number
from query_api.drawing.held import ends, of_correction, of_strengths
from streams.errors import Invalid
from streams.quality.labels import SCALES, scale_of

NAMES = ", ".join(SCALES)


def labels(
    file: Annotated[Path, typer.Argument(help="a .csv: filled in, or with --template the one to write")],
    run: Annotated[str, typer.Option(help="the run whose answers are labelled", autocompletion=run_ids)],
    judgement: Annotated[str, typer.Option(help=f"on whose scale: {NAMES}; with :TASK that task alone")],
    metric: Annotated[str, typer.Option(help="its metric; else the usual one")] = "",
    against: Annotated[str | None, typer.Option(help="of two answers: the run whose the others are", autocompletion=run_ids)] = None,
    by: Annotated[str, typer.Option(help="who labelled; a column `by` says it row by row")] = ME,
    template: Annotated[bool, typer.Option("--template", help="write FILE: a random sample of answers to label")] = False,
    count: Annotated[int, typer.Option(min=1, max=1000, help="how many answers the template has")] = 100,
    seed: Annotated[int, typer.Option(help="which; more of one seed are the same and more")] = 0,
    as_json: AsJson = False,
) -> None:
    """Imports people's labels of a run's answers from a CSV, all or none; --template writes one to fill in.

    A row names an answer (task, ordinal, repeat, request, draw), and has a label: a number on the judgement's scale, or of two answers
    first, second or tie. Rows without a label are left out. The same file again is the same labels; another label is a correction.

    Examples: `assay judge labels mine.csv --run RUN --judgement assay_judge_writing --template --count 100`
    · `assay judge labels mine.csv --run RUN --judgement assay_judge_writing --by ada`
    · `assay judge labels pairs.csv --run RUN_A --against RUN_B --judgement assay_judge_pairwise`
    """
    client, scale = Client(Settings()), scale_of(judgement, metric)
    if template:
        told = _written(client, file, run, judgement=judgement, against_run=against, count=count, seed=seed)
    else:
        filled = label_files.read(file, run_id=run, scale=scale)
        about = {"judgement": judgement, "metric": metric, "against_run": against, "by": by}
        told = _imported(client, file, filled, run, about)
    showing.document(told) if as_json else showing.say(_said(told, scale.told()))


def _written(client: Client, file: Path, run_id: str, **asked: Any) -> dict[str, Any]:
    drawn = client.get(f"/v1/runs/{run_id}/to-label", **asked)["answers"]
    try:
        # With its mark, without which a spreadsheet may take UTF-8 for something else. What people have filled in is not written over.
        with file.open("x", encoding="utf-8-sig", newline="") as out:
            out.write(label_files.template(run_id, drawn))
    except FileExistsError as error:
        raise Invalid(f"{file} is there already; name another file, or move it away", code="file-exists") from error
    except OSError as error:
        raise Invalid(f"{file} cannot be written: {error.strerror}", code="no-file") from error
    return {"file": str(file), "answers": len(drawn)}


def _imported(client: Client, file: Path, filled: label_files.Filled, run_id: str, about: Mapping[str, Any]) -> dict[str, Any]:
    try:
        published = client.post(f"/v1/runs/{run_id}/labels", {**about, "labels": [row.told for row in filled.rows]})["published"]
    except Invalid as error:
        raise label_files.placed(error, file, filled.rows) from error
    return {"published": published, "known": len(filled.rows) - published, "without_label": filled.without}


def _said(told: Mapping[str, Any], scale: str) -> str:
    if "file" in told:
        return f"{told['answers']} answers in {told['file']}: fill in the column label, {scale}"
    left = f"; {told['without_label']} rows have none" if told["without_label"] else ""
    return f"{told['published']} new labels, {told['known']} that were known already{left}"


def show(run_id: RunId, as_json: AsJson = False) -> None:
    """Shows judges of a run's answers held to people's labels, and the strengths of models compared in pairs.

    Examples: `assay judge show RUN_ID` · `assay judge show RUN_ID --json`
    """
    client = Client(Settings())
    corrections = client.get(f"/v1/runs/{run_id}/corrections")["corrections"]
    strengths = client.get(f"/v1/runs/{run_id}/strengths")["strengths"]
    if as_json:
        showing.document({"run_id": run_id, "corrections": corrections, "strengths": strengths})
        return
    if not corrections:
        showing.say("No judge can be held to people yet: `assay judge labels FILE --template` writes answers to label.")
    for one in corrections:
        _correction(one)
    for one in strengths:
        _standing(one)


def _correction(one: Mapping[str, Any]) -> None:
    each = (("judge alone", one["judged"]), ("people alone", one["people"]), ("corrected", one["corrected"]))
    rows = [(name, number(own["value"], 4), ends(own), own["n"], own["why_undefined"] or own["method"]) for name, own in each]
    title = f"{one['task']}, {one['metric']}, by {showing.short(one['judge'])}"
    showing.table(["", ">mean", ">95 % interval", ">answers", ""], rows, title=title)
    for remark in of_correction(one):
        showing.note(remark)


def _standing(one: Mapping[str, Any]) -> None:
    title = f"{one['task']} by {one['judge']}: {one['bouts']} comparisons on {one['documents']} documents"
    if one["why_undefined"]:
        showing.say(f"{title}: {one['why_undefined']}")
        return
    figures = ("strength", "points", "equally_long")
    rows = [(model["model"], *(cell for name in figures for cell in (number(model[name]["value"], 3), ends(model[name]))))
            for model in one["models"]]  # fmt: skip
    showing.table(["model", ">strength", ">95 % interval", ">wins", ">95 % interval", ">equally long", ">95 % interval"], rows, title=title)
    for remark in of_strengths(one):
        showing.note(remark)
