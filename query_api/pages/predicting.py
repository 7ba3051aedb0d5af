"""Predictions: a form whose address is its deep link, what is predicted and how surely, and how good predictions have been."""

from dataclasses import asdict
from typing import Any, Final

from pydantic import ValidationError
from starlette.requests import Request

from query_api.drawing.deciding import percent
from query_api.drawing.deciding import told as amount
from query_api.pages.rendering import Content, page, wrong_field
from query_api.reading.predicting import LISTING
from query_api.routes.predictions import PredictionAsked, wanted
from query_api.state import state_of
from streams.errors import Invalid, NotFound
from streams.predicting.words import WORDS

# The form's fields: name, label, an example.
FIELDS: Final = (
    ("model", "Model", "some-8b"), ("parameters", "Parameters", "8000000000"), ("weights_bytes", "Weights, bytes", "16000000000"),
    ("kv_bytes_per_token", "Keys and values of a token, bytes", "131072"), ("engine", "Engine", "vllm"),
    ("hardware", "Hardware", "2 x NVIDIA L40S"), ("in_flight", "Requests at a time", "8"), ("input_tokens", "Tokens of a request", "512"),
    ("output_tokens", "Tokens of an answer", "128"),
)  # fmt: skip
RECENT: Final = 20


async def load(request: Request) -> Content:
    """The form, and where it is filled in, the prediction; or one that was made before, by its id; and the record."""
    asked, state = dict(request.query_params), state_of(request).predicting
    recent, _ = await state_of(request).reading.page(LISTING, sort="-made_us", limit=RECENT)
    shown: dict[str, Any] = {
        "title": "Predict", "asked": asked, "fields": FIELDS, "recent": recent, "record": [asdict(one) for one in await state.record()],
        "places": await state.places(), "words": WORDS, "amount": amount, "percent": percent, "made": None,
    }  # fmt: skip
    try:
        if "id" in asked:
            made = await state.kept(asked["id"])
        elif asked:
            given = {name: value.strip() for name, value in asked.items() if value.strip()}
            made = await state.reckoned(wanted(PredictionAsked.model_validate(given)))
        else:
            return shown
    except ValidationError as error:
        return shown | {"why": wrong_field(error)}
    except (Invalid, NotFound) as error:  # the form stays, with the reason
        return shown | {"why": str(error)}
    return shown | {"made": made, "came": {one.figure: one for one in await state.came([made])}}


ROUTES = page("/predict", "predict.html", load, live=False)
