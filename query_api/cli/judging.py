"""Judgements: asking another model what it thinks of a run's answers, and looking at what judges said."""

from typing import Annotated

import typer

from infra.settings import Settings
from query_api.cli import judged, showing
from query_api.cli.client import Client
from query_api.cli.completing import run_ids
from query_api.cli.options import (
    AsJson,
    ChatTemplate,
    Credential,
    FoldSystem,
    Private,
    RunId,
    Submitter,
    System,
    TrustModelCode,
    Url,
    Visibility,
    Wait,
)
from query_api.cli.overriding import judgement_of
from query_api.cli.shares import Limit
from query_api.cli.submitting import submit_body
from streams.quality.judging import PAIRWISE, USUAL


def judge(context: typer.Context) -> None:
    """Judges of a run's answers: ask a model, import people's labels, hold the one to the others. `assay judge RUN` asks.

    Examples: `assay judge RUN --model ./judge --chat --wait` · `assay judge labels mine.csv --run RUN --judgement assay_judge_writing`
    · `assay judge show RUN`
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def ask(
    run_id: RunId,
    model: Annotated[str | None, typer.Option(help="the judge: a model's folder, or org/name@revision")] = None,
    trust_model_code: TrustModelCode = False,
    url: Url = None,
    credential: Credential = None,
    task: Annotated[list[str] | None, typer.Option(help=f"a derived task ({USUAL}; with --against {PAIRWISE})")] = None,
    against: Annotated[str | None, typer.Option(help="compare with this run's answers to the same", autocompletion=run_ids)] = None,
    limit: Limit = None,
    engine: Annotated[str | None, typer.Option(help="transformers where none is named, openai with --url; `assay engine list`")] = None,
    option: Annotated[list[str] | None, typer.Option(help="an engine's option, name=value")] = None,
    chat: ChatTemplate = False,
    system: System = None,
    fold_system: FoldSystem = None,
    private: Private = False,
    visibility: Visibility = None,
    submitter: Submitter = None,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Asks a model to judge a run's answers; the judgement is a run of its own.

    A derived task is about all of the run's tasks with written answers; `TASK:JUDGED` is about one of them.

    Examples: `assay judge RUN --model ./judge --chat --wait` · `assay judge RUN --model ./judge --task assay_judge_writing:assay_story`
    · `assay judge RUN_A --against RUN_B --model ./judge --wait` · `assay judge RUN --model ./reference --task assay_judge_perplexity`
    · `assay judge RUN --model ./classifier --engine classifier --task assay_judge_toxicity --option labels=toxic=LABEL_1`
    · `assay judge RUN --url https://models.example.org --credential mine --model large-judge --chat --wait`
    · `assay judge RUN --model ./encoder --engine encoder --task assay_judge_bertscore --option layer=9`
    """
    submit_body(judgement_of(locals()), wait=wait, as_json=as_json)


def judgements(run_id: RunId, as_json: AsJson = False) -> None:
    """Shows what judges say of a run's answers, and how far they agree.

    Examples: `assay judgements RUN_ID` · `assay judgements RUN_ID --json`
    """
    told = Client(Settings()).whole(f"/v1/runs/{run_id}/judgements", "judgements")
    showing.document(told) if as_json else judged.shown(told)
