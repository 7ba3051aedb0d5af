"""Predictions of scores on the command line: what a model would score on tasks that nobody has asked it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.client import Client
from query_api.cli.options import ME, AsJson
from query_api.cli.predicting import Parameters, count_of
from query_api.drawing.deciding import percent
from query_api.drawing.scores import interval, points, score
from streams.deciding.quantities import share
from streams.errors import Invalid


def predict_scores(
    model: Annotated[str, typer.Option(help="a model's folder or file here, or a name with --parameters")],
    task: Annotated[list[str], typer.Option(help="a task, or a group of them; several: each")],
    parameters: Parameters = None,
    family: Annotated[str | None, typer.Option(help="where the name does not tell it: what stands before its size")] = None,
    known: Annotated[list[str] | None, typer.Option(help="a score of another task from elsewhere: hellaswag=0.54, or 54 %")] = None,
    by: Annotated[str, typer.Option(help="who asks; you, where nobody is named")] = ME,
    as_json: AsJson = False,
) -> None:
    """Predicts what a model would score on tasks that it was not asked, each with an interval. It is no measurement.

    It goes by the model's size and family, and by its scores of other tasks: those that were measured here, and those given with --known.
    Beside it stands the median of all models that were measured. docs/predicting.md tells how.

    Examples: `assay predict-scores --model SmolLM2-360M --parameters 362M --task arc_easy --task mmlu` · `assay predict-scores --model
    ./my-model --task arc_easy --known hellaswag=0.54 --json`
    """
    size = {"parameters": count_of(parameters)} if parameters else _read(model)
    asked = {"model": model, "tasks": task, "family": family, "known": dict(map(_known, known or ())), "by": by}
    told = Client(Settings()).post("/v1/score-predictions", asked | size)
    showing.document(told) if as_json else _shown(told)


def _read(model: str) -> dict[str, Any]:
    """The size of a model that is here. Raises: Invalid."""
    from infra.models import inspect
    from schemas.requests import ModelRef

    try:
        facts = inspect(ModelRef(uri=str(Path(model).expanduser()) if "/" in model else model))
    except Invalid as error:
        raise Invalid(f"{error}. Of a model that is not here say its size: --parameters 8B", code=error.code) from error
    return {"model_sha": facts.model_sha, "parameters": facts.parameters}


def _known(text: str) -> tuple[str, float]:
    task, equals, value = text.rpartition("=")
    if not equals or not task.strip():
        raise Invalid(f"--known {text}: write a task and its score, as hellaswag=0.54", code="known")
    return task.strip(), share(value.strip(), f"known.{task.strip()}")


def score_predictions(
    prediction_id: Annotated[str | None, typer.Argument(help="one of them")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    as_json: AsJson = False,
) -> None:
    """Lists predictions of scores, and how good they have been where the same was measured later.

    Examples: `assay score-predictions` · `assay score-predictions ID --json`
    """
    client = Client(Settings())
    if prediction_id:
        told = client.get(f"/v1/score-predictions/{prediction_id}")
        showing.document(told) if as_json else _shown(told)
        return
    found = client.get("/v1/score-predictions", limit=limit)
    if as_json:
        showing.document(found)
        return
    rows = [(row["prediction_id"], showing.short(row["model"]), row["family"], ", ".join(row["tasks"]) or None, row["asked_by"])
            for row in found["predictions"]]  # fmt: skip
    showing.table(["prediction", "model", "family", "tasks", "by"], rows, title="predictions of scores")
    if one := found["record"]:
        within = f"{percent(one['within'])} ({percent(one['low'])} to {percent(one['high'])}), promised {percent(one['promised'])}"
        errors = f"median error {points(one['median_error'])}, of the median of all models {points(one['median_baseline_error'])}"
        showing.say(f"Of {one['n']} that were measured since, within: {within}; {errors}")


def _shown(told: Mapping[str, Any]) -> None:
    showing.say(
        (f"predicted, not measured: {showing.short(told['model'])}, {told['parameters']:,} parameters, of {told['family']}", "bold")
    )
    measured = {one["task"]: one for one in told["measured"]}
    if told["scores"]:
        rows = [_row(one, measured.get(one["task"])) for one in told["scores"]]
        showing.table(["task", ">predicted", ">interval", ">median of all", ">usual error", ">its own", ">measured since", "from"], rows)
        first: Mapping[str, Any] = told["scores"][0]
        showing.note(f"intervals kept {percent(first['level'])} of what was left out; {_from(told['scores'])}")
    for one in told["unpredicted"]:
        showing.note(f"{one['task']}: {one['why']}")


def _from(scores: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(dict.fromkeys(f"{one['groups']} {one['left_out']}, {one['models']} models scored" for one in scores))


def _row(one: Mapping[str, Any], came: Mapping[str, Any] | None) -> tuple[Any, ...]:
    since = f"{score(came['measured'])}, {'within' if came['within'] else 'outside'}" if came else None
    return (one["task"], score(one["value"]), interval(one), score(one["baseline"]), points(one["typical_error"]),
            points(one["baseline_error"]), since, one["method"])  # fmt: skip
