"""A task's scores over time: our own runs', and those that others have published, each told as what it is."""

import asyncio
from typing import Any, Final

from query_api.reading.runs import Reading

MEASURED: Final = "measured here"
REPORTED: Final = "reported elsewhere"
MOST: Final = 500  # of each
NOTHING: Final[dict[str, Any]] = dict.fromkeys(("run_id", "engine", "source", "licence", "form", "unit", "method"))
AS_PUBLISHED: Final = "as its source says"


async def score_history(reading: Reading, *, task: str, model: str = "", limit: int = MOST) -> list[dict[str, Any]]:
    """Scores of a task, of all models or one (by its whole name, or the last part of it): the newest first, those without a time last."""
    asked = {"task": task, "model": model, "limit": limit}
    own, others = await asyncio.gather(reading.rows("measured_history", **asked), reading.rows("external_history", **asked))
    told = [NOTHING | dict(row) | {"origin": MEASURED} for row in own]
    told += [NOTHING | dict(row) | {"origin": REPORTED, "method": AS_PUBLISHED if row["low"] is not None else None} for row in others]
    return sorted(told, key=lambda row: (row["at_us"] is None, -(row["at_us"] or 0), row["model"], row["metric"]))
