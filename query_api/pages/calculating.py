"""Cost calculator: a form whose address is its deep link, reckoned on the server; its figures opened, as charts, as CSV and Markdown."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from query_api.drawing.calculating import as_csv, as_markdown, break_even, chosen, told, tornado
from query_api.drawing.moving import others, sliders
from query_api.pages.rendering import Content, page
from query_api.routes.calculations import told as answered
from streams.errors import Invalid
from streams.money.calculating import calculated, written_unit
from streams.money.reading import Calculation, calculation_of
from streams.money.scenarios import KNOWN

FIELDS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "Owning": (
        ("purchase", "Purchase"), ("installation", "Installation"), ("years", "Kept for"), ("residual", "Worth at the end"),
        ("discount", "Discount"), ("running", "Running costs an hour"), ("maintenance", "Maintenance"), ("staff", "Staff"),
        ("colocation", "Colocation"), ("hours", "Switched on"),
    ),
    "Power": (
        ("power", "Power at full load"), ("idle_power", "Power idle"), ("utilisation", "Utilisation"), ("pue", "PUE"), ("kwh", "A kWh"),
    ),
    "Renting, and hosted APIs": (
        ("rent", "Rent"), ("upfront", "Paid up front"), ("term", "Term"), ("input_price", "Tokens read"),
        ("output_price", "Tokens written"), ("output_share", "Share that is written"),
    ),
    "Load": (
        ("tokens_per_s", "Speed at full load"), ("goodput", "Goodput of a replica"),
        ("tokens_per_request", "A request has"), ("headroom", "Headroom"),
    ),
}  # fmt: skip
SUMMARY: Final = ("per_hour", "per_month", "per_1m_tokens", "per_1m_tokens_at_full_load", "break_even_hours", "break_even_utilisation",
                  "net_present_value", "payback_years", "return_on_investment")  # fmt: skip
ENTERED: Final = "entered on this page"
FORMS: Final = {"csv": (as_csv, "text/csv"), "markdown": (as_markdown, "text/markdown")}


def told_by(query: Mapping[str, str]) -> dict[str, Any]:
    """The calculation that the form's fields tell; what is empty is not stated, and nobody but who states a price dates it."""
    names = [name for group in FIELDS.values() for name, _ in group]
    inputs = {name: value for name in names if (value := query.get(name, "").strip())}
    others = {name: value for name in ("curve", "spread") if (value := query.get(name, "").strip())}
    return {"source": query.get("source", "").strip() or ENTERED, "inputs": inputs, **others}


def asked_by(query: Mapping[str, str]) -> Calculation:
    """The same, read. Raises: Invalid."""
    return calculation_of(told_by(query))


async def reckoned(asked: Calculation) -> dict[str, Any]:
    """What it comes to, as the API tells it. Raises: Invalid."""
    return answered(await asyncio.to_thread(calculated, asked)).model_dump()


async def load(request: Request) -> Content:
    """The form, and where it states something, all that it comes to."""
    asked = dict(request.query_params)
    shown: Content = {
        "title": "Cost calculator", "asked": asked, "fields": FIELDS, "found": None, "query": request.url.query, "told": told,
        "units": {name: written_unit(known.unit) for name, known in KNOWN.items()}, "defaults": _defaults(),
    }  # fmt: skip
    if not any(asked.values()):
        return shown
    try:
        calculation = asked_by(asked)
        found = await reckoned(calculation)
    except Invalid as error:  # the form stays, with the reason
        return shown | {"why": str(error)}
    moved = sliders(calculation.scenario, (field for group in FIELDS.values() for field in group))
    return shown | {
        "sliders": moved, "others": others(asked, moved),
        "found": found, "summary": chosen(found, SUMMARY), "meeting": break_even(found),
        "tornadoes": [(one, *tornado(one)) for one in found["sensitivity"]],
    }  # fmt: skip


def _defaults() -> dict[str, str]:
    return {name: f"{float(known.default):g}" for name, known in KNOWN.items() if known.default is not None and not known.usd}


async def export(request: Request) -> Response:
    """The same as a file. Raises: Invalid."""
    form = request.path_params["form"]
    if form not in FORMS:
        raise Invalid(f"there is no {form!r} of it; there are {', '.join(FORMS)}", code="no-such-form")
    write, media = FORMS[form]
    return PlainTextResponse(write(await reckoned(asked_by(request.query_params))), media_type=media)


ROUTES = [*page("/costs", "costs.html", load, live=False), Route("/costs/{form}", export, name="costs-export")]
