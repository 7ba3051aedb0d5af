"""Predictions of scores: what a model would score on tasks that nobody has asked it, with intervals, and never among measurements."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.reading.paging import Paged
from query_api.reading.predicting_scores import LISTING, ScoreWanted
from query_api.routes.predictions import MOST_PARAMETERS
from schemas.predictions import PredictedScore, ScorePredicted, UnpredictedScore
from streams.predicting.score_record import ScoreCame

MOST_TASKS = 100
Name = Annotated[str, Field(min_length=1, max_length=200)]
Ratio = Annotated[float, Field(ge=0, le=1)]


class ScorePredictionAsked(Shape):
    """A model's name and size, and the tasks whose scores are asked. What was measured of it on other tasks is known."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": "SmolLM2-360M", "parameters": 362_000_000, "tasks": ["arc_easy"], "known": {"hellaswag": 0.54}}
            ]
        }
    )  # fmt: skip

    model: str = Field(min_length=1, max_length=1000, description="what it is called: its family stands in it, before the size")
    model_sha: str | None = Field(default=None, max_length=64, description="the hash of its files, where they are known")
    parameters: int = Field(ge=1, le=MOST_PARAMETERS)
    family: str | None = Field(default=None, min_length=1, max_length=200, description="where the name does not tell it, as smollm2")
    tasks: tuple[Name, ...] = Field(min_length=1, max_length=MOST_TASKS, description="tasks, or groups of them")
    known: dict[Name, Ratio] = Field(default_factory=dict, max_length=MOST_TASKS, description="scores of other tasks, from elsewhere")
    by: str = Field(default="anonymous", max_length=200, description="who asks")


class ScoreMeasuredSince(Shape):
    """A score that was measured after it was predicted, by the run that counts. Errors are predicted less measured."""

    task: str
    run_id: str
    measured: float
    within: bool = Field(description="the interval has it")
    error: float
    baseline_error: float = Field(description="the same of the median of all models")


class ScorePrediction(Shape):
    """What was predicted, of which tasks nothing is said and why, and what was measured since. It is no measurement."""

    prediction_id: str
    asked_by: str
    made_us: int
    model: str
    model_sha: str | None
    family: str
    parameters: int
    known: dict[str, float] = Field(description="scores of other tasks that it rests on")
    scores: tuple[PredictedScore, ...] = Field(
        description="each with the interval that so great a share (`level`) of what was left out kept"
    )
    unpredicted: tuple[UnpredictedScore, ...]
    formula_version: str
    inputs_digest: str
    input_runs: tuple[str, ...] = Field(description="all runs that it was learned from")
    measured: tuple[ScoreMeasuredSince, ...]


class ScorePredictionsAsked(Paged):
    """Which predictions."""

    sort: Literal["-made_us", "made_us"] = Field(default="-made_us", description="by when")


class ScorePredictionRow(Shape):
    """A prediction in a list."""

    prediction_id: str
    asked_by: str
    made_us: int
    model: str
    family: str
    parameters: int
    tasks: tuple[str, ...] = Field(description="those of which something is said")


class ScoreRecord(Shape):
    """How good predictions of scores have been: of those that were measured since, how many intervals held, with its 95 % interval
    (Wilson), what was promised, and the median size of errors beside that of the median of all models."""

    n: int
    within: float
    low: float
    high: float
    promised: float
    median_error: float
    median_baseline_error: float
    method: str = "Wilson"


class ScorePredictionPage(Shape):
    """Predictions, in the order asked for, and how good all of them have been; null where none was measured since."""

    predictions: tuple[ScorePredictionRow, ...]
    record: ScoreRecord | None
    next: str | None = Field(description="the next page's cursor; null at the end")


def told(made: ScorePredicted, came: Sequence[ScoreCame]) -> ScorePrediction:
    """The event as the API tells it, with what came of it."""
    fields = set(ScorePrediction.model_fields) - {"made_us", "measured"}
    measured = defaultdict(list)
    for one in came:
        measured[one.prediction_id].append(ScoreMeasuredSince(**{name: getattr(one, name) for name in ScoreMeasuredSince.model_fields}))
    own = tuple(measured[made.prediction_id])
    return ScorePrediction(made_us=made.occurred_us, measured=own, **{name: getattr(made, name) for name in fields})


def wanted(asked: ScorePredictionAsked) -> ScoreWanted:
    """What is asked for; a task that is named twice is asked once."""
    return ScoreWanted(**asked.model_dump() | {"tasks": tuple(dict.fromkeys(asked.tasks))})


async def predict_scores(call: Call[Nothing, ScorePredictionAsked]) -> ScorePrediction:
    """Predicts what a model would score on tasks that it was not asked, each with how good such predictions are.

    From its size, its family and its scores of other tasks. Far from what was scored nothing is said, and why.
    """
    made = await call.state.predicting_scores.predicted(wanted(call.body), call.state.log.publish)
    return told(made, await call.state.predicting_scores.came([made]))


async def score_prediction(call: Call[Nothing, Nothing]) -> ScorePrediction:
    """Shows a prediction of scores as it was made, and what was measured since."""
    made = await call.state.predicting_scores.kept(call.path["prediction_id"])
    return told(made, await call.state.predicting_scores.came([made]))


async def score_predictions(call: Call[ScorePredictionsAsked, Nothing]) -> ScorePredictionPage:
    """Lists predictions of scores, the newest first, and how good they have been."""
    found, following = await call.state.reading.page(LISTING, **call.query.model_dump())
    record = await call.state.predicting_scores.record()
    rows = [{name: value for name, value in row.items() if name != "scores"} | {"tasks": tasks_of(row["scores"])} for row in found]
    return ScorePredictionPage.model_validate({"predictions": rows, "record": asdict(record) if record else None, "next": following})


def tasks_of(scores: str) -> list[str]:
    """The tasks of predicted scores, as their column has these."""
    return [one["task"] for one in json.loads(scores)]


OPERATIONS = (
    Operation(
        "POST", "/v1/score-predictions", predict_scores, tag="decisions", status=202, location="/v1/score-predictions/{prediction_id}"
    ),
    Operation("GET", "/v1/score-predictions", score_predictions, tag="decisions"),
    Operation("GET", "/v1/score-predictions/{prediction_id}", score_prediction, tag="decisions"),
)
