"""A board as the events that say it, made of those of its entries with which it can be ranked.

That is done in a thread of the ranker; or, once a process has hung or died over the board, in a process of its own for each try: so that
who is at fault is found without another end of the ranker, and other boards are ranked meanwhile.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from functools import partial

from infra.apart import Hangs, watched
from infra.identity import producer
from infra.pools import alone
from schemas.results import RankingChanged
from streams.boards.ranking import Board, Chosen, Entry, chosen, rank
from streams.boards.reckoned import Reckoned
from streams.boards.sound import Sound, sound
from streams.bounds import held
from streams.errors import Unavailable

ROWS_A_PART = 500  # some 400 kB
Ranked = Sound[list[RankingChanged]]


def ranked(name: str, entries: Sequence[Entry], said: str | None, known: Reckoned) -> Ranked:
    """The board of those of these entries that can be ranked; nothing where it stands as was said."""
    return sound(entries, lambda some: _events(name, some, said, known))


def ranked_apart(name: str, entries: Sequence[Entry], said: str | None, *, loop: asyncio.AbstractEventLoop, hang_s: float) -> Ranked:
    """The same, each try in a process of its own, which ends where it gets nowhere for so long. For a thread beside the loop."""

    def tried(some: Sequence[Entry]) -> list[RankingChanged]:
        trying = asyncio.run_coroutine_threadsafe(alone(partial(watched, partial(_tried, name, some, said), hang_s)), loop)
        try:
            return trying.result()
        except BrokenProcessPool as error:
            raise Hangs(f"ranking gets nowhere for {hang_s:g} s, or ends its process") from error
        except CancelledError as error:
            raise Unavailable("the ranker ends") from error

    return sound(entries, tried)


def _tried(name: str, entries: Sequence[Entry], said: str | None, moved: Callable[[], None]) -> list[RankingChanged]:
    """What a process of its own does."""
    return _events(name, entries, said, Reckoned(moved=moved))


def _events(name: str, entries: Sequence[Entry], said: str | None, known: Reckoned) -> list[RankingChanged]:
    board = chosen(name, entries)
    return [held(event) for event in _rankings(board, rank(board, known))] if board.digest != said else []


def _rankings(board_of: Chosen, board: Board) -> Iterator[RankingChanged]:
    """The board, in parts that an event can hold."""
    latest = max(board_of.entries, key=lambda entry: entry.run.latest_us).run
    parts = [board.rows[first : first + ROWS_A_PART] for first in range(0, len(board.rows), ROWS_A_PART)] or [()]
    for part, rows in enumerate(parts):
        yield RankingChanged(
            occurred_us=latest.latest_us, producer=producer("agents.rank"), organisation_id=latest.organisation_id,
            visibility=latest.visibility, board=board.name,
            version=board.version, tasks=board.tasks, runs=tuple(row.run_id for row in rows), inputs_digest=board.digest,
            provisional=False, rows=rows, part=part, parts=len(parts),
        )  # fmt: skip
