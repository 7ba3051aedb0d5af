"""The leaderboard: every board, and one board's models in the order asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from query_api.drawing.charts import intervals
from query_api.drawing.dressing import left_out
from query_api.drawing.sweeps import level
from query_api.pages.rendering import Content, page, short
from query_api.reading.capacities import beside_latency
from query_api.reading.external import reported
from query_api.reading.rankings import whole
from query_api.reading.standing import beside
from query_api.state import state_of

LISTED = 40


@dataclass(frozen=True, slots=True)
class Column:
    """A column that the board can be sorted by: its name in the address, its heading, the row's field, whether more is better."""

    name: str
    heading: str
    field: str
    more: bool = False


COLUMNS = (
    Column("rank", "#", "rank"),
    Column("model", "Model", "model"),
    Column("score", "Score", "score", more=True),
    Column("tokens", "Tokens/s", "output_tokens_per_s", more=True),
    Column("ttft", "TTFT p50 alone", "ttft_p50_s"),
    Column("under-slo", "Requests/s under its service level", "under_rate", more=True),
    Column("energy", "J/token", "joules_per_token"),
    Column("cost", "$/1M out", "usd"),
    Column("answer-cost", "$/right answer", "answer_usd"),
    Column("answer-energy", "J/right answer", "answer_j"),
)
UNTOLD = {"under_rate": None, "under_level": None}
SPARED = frozenset({"under-slo", "cost", "answer-cost", "answer-energy"})  # columns that are left out where nothing is known of any model


async def load(request: Request) -> Content:
    """What the leaderboard shows; the board that changed last, where the address names none."""
    reading, asked = state_of(request).reading, request.query_params
    board = await whole(reading, asked.get("board"))
    match = asked.get("match", "").strip()
    boards = [one for one in await reading.rows("boards") if match.lower() in one["board"].lower()]
    sort = asked.get("sort", "rank")
    board |= await beside(reading, board["board"])
    costs = await state_of(request).costs.of_rows(board["rows"])
    loads = await beside_latency(reading, board["rows"])
    rows = ordered([row | _cost(**costs[row["run_id"]]) | _load(**loads[row["run_id"]]) for row in board["rows"]], sort)
    shown = [column for column in COLUMNS if column.name not in SPARED or any(row[column.field] is not None for row in rows)]
    return {
        "title": "Leaderboard", "board": board, "rows": rows, "spans": intervals(rows), "match": match, "boards": boards[:LISTED],
        "left_out": left_out(board["left_out"]), "reported": await reported(reading, board["board"], board["rows"]),
        "more_boards": max(0, len(boards) - LISTED), "heads": [_head(column, sort, board["board"], match) for column in shown],
        "shown": {column.name for column in shown},
    }  # fmt: skip


def _cost(cost: Mapping[str, Any] | None, answers: Mapping[str, Any] | None) -> dict[str, Any]:
    told, right = cost or {}, answers or {}
    return {
        "usd": told.get("per_1m_output_tokens_usd"), "prices": told.get("price_version"),
        "answer_usd": right.get("per_correct_answer_usd"), "answer_j": right.get("per_correct_answer_j"),
        "answer_grade": right.get("energy_grade"),
    }  # fmt: skip


def _load(under_slo: Mapping[str, Any] | None, at_concurrency: Mapping[str, Any] | None) -> dict[str, Any]:
    under = {"under_rate": under_slo["rate_per_s"], "under_level": level(under_slo["slo"])} if under_slo else UNTOLD
    return {**under, "at_concurrency": at_concurrency}


def ordered(rows: Sequence[Mapping[str, Any]], sort: str) -> list[Mapping[str, Any]]:
    """The rows by a column, its best first; a minus turns that round. What is not known comes last either way."""
    column = next((one for one in COLUMNS if one.name == sort.removeprefix("-")), COLUMNS[0])
    known = [row for row in rows if row[column.field] is not None]
    down = column.more != sort.startswith("-")
    known.sort(key=lambda row: short(row["model"]) if column.field == "model" else row[column.field], reverse=down)
    return [*known, *(row for row in rows if row[column.field] is None)]


def _head(column: Column, sort: str, board: str | None, match: str) -> dict[str, Any]:
    """A column's heading: the link that sorts by it (again: the other way), and how it is sorted now."""
    chosen = sort.removeprefix("-") == column.name
    turned = f"-{column.name}" if chosen and not sort.startswith("-") else column.name
    down = column.more != sort.startswith("-")
    link = {"board": board or "", "sort": turned} | ({"match": match} if match else {})
    sorted_now = ("descending" if down else "ascending") if chosen else None
    return {"name": column.name, "heading": column.heading, "link": f"/leaderboard?{urlencode(link)}", "sorted": sorted_now}


ROUTES = page("/leaderboard", "leaderboard.html", load)
