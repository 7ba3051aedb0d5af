"""Runs held to a reference: what each loses and gains, and in what it was run differently."""

from typing import Any

from starlette.requests import Request

from query_api.drawing.gains import amount, common, headline, multiple
from query_api.pages.comparison import CHOICES, differences
from query_api.pages.rendering import Content, page
from query_api.state import state_of
from streams.boards.parity import MARGIN
from streams.errors import Invalid
from streams.numbers import real


async def load(request: Request) -> Content:
    """The form, and where it names a reference and runs, each run's row."""
    own, asked = state_of(request), request.query_params
    recent, _ = await own.reading.runs(limit=CHOICES, state="completed")
    others = list(dict.fromkeys(one for one in asked.getlist("run") if one))
    margin = asked.get("margin") or f"{MARGIN:g}"
    chosen = {"reference": asked.get("reference", ""), "run": others, "margin": margin}
    told = {"title": "Parity", "runs": [run for run in recent if run["tasks"]], "chosen": chosen, "found": None}
    if not chosen["reference"]:
        return told
    try:
        found = await own.parities.of(asked["reference"], others, margin=margin_of(margin))
    except Invalid as error:  # such as a run that is not completed: the form stays, with the reason
        return told | {"why": str(error)}
    return told | {
        "title": "Runs held to a reference", "found": found, "headline": headline, "amount": amount, "multiple": multiple, "common": common,
        "spans": {row["run_id"]: spans(row["tasks"]) for row in found["rows"]},
    }  # fmt: skip


def spans(tasks: list[dict[str, Any]]) -> Any:
    """A span for each task's difference on one scale, and that scale's zero, in percent."""
    return differences([one | {"value": one["difference"]} for one in tasks])


def margin_of(text: str, *, zero: bool = False) -> float:
    """A margin as it was typed; 0 where that is one. Raises: Invalid."""
    try:
        margin = real(text)
    except ValueError:
        margin = -1.0
    if margin < 0 or (not zero and margin == 0):
        raise Invalid(f"margin {text!r}: give {'0 or ' if zero else ''}a number above 0, as 0.01", code="margin")
    return margin


ROUTES = page("/parity", "parity.html", load, live=False)
