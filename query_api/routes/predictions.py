"""Predictions: what nobody has measured, with intervals, and never among measurements; and how good those that were made have been."""

from collections import defaultdict
from dataclasses import asdict
from typing import Literal

from pydantic import ConfigDict, Field

from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.reading.paging import Paged
from query_api.reading.predicting import LISTING, Wanted
from schemas.predictions import PredictedFigure, PredictionMade, Unpredicted
from streams.predicting.record import Came
from streams.predicting.subjects import Load

MOST_PARAMETERS = 10**13
MOST_BYTES = 10**14
MOST_KV = 10**9
MOST_TOKENS = 10_000_000
MOST_IN_FLIGHT = 100_000


class PredictionAsked(Shape):
    """A model's size, on which engine and hardware, under which load. `assay predict` reads the size from the model's files."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "some-8b", "parameters": 8_000_000_000, "weights_bytes": 16_000_000_000, "kv_bytes_per_token": 131_072,
                    "engine": "vllm", "hardware": "2 x NVIDIA L40S", "in_flight": 8, "input_tokens": 512, "output_tokens": 128,
                }
            ]
        }
    )  # fmt: skip

    model: str = Field(min_length=1, max_length=1000, description="what it is called")
    model_sha: str | None = Field(
        default=None, max_length=64, description="the hash of its files, where they are known: it tells models apart"
    )
    parameters: int = Field(ge=1, le=MOST_PARAMETERS)
    weights_bytes: int = Field(ge=1, le=MOST_BYTES, description="as they lie in memory: parameters times the bytes of one")
    kv_bytes_per_token: int = Field(ge=0, le=MOST_KV, description="keys and values of one token, in all layers")
    engine: str = Field(min_length=1, max_length=100)
    hardware: str = Field(
        min_length=1, max_length=200, description="a device, several as `2 x NVIDIA L40S`, or what was measured by its name"
    )
    in_flight: float = Field(gt=0, le=MOST_IN_FLIGHT, description="requests under way at a time, in the mean")
    input_tokens: float = Field(gt=0, le=MOST_TOKENS, description="of a request, in the mean")
    output_tokens: float = Field(gt=0, le=MOST_TOKENS, description="of an answer, in the mean")
    by: str = Field(default="anonymous", max_length=200, description="who asks")


class MeasuredSince(Shape):
    """A figure that was measured after it was predicted, by the first run that did."""

    figure: str
    run_id: str
    measured: float
    within: bool = Field(description="the interval has it")
    error_ratio: float = Field(description="predicted over measured, less 1")
    roofline_error_ratio: float = Field(description="the same of what the hardware could do at best")


class Prediction(Shape):
    """What was predicted, of which figures nothing is said and why, and what was measured since. It is no measurement."""

    prediction_id: str
    asked_by: str
    made_us: int
    model: str
    model_sha: str | None
    parameters: int
    weights_bytes: int
    kv_bytes_per_token: int
    engine: str
    hardware: str
    in_flight: float
    input_tokens: float
    output_tokens: float
    figures: tuple[PredictedFigure, ...] = Field(
        description="each with the interval that so great a share (`level`) of what was left out kept"
    )
    unpredicted: tuple[Unpredicted, ...]
    formula_version: str
    inputs_digest: str
    input_runs: tuple[str, ...] = Field(description="all runs that it was learned from")
    measured: tuple[MeasuredSince, ...]


class PredictionsAsked(Paged):
    """Which predictions."""

    sort: Literal["-made_us", "made_us"] = Field(default="-made_us", description="by when")


class PredictionRow(Shape):
    """A prediction in a list."""

    prediction_id: str
    asked_by: str
    made_us: int
    model: str
    engine: str
    hardware: str
    in_flight: float
    input_tokens: float
    output_tokens: float


class FigureRecord(Shape):
    """How good the predictions of a figure have been: of those that were measured since, how many intervals held, with its 95 % interval
    (Wilson), what was promised, and the median size of errors beside that of the roofline alone."""

    figure: str
    n: int
    within: float
    low: float
    high: float
    promised: float
    median_error_ratio: float
    median_roofline_error_ratio: float
    method: str = "Wilson"


class PredictionPage(Shape):
    """Predictions, in the order asked for, and how good all of them have been."""

    predictions: tuple[PredictionRow, ...]
    record: tuple[FigureRecord, ...]
    next: str | None = Field(description="the next page's cursor; null at the end")


def told(made: PredictionMade, came: list[Came]) -> Prediction:
    """The event as the API tells it, with what came of it."""
    fields = set(Prediction.model_fields) - {"made_us", "measured"}
    measured = defaultdict(list)
    for one in came:
        measured[one.prediction_id].append(MeasuredSince.model_validate({name: getattr(one, name) for name in MeasuredSince.model_fields}))
    own = tuple(measured[made.prediction_id])
    return Prediction(made_us=made.occurred_us, measured=own, **{name: getattr(made, name) for name in fields})


def wanted(asked: PredictionAsked) -> Wanted:
    """What is asked for, without who."""
    said = asked.model_dump()
    load = Load(**{name: said.pop(name) for name in ("in_flight", "input_tokens", "output_tokens")})
    return Wanted(load=load, **said)


async def predict(call: Call[Nothing, PredictionAsked]) -> Prediction:
    """Predicts latencies, tokens/s, memory and energy of what nobody has measured, each figure with how good such predictions are.

    Far from what was measured nothing is said, and why. The same question to the same measurements is the same prediction.
    """
    made = await call.state.predicting.predicted(wanted(call.body), call.state.log.publish)
    return told(made, await call.state.predicting.came([made]))


async def prediction(call: Call[Nothing, Nothing]) -> Prediction:
    """Shows a prediction as it was made, and what was measured since."""
    made = await call.state.predicting.kept(call.path["prediction_id"])
    return told(made, await call.state.predicting.came([made]))


async def predictions(call: Call[PredictionsAsked, Nothing]) -> PredictionPage:
    """Lists predictions, the newest first, and how good they have been."""
    found, following = await call.state.reading.page(LISTING, **call.query.model_dump())
    record = [asdict(one) for one in await call.state.predicting.record()]
    return PredictionPage.model_validate({"predictions": found, "record": record, "next": following})


OPERATIONS = (
    Operation("POST", "/v1/predictions", predict, tag="decisions", status=202, location="/v1/predictions/{prediction_id}"),
    Operation("GET", "/v1/predictions", predictions, tag="decisions"),
    Operation("GET", "/v1/predictions/{prediction_id}", prediction, tag="decisions"),
)
