"""A task's scores over time: a chart a metric, and beside it the table that says the same; ours and others' drawn apart."""

from starlette.requests import Request

from query_api.drawing.histories import histories, named
from query_api.pages.rendering import Content, page
from query_api.reading.deciding import measured_names
from query_api.reading.histories import MOST, score_history
from query_api.state import state_of
from streams.times import day


async def load(request: Request) -> Content:
    """The form, and where it names a task, its scores."""
    asked, reading = dict(request.query_params), state_of(request).reading
    task, model = (asked.get(name, "").strip()[:500] for name in ("task", "model"))
    rows = await score_history(reading, task=task, model=model) if task else []
    told = [
        row | {"measure": named(row), "when": day(row["at_us"]) if row["at_us"] is not None else None,
               "linked": (row["source"] or "").startswith(("http://", "https://"))}
        for row in rows
    ]  # fmt: skip
    return {
        "title": f"History of {task}" if task else "History", "task": task, "model": model, "rows": told, "charts": histories(rows),
        "tasks": (await measured_names(reading))["tasks"], "most": MOST,
    }  # fmt: skip


ROUTES = page("/history", "history.html", load, live=False)
