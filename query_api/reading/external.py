"""Others' results of a board's tasks, as the page shows them beside the board."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from infra.clickhouse import Rows
from query_api.reading.runs import Reading
from query_api.reading.standing import TASK, tasks_of
from streams.times import day

SHOWN: Final = 30


async def reported(reading: Reading, board: str | None, rows: Rows) -> dict[str, Any]:
    """Others' figures of a board's tasks, the newest first, and whether there are more than are shown."""
    if not board:
        return {"rows": [], "more": False}
    tasks = [board.removeprefix(TASK)] if board.startswith(TASK) else [task.task for task in await tasks_of(reading, rows)]
    found: Sequence[Mapping[str, Any]] = await reading.rows("external_of", tasks=tasks, limit=SHOWN + 1)
    return {"rows": [_row(row) for row in found[:SHOWN]], "more": len(found) > SHOWN}


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    at_us = row["measured_us"]
    linked = row["source"].startswith(("http://", "https://"))
    measured = day(at_us) if at_us is not None else "–"
    return {**row, "linked": linked, "measured": measured}
