"""Boards as they stand, read from ClickHouse. A row keeps the rank that its board gives it, whatever page or order it is read in."""

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from query_api.reading.paging import LIMIT, UNKNOWN, Listing
from query_api.reading.runs import Reading
from query_api.reading.standing import TASK
from streams.errors import NotFound
from streams.statistics.intervals import JOINED
from streams.statistics.ranks import METHOD as PLACES

LISTING: Final = Listing(
    "ranking",
    sorts={
        "rank": UNKNOWN, "model": "String", "score": UNKNOWN, "output_tokens_per_s": UNKNOWN, "ttft_p50_s": UNKNOWN,
        "joules_per_token": UNKNOWN,
    },
    key={"position": "Int64"},
)  # fmt: skip
FILTERS: Final[dict[str, Any]] = {"model": "", "engine": "", "hardware": "", "max_rank": None}
LISTED: Final = 10  # boards that a refusal names
HEAD: Final = ("board", "version", "provisional", "changed_us")


async def ranking(
    reading: Reading, board: str | None, *, sort: str = "rank", limit: int = LIMIT, cursor: str = "", **filters: Any
) -> dict[str, Any]:
    """A page of a board; of the suite's that changed last where none is named, else of a task's. `filters`: see FILTERS.

    Raises: NotFound where there is no such board, Malformed.
    """
    name = await _named(reading, board) if board is not None else await _newest(reading)
    rows, following = await reading.page(LISTING, sort=sort, limit=limit, cursor=cursor, board=name or "", **(FILTERS | filters))
    head = {column: rows[0][column] for column in HEAD} if rows else await _head(reading, name)
    by = PLACES if any(row["rank_low"] is not None for row in rows) else None
    return head | {"rows": [_row(row) for row in rows], "places_method": by, "next": following}


async def whole(reading: Reading, board: str | None) -> dict[str, Any]:
    """All of a board. Raises: NotFound."""
    told = await ranking(reading, board)
    while told["next"]:
        page = await ranking(reading, told["board"], cursor=told["next"])
        told = page | {"rows": told["rows"] + page["rows"]}
    return told


async def _named(reading: Reading, board: str) -> str:
    """The board's name: of a task's own board the task's is enough, where no other board has it."""
    found = {str(row["board"]) for row in await reading.rows("boards_named", board=board)}
    return next(iter(found)) if len(found) == 1 else board


async def _newest(reading: Reading) -> str | None:
    return next((str(row["board"]) for row in await reading.rows("newest_board")), None)


async def _head(reading: Reading, board: str | None) -> dict[str, Any]:
    """What is said of a board none of whose rows are on the page; of no board where there is none yet. Raises: NotFound."""
    if board is None:
        return dict.fromkeys(HEAD)
    found = await reading.rows("board_head", board=board)
    if not found:
        raise NotFound(f"no board {board!r}; {meant(board, [row['board'] for row in await reading.rows('boards')])}", code="unknown-board")
    return found[0]


def meant(board: str, known: Sequence[str]) -> str:
    """What to ask instead of a board that is not there: those with a name like it, else the first that there are."""
    names = {name.removeprefix(TASK): name for name in reversed(known)}
    close = [names[name] for name in difflib.get_close_matches(board.removeprefix(TASK), names, n=3)]
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"there are: {', '.join(known[:LISTED])}{', …' if len(known) > LISTED else ''}" if known else "there is none yet"


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    method = None if row["low"] is None else row.get("adaptive") or row.get("method") or JOINED  # older rows do not say it
    return {name: value for name, value in row.items() if name not in HEAD} | {"chat": json.loads(row["chat"] or "{}"), "method": method}
