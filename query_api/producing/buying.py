"""The next run that a recommendation names, asked for: its commands as requests, once for each recommendation and place."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from query_api.operations.parsing import validated
from query_api.producing.submitting import Submission, requested
from query_api.state import State
from schemas.decisions import NextRun, RecommendationMade
from schemas.event import derive_run_id
from schemas.requests import EvaluationRequested
from streams.deciding.asks import Ask, ask_of
from streams.errors import Invalid, NotFound

LABEL = "recommendation"  # which one a run was asked for by


@dataclass(frozen=True, slots=True)
class Buying:
    """What would be asked for, each run with its id. `asked`: it was asked for already."""

    recommendation_id: str
    place: int
    one: NextRun
    asks: tuple[Ask, ...]
    run_ids: tuple[tuple[str, ...], ...]
    asked: bool = False

    @property
    def runs(self) -> tuple[str, ...]:
        """All of its runs."""
        return tuple(run_id for several in self.run_ids for run_id in several)


def buying_of(made: RecommendationMade, place: int) -> Buying:
    """What asking for a recommendation's next run of that place comes to. Its runs' ids follow from both: asked twice they are the same.

    Raises: NotFound where it names no such one, Invalid where its commands are none of ours.
    """
    if not 0 <= place < len(made.next):
        raise NotFound(
            f"recommendation {made.recommendation_id} names {len(made.next)} next runs, and none at {place}", code="unknown-next-run"
        )
    one, named = made.next[place], (made.recommendation_id, made.organisation_id, place)
    asks = tuple(map(ask_of, one.commands))
    run_ids = tuple(
        tuple(derive_run_id("NextRun", *named, n, times) for times in range(ask.times)) for n, ask in enumerate(asks)
    )  # fmt: skip
    return Buying(made.recommendation_id, place, one, asks, run_ids)


async def asked_before(state: State, run_ids: Sequence[str]) -> set[str]:
    """Those of the runs that were asked for."""
    here = {run_id for run_id in run_ids if state.submissions.remembered(run_id) is not None}
    rows = await state.reading.rows("asked_tasks", run_ids=list(run_ids))
    return here | {row["run_id"] for row in rows}


async def bought(state: State, buying: Buying, *, by: str) -> bool:
    """Asks for all of its runs, or, where they were asked for before, for nothing; whether they are new. Raises: Invalid, Conflict."""
    if await asked_before(state, buying.runs):
        return False
    await state.submissions.submit(_events(state, buying, by), key=buying.recommendation_id)
    return True


def _events(state: State, buying: Buying, by: str) -> list[EvaluationRequested]:
    about: dict[str, Any] = {"submitter": by, "labels": {LABEL: buying.recommendation_id}}
    bodies = [ask.body | about | {"run_id": run_id} for ask, several in zip(buying.asks, buying.run_ids, strict=True) for run_id in several]
    organisation = state.settings.organisation
    return [requested(validated(json.dumps(body).encode(), Submission), organisation=organisation) for body in bodies]


async def asked_of(state: State, made: RecommendationMade) -> list[Buying | None]:
    """Each next run with what asking for it comes to, the runs that were asked for told; None for one that can only be typed."""
    found = [_buying(made, place) for place in range(len(made.next))]
    there = await asked_before(state, [run_id for one in found if one for run_id in one.runs])
    return [one and replace(one, asked=bool(there & {*one.runs})) for one in found]


def _buying(made: RecommendationMade, place: int) -> Buying | None:
    try:
        return buying_of(made, place)
    except Invalid:
        return None
