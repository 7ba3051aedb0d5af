"""What a model would score: a form whose address is its deep link, the predicted scores and how surely, and how good they have been."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from pydantic import ValidationError
from starlette.requests import Request

from query_api.drawing.charts import Span
from query_api.drawing.deciding import percent
from query_api.drawing.scores import interval, points, score
from query_api.pages.recommending import pairs
from query_api.pages.rendering import Content, page, wrong_field
from query_api.reading.predicting_scores import LISTING
from query_api.routes.score_predictions import ScorePrediction, ScorePredictionAsked, tasks_of, told, wanted
from query_api.state import state_of
from streams.deciding.quantities import share
from streams.errors import Invalid, NotFound

# The form's fields: name, label, an example.
FIELDS: Final = (
    ("model", "Model", "SmolLM2-360M"), ("parameters", "Parameters", "362000000"), ("family", "Family, if not in the name", "smollm2"),
    ("tasks", "Tasks", "arc_easy, mmlu"), ("known", "Scores of others, from elsewhere", "hellaswag: 54 %"),
)  # fmt: skip
RECENT: Final = 20


def asked_by(query: Mapping[str, str]) -> ScorePredictionAsked:
    """What the form's fields ask for; what is empty is not told. Raises: Invalid, ValidationError."""
    given: dict[str, Any] = {name: value.strip() for name, value in query.items() if value.strip()}
    given["tasks"] = tuple(one.strip() for one in query.get("tasks", "").split(",") if one.strip())
    given["known"] = {task: share(value, f"known.{task}") for task, value in pairs(query.get("known", ""), "known").items()}
    return ScorePredictionAsked.model_validate(given)


async def load(request: Request) -> Content:
    """The form, and where it is filled in, the prediction; or one that was made before, by its id; and the record."""
    asked, own = dict(request.query_params), state_of(request)
    state = own.predicting_scores
    recent, _ = await own.reading.page(LISTING, sort="-made_us", limit=RECENT)
    record = await state.record()
    shown: Content = {
        "title": "Predict scores", "asked": asked, "fields": FIELDS, "tasks": await state.tasks(), "score": score, "points": points,
        "recent": [row | {"tasks": tasks_of(row["scores"])} for row in recent], "record": asdict(record) if record else None,
        "percent": percent, "interval": interval, "made": None,
    }  # fmt: skip
    try:
        if "id" in asked:
            made = await state.kept(asked["id"])
        elif any(value.strip() for value in asked.values()):
            made = await state.reckoned(wanted(asked_by(asked)))
        else:
            return shown
    except ValidationError as error:
        return shown | {"why": wrong_field(error)}
    except (Invalid, NotFound) as error:  # the form stays, with the reason
        return shown | {"why": str(error)}
    answer = told(made, await state.came([made]))
    return shown | {"made": answer, "came": {one.task: one for one in answer.measured}, "spans": spans(answer)}


def spans(made: ScorePrediction) -> dict[str, Span]:
    """Each task's interval on a scale of 0 to 100 %."""
    return {one.task: Span(100 * one.low, 100 * one.value, 100 * one.high) for one in made.scores}


ROUTES = page("/predict/scores", "predict_scores.html", load, live=False)
