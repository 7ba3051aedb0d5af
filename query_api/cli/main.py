"""`assay`: the command line. Each command with --json prints one document and nothing else; errors are one line on stderr."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.client import Client
from streams.errors import AssayError, Invalid

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", add_completion=True, pretty_exceptions_enable=False,
                  help="Evaluate open-weight language models: quality, speed, energy and cost, kept as events and proved.")  # fmt: skip
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document, nothing else")]
Wait = Annotated[bool, typer.Option("--wait", help="follow the run to its end")]
RunId = Annotated[str, typer.Argument(help="the run's id, as `assay runs` shows it")]


def _told(name: str, what: str) -> None:
    showing.errors.print(f"{name:>16}  {what}", highlight=False)


@app.command()
def up(
    detach: Annotated[bool, typer.Option(help="return when all of it is up; it goes on in the background")] = False,
    agents: Annotated[int, typer.Option(min=1, help="gpu_agents to start")] = 1,
) -> None:
    """Starts the embedded stack: broker, ClickHouse engine, agents, gpu_agent, query API. Ctrl-C ends it.

    Example: `assay up --detach`
    """
    from infra.embedded import supervisor

    settings = Settings()
    if not detach:
        supervisor.run(settings, agents=agents, told=_told)
        return
    supervisor.up(settings, agents=agents, told=_told)
    showing.errors.print(f"up: {settings.api}")


@app.command()
def down() -> None:
    """Ends the stack, with every process that it started."""
    from infra.embedded import supervisor

    supervisor.down(Settings(), told=_told)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Shows the stack's processes; exits 0 only when every one is up."""
    from infra.embedded import supervisor

    rows = supervisor.status(Settings())
    if as_json:
        showing.document({"processes": [{"name": one.name, "state": one.state, "pid": one.pid, "restarts": one.restarts,
                                         "last_exit": one.last_exit} for one in rows]})  # fmt: skip
    else:
        showing.table(
            ["process", "state", ">pid", ">restarts", ">last exit"], [(r.name, r.state, r.pid, r.restarts, r.last_exit) for r in rows]
        )
    if not rows:
        raise Invalid("nothing was started here; `assay up --detach`", code="not-up")
    if late := [one.name for one in rows if one.state != "up"]:
        raise Invalid(f"not up: {', '.join(late)}", code="not-up")


def _options(told: list[str]) -> dict[str, str]:
    for one in told:
        if "=" not in one:
            raise Invalid(f"--option {one!r}: write name=value", code="option")
    return dict(one.split("=", 1) for one in told)


def _model(uri: str) -> dict[str, Any]:
    """A model as named; a folder by its full path, for the agent may run elsewhere on this machine."""
    name, _, revision = uri.partition("@") if not Path(uri).exists() else (uri, "", "")
    return {"uri": str(Path(name).resolve()) if Path(name).is_dir() else name, "revision": revision or None}


def _from_file(path: Path) -> dict[str, Any]:
    import yaml

    try:
        body = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise Invalid(f"there is no file {path}", code="no-file") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise Invalid(f"{path}{where}: not YAML: {getattr(error, 'problem', error)}", code="not-yaml") from error
    if not isinstance(body, dict):
        raise Invalid(f"{path} must be a mapping of fields such as model and tasks", code="not-yaml")
    if isinstance(body.get("model"), str):
        body["model"] = _model(body["model"])
    body["tasks"] = [{"name": task} if isinstance(task, str) else task for task in body.get("tasks") or []]
    return body


