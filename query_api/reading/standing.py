"""What is told beside a board's rows: whether its scores are chance-corrected, which models it leaves out, and why it has no ranges of
places."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from infra.clickhouse import Rows
from query_api.reading.runs import Reading
from schemas.requests import Chat
from schemas.runs import Plan, PlannedTask
from streams.boards.ranking import unplaced
from streams.planning import board_of

TASK: Final = "task:"
COUNTS, DATA = "other sample counts", "other data"
Row = Mapping[str, Any]
# What tells models of a board apart, as far as its rows say it.
Model = tuple[str, str, str, Chat]


async def beside(reading: Reading, board: str | None) -> dict[str, Any]:
    """What is told beside the rows of the board of that name."""
    rows = await reading.rows("board_models", board=board) if board else []
    tasks = await tasks_of(reading, rows)
    others = await reading.rows("not_on_board", board=board) if tasks else []
    return {
        "chance_corrected": corrected(board, tasks),
        "left_out": list(left_out(board or "", tasks, rows, others)),
        "no_places": next((unplaced(one) for one in tasks if _is_of(board or "", one.task)), None),
    }


def _is_of(board: str, task: str) -> bool:
    """Whether the board is the task's own, or what a judge says of it."""
    return board == f"{TASK}{task}" or board.startswith(f"{TASK}{task} by ")


async def chance_corrected(reading: Reading, board: str | None, rows: Sequence[Row]) -> bool:
    """Whether the scores of these rows, the board's first, are chance-corrected."""
    return corrected(board, await tasks_of(reading, rows))


def corrected(board: str | None, tasks: Sequence[PlannedTask]) -> bool:
    """Whether a board of these tasks is: a task's own has the metric as it is, a suite's is corrected where a task has a chance level."""
    return board is not None and not board.startswith(TASK) and any(task.chance is not None for task in tasks)


async def tasks_of(reading: Reading, rows: Sequence[Row]) -> list[PlannedTask]:
    """The board's tasks, as a run planned them that has a rank: it has all of the board's data."""
    ranked = next((row["run_id"] for row in rows if row["rank"] is not None), None)
    return [PlannedTask.model_validate(task) for task in await reading.planned(ranked)] if ranked else []


def left_out(board: str, tasks: Sequence[PlannedTask], rows: Sequence[Row], others: Rows) -> Iterator[dict[str, str]]:
    """Models of which no run stands on the board, each with its newest run and why. `others`: runs that are not on it, newest first."""
    known = {_model(row["model"], row["model_sha"], row["engine"], json.loads(row["chat"] or "{}")) for row in rows}
    for other in others:
        told = json.loads(other["settled_plan"])
        model = _model(told["model"]["uri"], told["model_sha"], told["engine"]["name"], told["chat"])
        if model in known:
            continue
        plan = Plan.model_validate(told)
        if _belongs(plan, board) and (reason := _reason(board, tasks, plan)):
            known.add(model)
            yield {"model": plan.model.uri, "run_id": other["run_id"], "reason": reason}


def _model(uri: str, sha: str, engine: str, chat: Row) -> Model:
    return uri, sha, engine, Chat.model_validate(chat)


def _belongs(plan: Plan, board: str) -> bool:
    """Whether a run of that plan would stand on the board; boards of judges are not looked at."""
    if plan.subject is not None:
        return False
    return plan.planned(board.removeprefix(TASK)) is not None if board.startswith(TASK) else board_of(plan.suite, plan.tasks) == board


def _reason(board: str, tasks: Sequence[PlannedTask], other: Plan) -> str | None:
    """In what the other's tasks differ from the board's; None where they are the same, or some of them."""
    own = [one for one in tasks if not board.startswith(TASK) or board == f"{TASK}{one.task}"]
    pairs = [(one, two) for one in own if (two := other.planned(one.task))]
    if any(one.asked != two.asked for one, two in pairs):
        return DATA
    return COUNTS if any(one.samples != two.samples for one, two in pairs) else None
