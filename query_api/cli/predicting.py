"""Predictions on the command line: what nobody has measured, and how good predictions have been."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.client import Client
from query_api.cli.options import ME, AsJson
from query_api.drawing.deciding import percent
from query_api.drawing.deciding import told as amount
from streams.errors import Invalid
from streams.numbers import real
from streams.predicting.words import WORDS

SIZES: Final[Mapping[str, float]] = {"": 1, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
Parameters = Annotated[str | None, typer.Option(help="of a model that is not here: 8B, 135M")]


def predict(
    model: Annotated[str, typer.Option(help="a model's folder or file here, or a name with --parameters")],
    on: Annotated[str, typer.Option(help="the hardware: NVIDIA L40S, 2 x NVIDIA H100, or what was measured by its name")],
    engine: Annotated[str, typer.Option(help="the engine that would run it")] = "transformers",
    concurrency: Annotated[float, typer.Option(help="requests under way at a time")] = 1,
    input_tokens: Annotated[float, typer.Option(help="of a request")] = 512,
    output_tokens: Annotated[float, typer.Option(help="of an answer")] = 128,
    parameters: Parameters = None,
    bytes_per_parameter: Annotated[float, typer.Option(help="with --parameters: 2 for bfloat16, 0.56 for Q4")] = 2,
    kv_bytes_per_token: Annotated[int, typer.Option(help="with --parameters: keys and values of a token in all layers")] = 0,
    dtype: Annotated[str | None, typer.Option(help="of the weights in memory, where it is not the files' own")] = None,
    by: Annotated[str, typer.Option(help="who asks; you, where nobody is named")] = ME,
    as_json: AsJson = False,
) -> None:
    """Predicts latencies, tokens/s, memory and energy of what nobody has measured, each with an interval. It is no measurement.

    Examples: `assay predict --model ./my-model --on "NVIDIA L40S" --concurrency 8` · `assay predict --model some-8b --parameters 8B
    --kv-bytes-per-token 131072 --engine vllm --on "2 x NVIDIA H100" --json`
    """
    size = _said(parameters, bytes_per_parameter, kv_bytes_per_token) if parameters else _read(model, engine, dtype)
    load = {"in_flight": concurrency, "input_tokens": input_tokens, "output_tokens": output_tokens}
    told = Client(Settings()).post("/v1/predictions", {"model": model, "engine": engine, "hardware": on, "by": by} | size | load)
    showing.document(told) if as_json else shown(told)


def _said(parameters: str, bytes_per_parameter: float, kv_bytes_per_token: int) -> dict[str, Any]:
    count = count_of(parameters)
    return {"parameters": count, "weights_bytes": round(count * bytes_per_parameter), "kv_bytes_per_token": kv_bytes_per_token}


def count_of(parameters: str) -> int:
    """How many parameters `8B` or `135M` are. Raises: Invalid."""
    number = parameters.strip().lower().rstrip("kmbt")
    try:
        return round(real(number) * SIZES[parameters.strip().lower()[len(number) :]])
    except (ValueError, KeyError) as error:
        raise Invalid(f"--parameters {parameters}: how many? write 8B, 135M or a number", code="parameters") from error


def _read(model: str, engine: str, dtype: str | None) -> dict[str, Any]:
    """The size of a model that is here. Raises: Invalid."""
    from infra.models import inspect, read_by
    from schemas.requests import ModelRef

    try:
        facts = read_by(inspect(ModelRef(uri=str(Path(model).expanduser()) if "/" in model else model, dtype=dtype)), engine=engine)
    except Invalid as error:
        raise Invalid(f"{error}. Of a model that is not here say its size: --parameters 8B", code=error.code) from error
    return {"model_sha": facts.model_sha, "parameters": facts.parameters, "weights_bytes": facts.weights_bytes,
            "kv_bytes_per_token": facts.kv_bytes_per_token}  # fmt: skip


def predictions(
    prediction_id: Annotated[str | None, typer.Argument(help="one of them")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    as_json: AsJson = False,
) -> None:
    """Lists predictions, and how good they have been where the same was measured later.

    Examples: `assay predictions` · `assay predictions ID --json`
    """
    client = Client(Settings())
    if prediction_id:
        told = client.get(f"/v1/predictions/{prediction_id}")
        showing.document(told) if as_json else shown(told)
        return
    found = client.get("/v1/predictions", limit=limit)
    if as_json:
        showing.document(found)
        return
    rows = [(row["prediction_id"], showing.short(row["model"]), row["engine"], row["hardware"], row["in_flight"], row["asked_by"])
            for row in found["predictions"]]  # fmt: skip
    showing.table(["prediction", "model", "engine", "hardware", ">at a time", "by"], rows, title="predictions")
    if found["record"]:
        kept = [(WORDS[one["figure"]], one["n"], f"{percent(one['within'])} ({percent(one['low'])} to {percent(one['high'])})",
                 percent(one["promised"]), percent(one["median_error_ratio"]), percent(one["median_roofline_error_ratio"]))
                for one in found["record"]]  # fmt: skip
        showing.table(
            ["figure", ">measured since", ">within", ">promised", ">median error", ">roofline's"], kept, title="how good they were"
        )


def shown(told: Mapping[str, Any]) -> None:
    """Prints a prediction."""
    showing.say((f"predicted, not measured: {showing.short(told['model'])} ({told['engine']}) on {told['hardware']}", "bold"))
    measured = {one["figure"]: one for one in told["measured"]}
    if told["figures"]:
        rows = [_row(one, measured.get(one["figure"])) for one in told["figures"]]
        showing.table(["figure", ">predicted", ">interval", ">at best", ">usual error", ">measured since"], rows)
        first = told["figures"][0]
        showing.note(
            f"intervals kept {percent(first['level'])} of the {first['left_out']} that were left out; learned from {first['loads']} loads"
        )
        for method in dict.fromkeys(one["method"] for one in told["figures"]):
            showing.note(f"{', '.join(WORDS[one['figure']] for one in told['figures'] if one['method'] == method)}: by {method}")
    for one in told["unpredicted"]:
        showing.note(f"{WORDS[one['figure']]}: {one['why']}")


def _row(one: Mapping[str, Any], came: Mapping[str, Any] | None) -> tuple[Any, ...]:
    value, low, high, best = (amount(one[name], one["unit"]) for name in ("value", "low", "high", "roofline"))
    since = f"{amount(came['measured'], one['unit'])}, {'within' if came['within'] else 'outside'}" if came else None
    return WORDS[one["figure"]], value, f"{low} – {high}", best, percent(one["typical_error_ratio"]), since
