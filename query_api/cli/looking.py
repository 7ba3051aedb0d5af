"""Looking at what there is: runs, samples, rankings, tasks; and ending a run."""

from typing import Annotated

import typer

from infra.settings import Settings
from query_api.cli import judged, repeated, showing
from query_api.cli.client import Client
from query_api.cli.following import followed
from query_api.cli.options import ME, AsJson, RunId, TaskOnly, Wait
from streams.visible import plain


def runs(
    state: Annotated[str | None, typer.Option(help="only those in this state")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    as_json: AsJson = False,
) -> None:
    """Lists runs, the newest first.

    Examples: `assay runs` · `assay runs --state running --limit 5 --json`
    """
    found = Client(Settings()).get("/v1/runs", state=state, limit=limit)
    if as_json:
        showing.document(found)
        return
    rows = [
        (
            run["run_id"],
            showing.short(run["model"]),
            run["state"],
            showing.marks(run) or None,
            f"{100 * run['progress']:.0f} %",
            run["suite"] or ", ".join(run["asked"]),
            run["waits_for"],
        )
        for run in found["runs"]
    ]
    showing.table(["run", "model", "state", "trust", ">progress", "tasks", "waits for"], rows)


def run(run_id: RunId, wait: Wait = False, as_json: AsJson = False) -> None:
    """Shows a run: state, progress, scores with intervals, speed.

    Examples: `assay run RUN_ID` · `assay run RUN_ID --wait --json`
    """
    client = Client(Settings())
    told = followed(client, run_id, quiet=as_json) if wait else client.get(f"/v1/runs/{run_id}")
    if as_json:
        showing.document(told)
        return
    showing.run(told)
    if told["performance"]:
        repeated.shown(client.get(f"/v1/runs/{run_id}/repeated"))
    said = client.whole(f"/v1/runs/{run_id}/judgements", "judgements")
    if said["judgements"]:
        judged.shown(said)


def samples(run_id: RunId, task: TaskOnly = None, as_json: AsJson = False) -> None:
    """Lists the scores of a run's samples; with --json one JSON document a line.

    Examples: `assay samples RUN_ID --task hellaswag` · `assay samples RUN_ID --json`
    """
    rows = Client(Settings()).lines(f"/v1/runs/{run_id}/samples", task=task)
    if as_json:
        showing.lines(rows)
        return
    showing.table(
        ["task", ">document", "metric", "filter", ">value"], [(r["task"], r["doc_id"], r["metric"], r["filter"], r["value"]) for r in rows]
    )


def cancel(run_id: RunId, message: Annotated[str, typer.Option(help="why")] = "") -> None:
    """Stops a run; what it has measured stays.

    Example: `assay cancel RUN_ID --message "the wrong model"`
    """
    Client(Settings()).post(f"/v1/runs/{run_id}/cancel", {"by": ME, "message": message})
    showing.remark(f"asked {run_id} to stop; `assay run {run_id}` shows when it has")


def rank(
    board: Annotated[str | None, typer.Argument(help="a suite, or a task (default: the board that changed last)")] = None,
    task: TaskOnly = None,
    as_json: AsJson = False,
) -> None:
    """Shows a ranking with its intervals.

    Examples: `assay rank` · `assay rank reasoning` · `assay rank arc_easy --json`
    """
    found = Client(Settings()).board(task=task, board=board)
    showing.document(found) if as_json else showing.ranking(found)


def tasks(match: Annotated[str, typer.Argument(help="part of a name")] = "", as_json: AsJson = False) -> None:
    """Lists the tasks that can be asked for (the first time takes some ten seconds).

    Examples: `assay tasks` · `assay tasks mmlu --json`
    """
    from infra.harness.catalogue import known_tasks

    names = [name for name in known_tasks() if match in name]
    showing.document({"tasks": names}) if as_json else typer.echo(plain("\n".join(names)))
