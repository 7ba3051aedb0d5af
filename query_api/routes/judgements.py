"""What judges say of a run's answers."""

from typing import Literal

from pydantic import Field

from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.reading.judgements import judgements
from query_api.reading.paging import PagedWhole
from query_api.routes.run_scores import Score
from query_api.routes.runs import State, Whom


class JudgementsAsked(PagedWhole):
    """Which judgements."""

    state: State | None = Field(default=None, description="only those in this state")
    judge: str = Field(default="", description="only those by this model: its whole address, or the last part of it")
    task: str = Field(default="", description="only those that run this derived task")
    sort: Literal["requested_us", "-requested_us", "changed_us", "-changed_us", "judge", "-judge"] = Field(
        default="requested_us", description="by what; a minus: the greatest first"
    )


class JudgedScore(Score):
    """A metric of a judgement, with its 95 % interval."""

    main: bool = Field(description="the metric that rankings by this judge use")


class JudgementShown(Shape):
    """A run that judges: its judge, whom it judges, with whom it compares, and what came of it."""

    run_id: str
    state: State
    message: str | None
    judge: str
    engine: str
    requested_us: int
    changed_us: int
    subject: Whom | None
    against: Whom | None
    scores: tuple[JudgedScore, ...]


class Agreed(Shape):
    """Krippendorff's alpha with its 95 % interval: 1 is agreement, 0 is chance. What is null, perhaps the interval alone, says why."""

    alpha: float | None
    low: float | None
    high: float | None
    answers: int = Field(description="answers that two judges or more have rated")
    why_undefined: str | None
    method: str | None = Field(default=None, description="what made the interval (docs/rigor.md); null without one")


class Agreement(Shape):
    """How far the judges of one derived task agree on its main metric.

    Its values are taken as numbers (interval), as points whose order alone is sure (ordinal), and as names (nominal).
    """

    task: str
    metric: str
    judges: int
    runs: tuple[str, ...]
    interval: Agreed
    ordinal: Agreed
    nominal: Agreed


class Judgements(Shape):
    """Judgements of a run's answers, in the order asked for. `agreements` are over all of them, whatever the page and the filters."""

    run_id: str
    judgements: tuple[JudgementShown, ...]
    agreements: tuple[Agreement, ...]
    next: str | None = Field(description="the next page's cursor; null at the end")


async def of_run(call: Call[JudgementsAsked, Nothing]) -> Judgements:
    """Shows what judges say of a run's answers, and how far they agree."""
    asked = call.query.model_dump() | {"state": call.query.state or ""}
    return Judgements.model_validate(await judgements(call.state.reading, call.path["run_id"], **asked))


OPERATIONS = (Operation("GET", "/v1/runs/{run_id}/judgements", of_run, tag="runs"),)
