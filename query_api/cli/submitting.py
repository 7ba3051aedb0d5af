"""Asking for evaluations and measurements."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.settings import Settings
from query_api.cli import judged, showing
from query_api.cli.batches import submit_batch
from query_api.cli.client import Client
from query_api.cli.completing import task_names
from query_api.cli.estimating import try_dry
from query_api.cli.following import followed
from query_api.cli.options import (
    Adaptive,
    AsJson,
    Base,
    BudgetS,
    BudgetUsd,
    ChatTemplate,
    Credential,
    DataLicence,
    Deadline,
    FewshotExcludeSelf,
    FoldSystem,
    Judge,
    JudgeTask,
    Licence,
    ModelPublished,
    Multiturn,
    NonCommercial,
    NoTruncation,
    Private,
    Submitter,
    System,
    Thinking,
    ThinkingTokens,
    TrustModelCode,
    UntilWithin,
    Url,
    Vary,
    Visibility,
    Wait,
)  # fmt: skip
from query_api.cli.overriding import submission_of
from query_api.cli.request_files import model_at
from query_api.cli.shares import Limit
from query_api.cli.suites import suite_names
from streams.errors import Invalid
from streams.quality.judging import USUAL

A_FILE = "a request as YAML; an option beside it counts in place of its field, --limit and --fewshot for each of its tasks"

A_SUITE = "a suite, as `assay suites` lists them; beside tasks of your own, the board that they are ranked on"


def submit(
    file: Annotated[Path | None, typer.Argument(help=A_FILE)] = None,
    model: Annotated[list[str] | None, typer.Option(help="a model's folder, or org/name@revision; several: a run for each")] = None,
    base: Base = None,
    trust_model_code: TrustModelCode = False,
    url: Url = None,
    credential: Credential = None,
    task: Annotated[
        list[str] | None, typer.Option(help="a task, or a file or folder of your own; several", autocompletion=task_names)
    ] = None,
    task_file: Annotated[list[Path] | None, typer.Option(help="tasks of your own: a YAML in lm-eval's form, or a folder of them")] = None,
    trust_code: Annotated[bool, typer.Option("--trust-code", help="let the tasks of --task-file run Python and read files")] = False,
    limit: Limit = None,
    fewshot: Annotated[int | None, typer.Option(help="examples in the prompt (default: the task's own)")] = None,
    fewshot_exclude_self: FewshotExcludeSelf = False,
    repeats: Annotated[int | None, typer.Option(help="how often each sample is asked; 1 where none is given")] = None,
    vary: Vary = None,
    metrics: Annotated[list[str] | None, typer.Option("--metric", help="one beside the tasks' own: docs/metrics.md; several")] = None,
    engine: Annotated[str | None, typer.Option(help="transformers where none is named, openai with --url; `assay engine list`")] = None,
    option: Annotated[list[str] | None, typer.Option(help="an engine's option, name=value")] = None,
    priority: Annotated[int | None, typer.Option(help="higher goes first; 0 where none is given")] = None,
    suite: Annotated[str | None, typer.Option(help=A_SUITE, autocompletion=suite_names)] = None,
    pinned: Annotated[bool, typer.Option("--pinned", help="refuse tasks and data that differ from the suite's pins")] = False,
    skip_missing: Annotated[bool, typer.Option("--skip-missing", help="go on without tasks that cannot run here")] = False,
    no_truncation: NoTruncation = False,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="leave out rows that cannot be asked or scored; count them")
    ] = False,
    private: Private = False,
    visibility: Visibility = None,
    submitter: Submitter = None,
    budget_s: BudgetS = None,
    deadline: Deadline = None,
    budget_usd: BudgetUsd = None,
    until_within: UntilWithin = None,
    adaptive: Adaptive = None,
    model_published: ModelPublished = None,
    licence: Licence = None,
    data_licence: DataLicence = None,
    non_commercial: NonCommercial = False,
    chat: ChatTemplate = False,
    system: System = None,
    fold_system: FoldSystem = None,
    multiturn: Multiturn = None,
    thinking: Thinking = None,
    thinking_tokens: ThinkingTokens = None,
    judge: Judge = None,
    judge_task: JudgeTask = USUAL,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the plan and what it would take; produce nothing")] = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Asks for an evaluation.

    Examples: `assay submit --model ./my-model --task hellaswag --task arc_easy --limit 200 --wait`
    · `assay submit --model ./small --model ./large --suite reasoning --limit 50 --wait` · `assay submit request.yaml --wait --json`
    · `assay submit request.yaml --limit 10 --priority 5 --dry-run` · `assay submit request.yaml --budget-usd 2.50 --deadline 2h`
    · `assay submit --model ./my-model --task-file my-task.yaml --wait` · `assay submit --model ./my-model --task nq_open --metric f1`
    · `assay submit --model ./a --suite creativity --judge ./b --wait` · `assay submit --model ./a --suite reasoning --until-within 0.02`
    · `assay submit --model ./a --task arc_easy --fewshot 5 --repeats 5 --vary seed,format`
    · `assay submit --model ./a --task gsm8k --adaptive 100`
    · `assay submit --model ./my-model --task gsm8k --chat --multiturn --thinking --thinking-tokens 4096`
    · `assay submit --model org/name@main --credential mine --licence apache-2.0,mit --task arc_easy`
    · `assay submit --url http://127.0.0.1:8000 --model my-model --task gsm8k --chat --wait`
    """
    models = [model_at(url, one, trust_code=trust_model_code, base=base) for one in model or []]
    _send(submission_of(locals(), models=models), models, dry_run=dry_run, wait=wait, as_json=as_json)


def _send(body: dict[str, Any], models: Sequence[Mapping[str, Any]], *, dry_run: bool, wait: bool, as_json: bool) -> None:
    """Tries the request dry, or asks for it: one run, or one for each of several models."""
    if dry_run:
        try_dry(body, models, as_json=as_json)
    elif len(models) > 1:
        submit_batch(body, models, wait=wait, as_json=as_json)
    else:
        submit_body(body, wait=wait, as_json=as_json)


def _scores(told: dict[str, Any]) -> dict[str, Any]:
    return {"run_id": told["run_id"], "state": told["state"], "message": told.get("message"), "scores": told["scores"],
            "groups": told["groups"], "skipped": told["skipped"], "warnings": told["warnings"]}  # fmt: skip


def submit_body(
    body: dict[str, Any], *, wait: bool, as_json: bool, shape: Callable[[dict[str, Any]], dict[str, Any]] | None = None
) -> None:
    """Submits a request, and follows its run where that is wanted. `shape`: what of the run is told; its scores, where none is given."""
    client = Client(Settings())
    run_id = client.post("/v1/evaluations", body)["run_id"]
    if not wait:
        showing.document({"run_id": run_id}) if as_json else showing.say(f"{run_id}\nfollow it: assay run {run_id}")
        return
    told = followed(client, run_id, quiet=as_json)
    judges = len(body.get("judgements") or ()) + len(body.get("judges") or ()) if told["state"] == "completed" else 0
    said = judged.followed(client, run_id, judgements=judges) if judges else {}
    if as_json:
        showing.document((shape or _scores)(told) | ({"judgements": said["judgements"], "agreements": said["agreements"]} if said else {}))
    else:
        showing.run(told)
        if said:
            judged.shown(said)
    if told["state"] != "completed":
        raise Invalid(f"run {run_id} is {told['state']}: {told.get('message') or told.get('reason_code') or 'no reason given'}", code="run")
