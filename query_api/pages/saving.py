"""What would save: a form whose address is its deep link, and measured alternatives to what runs now, each with what it saves and costs."""

from typing import Any, Final

from starlette.requests import Request

from query_api.pages.comparison import CHOICES, differences
from query_api.pages.parity import margin_of
from query_api.pages.recommending import AMOUNTS, CURVE, MAPS, NAMES, told_by
from query_api.pages.rendering import Content, page
from query_api.routes.savings import SavingsTold, told
from query_api.state import state_of
from streams.deciding.reading import requirement_of
from streams.deciding.savings import MARGIN
from streams.errors import Invalid, NotFound

LOAD: Final = frozenset({"rate", "input", "output", "headroom"})  # what a month hangs on; all else is in the form's second part


async def load(request: Request) -> Content:
    """The form, and where it names a run, what would save against it."""
    asked, own = dict(request.query_params), state_of(request)
    recent, _ = await own.reading.runs(limit=CHOICES, state="completed")
    first = [one for one in AMOUNTS if one[0] in LOAD]
    shown: Content = {
        "title": "Savings", "asked": asked, "runs": recent, "maps": MAPS,
        "amounts": first, "bounds": [one for one in AMOUNTS if one not in first], "names": NAMES, "curve": CURVE,
        "margin": f"{MARGIN:g}", "found": None,
    }  # fmt: skip
    if not asked.get("run"):
        return shown
    try:
        margin = margin_of(asked.get("margin") or shown["margin"], zero=True)
        found = await own.deciding.savings(requirement_of(told_by(asked)), asked["run"], margin=margin)
    except (Invalid, NotFound) as error:  # the form stays, with the reason
        return shown | {"why": str(error)}
    return shown | {"found": (answer := told(*found, margin=margin)), **spans(answer)}


def spans(found: SavingsTold) -> dict[str, Any]:
    """A span for each saving and for each difference of quality, each on one scale, and its zero, in percent."""
    saved, quality = ([getattr(one, name).model_dump() for one in found.savings] for name in ("saved_usd_per_month", "quality_difference"))
    return {"saved": differences(saved), "quality": differences(quality)}


ROUTES = page("/savings", "savings.html", load, live=False)
