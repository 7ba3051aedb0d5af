"""The history of a task's scores: our own runs' and others' figures over time, never ranked with one another."""

from typing import Literal

from pydantic import Field

from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.reading.histories import MOST, score_history


class HistoryAsked(Shape):
    """Which scores."""

    task: str = Field(min_length=1, max_length=500, description="the task")
    model: str = Field(default="", max_length=500, description="only of this model: its whole name, or the last part of it")
    limit: int = Field(default=MOST, ge=1, le=MOST, description="how many of each origin at most, the newest")


class ScoreThen(Shape):
    """A score at a time. `measured here`: of a run, at its end; `reported elsewhere`: what others have published, and nobody here saw."""

    origin: Literal["measured here", "reported elsewhere"]
    at_us: int | None = Field(description="when the run ended, or when others measured or published it; null where they do not say")
    model: str
    task: str
    metric: str
    filter: str
    value: float
    low: float | None
    high: float | None
    method: str | None = Field(description="what made the interval")
    n: int | None = Field(description="samples")
    unit: str | None
    run_id: str | None
    engine: str | None
    form: str | None = Field(description="of the file that was imported")
    source: str | None
    licence: str | None


class ScoreHistory(Shape):
    """Scores of a task, the newest first; those without a time are last."""

    scores: tuple[ScoreThen, ...]


async def history(call: Call[HistoryAsked, Nothing]) -> ScoreHistory:
    """Tells how a task's scores went over time.

    Each says whether it was measured here or reported elsewhere: others' prompts, shots and software may not be ours.
    """
    return ScoreHistory.model_validate({"scores": await score_history(call.state.reading, **call.query.model_dump())})


OPERATIONS = (Operation("GET", "/v1/score-history", history, tag="external results"),)
