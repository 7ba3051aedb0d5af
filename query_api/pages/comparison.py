"""Two runs compared: the paired difference of each task with its interval, what it means in words, and the samples that differ."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from query_api.drawing.charts import Span, histogram
from query_api.drawing.grouping import arranged, mean_told
from query_api.pages.rendering import Content, page
from query_api.pages.samples import SHOWN, shown
from query_api.reading import samples as reading_samples
from query_api.reading.against import loads_compared
from query_api.reading.runs import Reading
from query_api.state import state_of
from streams.boards.comparison import Asking
from streams.errors import Invalid
from streams.numbers import real

CHOICES = 100


async def load(request: Request) -> Content:
    """The form, and where it names two runs, what comes of comparing them."""
    reading, asked = state_of(request).reading, request.query_params
    recent, _ = await reading.runs(limit=CHOICES)
    chosen = {side: asked.get(side, "") for side in ("a", "b")}
    told = {"title": "Compare", "runs": [run for run in recent if run["jobs"]], "chosen": chosen, "found": None, "asked": asked}
    if not all(chosen.values()):
        return told
    told |= {"loads": await _loads(reading, chosen), "title": "Two runs compared"}
    try:
        asking = Asking(*(_above_0(asked.get(name, ""), name) for name in ("difference", "margin")))
        found = await state_of(request).comparisons.of(chosen["a"], chosen["b"], limit=1, asking=asking)
    except Invalid as error:  # such as two runs that share no sample: the form stays, with the reason
        return told | {"why": None if told["loads"] else str(error)}
    rows = arranged(found["tasks"], found["groups"])
    spans, zero = differences([one["difference"] for one in rows])
    task = asked.get("task") or next((one["task"] for one in found["tasks"] if one["differing"]), "")
    about = next((one for one in found["tasks"] if one["task"] == task), None)
    cursors = {side: asked.get(f"cursor_{side}", "") for side in ("a", "b")}
    pairs, following = await differing(reading, chosen, about, cursors) if about else ([], None)
    return told | {
        "found": found, "rows": rows, "mean": mean_told(found), "spans": spans, "zero": zero, "task": task,
        "pairs": pairs, "about": about, "paged": bool(cursors["a"]), "next": following,
        "first": f"/compare?{urlencode(chosen | {'task': task})}",
    }  # fmt: skip


async def _loads(reading: Reading, chosen: Mapping[str, str]) -> dict[str, Any] | None:
    """The runs' loads compared, with the latencies of both on one scale; None where one of them has none."""
    try:
        found = await loads_compared(reading, chosen["a"], chosen["b"])
    except Invalid:
        return None
    a, b = await asyncio.gather(reading.histograms(chosen["a"]), reading.histograms(chosen["b"]))
    others = {told["metric"]: told for told in b}
    pairs = [(told, others[told["metric"]]) for told in a if told["metric"] in others]
    return found | {"pairs": [(one["metric"], histogram(one, beside=other), histogram(other, beside=one)) for one, other in pairs]}


def _above_0(text: str, name: str) -> float | None:
    """The number that was asked for; None where none was. Raises: Invalid."""
    try:
        value = real(text) if text.strip() else None
    except ValueError:
        value = 0.0
    if value is not None and value <= 0:
        raise Invalid(f"{name} is {text!r}: give a number above 0, such as 0.01", code="malformed")
    return value


def differences(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Span], float]:
    """A span for each difference on one scale with its zero in the middle, and that zero's place, in percent."""
    ends = [(row["low"] if row["low"] is not None else row["value"], row["value"],
             row["high"] if row["high"] is not None else row["value"]) for row in rows]  # fmt: skip
    most = max((abs(value) for end in ends for value in end), default=0.0) or 1.0
    return [Span(*(50 + 50 * value / most for value in end)) for end in ends], 50.0


async def differing(
    reading: Reading, chosen: Mapping[str, str], about: Mapping[str, Any], cursors: Mapping[str, str]
) -> tuple[list[tuple[Any, Any]], str | None]:
    """Samples of a task that the runs scored otherwise, each from both sides, and the address of the next page."""
    asked = {"task": about["task"], "metric": about["metric"], "filter": about["filter"], "doc_id": None, "min_value": None,
             "max_value": None, "sort": "task", "limit": SHOWN}  # fmt: skip
    a, b = await asyncio.gather(
        reading_samples.page(reading, chosen["a"], differs_from=chosen["b"], cursor=cursors["a"], **asked),
        reading_samples.page(reading, chosen["b"], differs_from=chosen["a"], cursor=cursors["b"], **asked),
    )
    others = {(sample["ordinal"], sample["repeat"]): shown(sample, b["contents"]) for sample in b["samples"]}
    pairs = [(shown(sample, a["contents"]), others.get((sample["ordinal"], sample["repeat"]))) for sample in a["samples"]]
    if not a["next"] or not b["next"]:
        return pairs, None
    place = dict(chosen) | {"task": about["task"], "cursor_a": a["next"], "cursor_b": b["next"]}
    return pairs, f"/compare?{urlencode(place)}"


ROUTES = page("/compare", "compare.html", load, live=False)