@app.command()
def submit(
    file: Annotated[Path | None, typer.Argument(help="a request as YAML")] = None,
    model: Annotated[str | None, typer.Option(help="a model's folder, or org/name@revision")] = None,
    task: Annotated[list[str] | None, typer.Option(help="a task; may be given several times")] = None,
    limit: Annotated[int | None, typer.Option(help="the first so many samples of each task")] = None,
    fewshot: Annotated[int | None, typer.Option(help="examples in the prompt (default: the task's own)")] = None,
    engine: Annotated[str, typer.Option(help="transformers or echo")] = "transformers",
    option: Annotated[list[str] | None, typer.Option(help="an engine's option, name=value")] = None,
    priority: Annotated[int, typer.Option(help="higher goes first")] = 0,
    suite: Annotated[str | None, typer.Option(help="the board on which the run is ranked")] = None,
    submitter: Annotated[str, typer.Option(help="who asks")] = os.environ.get("USER", "anonymous"),
    chat: Annotated[bool, typer.Option(help="dress prompts in the model's own chat template")] = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Asks for an evaluation.

    Examples: `assay submit --model ./my-model --task hellaswag --task arc_easy --limit 200 --wait`
    · `assay submit request.yaml --wait --json`
    """
    body = _from_file(file) if file else {}
    if model:
        body["model"] = _model(model)
    if "model" not in body:
        raise Invalid("which model? give --model FOLDER (or org/name), or a request file", code="no-model")
    if task:
        body["tasks"] = [{"name": name, "limit": limit, "fewshot": fewshot} for name in task]
    if not file:
        body |= {
            "engine": {"name": engine, "options": _options(option or [])},
            "priority": priority,
            "suite": suite,
            "submitter": submitter,
        }
        body |= {"chat": {"template": "model"}} if chat else {}
    _submit(body, wait=wait, as_json=as_json, shape=_scores)


def _scores(told: dict[str, Any]) -> dict[str, Any]:
    return {"run_id": told["run_id"], "state": told["state"], "message": told.get("message"), "scores": told["scores"]}


def _speed(told: dict[str, Any]) -> dict[str, Any]:
    return {"run_id": told["run_id"], "state": told["state"], "message": told.get("message"), **(told["performance"] or {})}


def _submit(body: dict[str, Any], *, wait: bool, as_json: bool, shape: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    client = Client(Settings())
    run_id = client.post("/v1/evaluations", body)["run_id"]
    if not wait:
        showing.document({"run_id": run_id}) if as_json else showing.console.print(
            f"{run_id}\nfollow it: assay run {run_id}", highlight=False
        )
        return
    told = _follow(client, run_id, quiet=as_json)
    showing.document(shape(told)) if as_json else showing.run(told)
    if told["state"] != "completed":
        raise Invalid(f"run {run_id} is {told['state']}: {told.get('message') or told.get('reason_code') or 'no reason given'}", code="run")


def _follow(client: Client, run_id: str, *, quiet: bool) -> dict[str, Any]:
    try:
        return showing.followed(run_id, lambda one: client.get(f"/v1/runs/{one}"), quiet=quiet)
    except KeyboardInterrupt:
        showing.errors.print(f"\nthe run goes on. Follow it: assay run {run_id} · cancel it: assay cancel {run_id}", highlight=False)
        raise typer.Exit(130) from None


@app.command()
def perf(
    model: Annotated[str | None, typer.Option(help="a model's folder, or org/name@revision")] = None,
    url: Annotated[str | None, typer.Option(help="a server with OpenAI's completions interface")] = None,
    profile: Annotated[str, typer.Option(help="single, constant, poisson or concurrent")] = "single",
    rate: Annotated[float | None, typer.Option(help="requests per second (constant, poisson)")] = None,
    concurrency: Annotated[int | None, typer.Option(help="requests in flight (concurrent)")] = None,
    duration: Annotated[float | None, typer.Option(help="seconds of sending")] = None,
    requests: Annotated[int | None, typer.Option(help="requests to send")] = None,
    input_tokens: Annotated[int, typer.Option(help="tokens of each prompt")] = 64,
    output_tokens: Annotated[int, typer.Option(help="tokens to generate")] = 32,
    engine: Annotated[str, typer.Option(help="transformers or echo")] = "transformers",
    option: Annotated[list[str] | None, typer.Option(help="an engine's option, name=value")] = None,
    submitter: Annotated[str, typer.Option(help="who asks")] = os.environ.get("USER", "anonymous"),
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Measures speed under a load.

    Examples: `assay perf --model ./my-model --profile constant --rate 2 --duration 10 --wait`
    · `assay perf --url http://127.0.0.1:8000 --model my-model --profile single --requests 20 --wait --json`
    """
    if model is None:
        raise Invalid("which model? give --model FOLDER (or with --url the name that the server knows)", code="no-model")
    if duration is None and requests is None:
        duration = 10.0
    workload = {"profile": profile, "rate_per_s": rate, "concurrency": concurrency, "duration_s": duration, "requests": requests,
                "input_tokens": input_tokens, "output_tokens": output_tokens, "url": url}  # fmt: skip
    named = {"uri": model} if url else _model(model)
    body = {"model": named, "engine": {"name": engine, "options": _options(option or [])}, "workload": workload, "submitter": submitter}
    _submit(body, wait=wait, as_json=as_json, shape=_speed)


@app.command()
def runs(
    state: Annotated[str | None, typer.Option(help="only those in this state")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    as_json: AsJson = False,
) -> None:
    """Lists runs, the newest first."""
    found = Client(Settings()).get("/v1/runs", state=state, limit=limit)
    if as_json:
        showing.document(found)
        return
    rows = [
        (run["run_id"], showing.short(run["model"]), run["state"], f"{100 * run['progress']:.0f} %", ", ".join(run["tasks"]))
        for run in found["runs"]
    ]
    showing.table(["run", "model", "state", ">progress", "tasks"], rows)


@app.command()
def run(run_id: RunId, wait: Wait = False, as_json: AsJson = False) -> None:
    """Shows a run: state, progress, scores with intervals, speed."""
    client = Client(Settings())
    told = _follow(client, run_id, quiet=as_json) if wait else client.get(f"/v1/runs/{run_id}")
    showing.document(told) if as_json else showing.run(told)


@app.command()
def samples(run_id: RunId, task: Annotated[str | None, typer.Option(help="only this task's")] = None, as_json: AsJson = False) -> None:
    """Lists the scores of a run's samples; with --json one JSON document a line."""
    rows = Client(Settings()).lines(f"/v1/runs/{run_id}/samples", task=task)
    if as_json:
        showing.lines(rows)
        return
    showing.table(
        ["task", ">document", "metric", "filter", ">value"], [(r["task"], r["doc_id"], r["metric"], r["filter"], r["value"]) for r in rows]
    )


@app.command()
def cancel(run_id: RunId, message: Annotated[str, typer.Option(help="why")] = "") -> None:
    """Stops a run; what it has measured stays."""
    Client(Settings()).post(f"/v1/runs/{run_id}/cancel", {"by": os.environ.get("USER", "anonymous"), "message": message})
    showing.errors.print(f"asked {run_id} to stop; `assay run {run_id}` shows when it has", highlight=False)


@app.command()
def rank(
    task: Annotated[str | None, typer.Option(help="one task's board")] = None,
    board: Annotated[str | None, typer.Option(help="a board by name (default: the one that changed last)")] = None,
    as_json: AsJson = False,
) -> None:
    """Shows a ranking with its intervals.

    Examples: `assay rank` · `assay rank --task hellaswag --json`
    """
    found = Client(Settings()).get("/v1/rankings", task=task, board=board)
    showing.document(found) if as_json else showing.ranking(found)


@app.command()
def tasks(match: Annotated[str, typer.Argument(help="part of a name")] = "", as_json: AsJson = False) -> None:
    """Lists the tasks that can be asked for (the first time takes some ten seconds)."""
    from infra.harness.catalogue import known_tasks

    names = [name for name in known_tasks(Settings()) if match in name]
    showing.document({"tasks": names}) if as_json else typer.echo("\n".join(names))


@app.command()
def topics(as_json: AsJson = False) -> None:
    """Lists the topics, with how many events each holds."""
    from query_api.cli import logs

    rows = asyncio.run(logs.topics(Settings()))
    if as_json:
        showing.document({"topics": rows})
        return
    showing.table(["topic", "event", ">partitions", ">events"], [(r["topic"], r["event"], r["partitions"], r["events"]) for r in rows])


@app.command()
def tail(
    topic: Annotated[str, typer.Argument(help="a topic, by its whole name or its middle part: runs, run-scores …")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on with what comes")] = False,
    count: Annotated[int, typer.Option("-n", help="the last so many events")] = 10,
) -> None:
    """Decodes a topic's events to JSON lines. Example: `assay tail runs -n 5 --follow`"""
    from query_api.cli import logs

    asyncio.run(logs.tail(Settings(), topic, count=count, follow=follow))


@app.command()
def replay(
    verify: Annotated[bool, typer.Option("--verify", help="compare the rebuilt projections with the live ones")] = False,
    run_id: Annotated[str | None, typer.Option("--run", help="only this run's events")] = None,
    keep: Annotated[bool, typer.Option(help="leave the second database there")] = False,
    as_json: AsJson = False,
) -> None:
    """Rebuilds the projections from the log into a second database, compares, and says equal or where not."""
    from infra.replay import verify as verified

    if not verify:
        raise Invalid("say --verify: a replay into the live database is not offered, for it has every event already", code="replay")
    told = asyncio.run(verified(Settings(), run_id=run_id, keep=keep, told=lambda text: None if as_json else showing.errors.print(text)))
    if as_json:
        showing.document(told.document())
    else:
        showing.table(["table", ">rows", "digest"], [(name, one.rows, one.digest) for name, one in told.tables.items()])
        showing.console.print("equal" if told.equal else f"not equal: {told.difference}")
    if not told.equal:
        raise Invalid(f"the projections differ from the log: {told.difference}", code="not-equal")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Shows which engines, devices, meters and data are here, and what is missing."""
    from query_api.cli.doctor import examined

    rows = examined(Settings())
    if as_json:
        showing.document({"checks": rows})
        return
    showing.table(["what", "here", ""], [(row["what"], "yes" if row["here"] else "no", row["note"]) for row in rows])


def main() -> None:
    """Runs the command; an error of ours is one line on stderr, and exit code 1."""
    try:
        app()
    except AssayError as error:
        typer.echo(f"assay: {error}", err=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
