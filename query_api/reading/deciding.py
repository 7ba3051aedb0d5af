"""What decisions rest on, read from ClickHouse and kept: each event is read once, and taken in where it is new."""

import asyncio
import json
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from infra.identity import now_us, producer
from query_api.reading.facts import event_of
from query_api.reading.paging import UNKNOWN, Listing
from query_api.reading.runs import Reading
from query_api.reading.standing import TASK
from schemas.decisions import RecommendationMade
from schemas.event import Event
from schemas.jobs import EnvironmentSeen
from schemas.requirements import Requirement
from schemas.results import PricePublished, RunScored
from schemas.settled import RunSettled
from streams.boards.books import Books
from streams.deciding.answering import answer
from streams.deciding.drawing import SEED
from streams.deciding.evidence import Evidence
from streams.deciding.measured import Field, Priced, field_of
from streams.deciding.next_runs import Asked, Question, next_runs, runs_of, what_is_missing
from streams.deciding.price_ages import prices_of, stale_prices
from streams.deciding.recommending import Recommendation, recommend
from streams.deciding.savings import Savings, paid_otherwise, savings
from streams.errors import Invalid, NotFound
from streams.money.prices import PriceBook

AT_ONCE: Final = 500  # events that one query reads
LISTING: Final = Listing("recommendation_list", sorts={"made_us": "Int64", "confidence": UNKNOWN}, key={"recommendation_id": "String"})
KINDS: Final[Mapping[str, type[Event]]] = {
    "environment": EnvironmentSeen, "price": PricePublished, "scored": RunScored, "settled": RunSettled,
}  # fmt: skip
OF_RUNS: Final = ("scored", "settled")
REMEMBERED: Final = 20
UNUSABLE: Final = (Invalid, ValueError, LookupError, ArithmeticError, zlib.error)  # what a foreign producer's event may make of a fold
log_line = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked: a requirement, by whom, and by the prices of a version and a time (None: now's)."""

    requirement: Requirement
    by: str
    seed: int = SEED
    prices: str | None = None
    at_us: int | None = None


async def measured_names(reading: Reading) -> dict[str, list[str]]:
    """The tasks and the suites that a board ranks; not what was asked together without a name."""
    boards = [row["board"] for row in await reading.rows("boards")]
    tasks = [name.removeprefix(TASK) for name in boards if name.startswith(TASK)]
    return {"tasks": tasks, "suites": [name for name in boards if not name.startswith(TASK) and "+" not in name]}


class Measurements:
    """All that was measured of some runs, or of all (none named). What was read is kept.

    It is kept as boards keep it: documents of runs that count nowhere are let go.
    """

    def __init__(self, reading: Reading, run_ids: Sequence[str] = ()) -> None:
        self._reading = reading
        self._run_ids = list(run_ids)
        self._books = Books(whole=True)
        self._known: dict[str, set[str]] = {name: set() for name in KINDS}
        self.prices = PriceBook()
        self.evidence = Evidence(self._books, {})
        self.alone = asyncio.Lock()  # books are not read while they are written

    async def refresh(self) -> None:
        """Takes in what has come since."""
        *rows, peaks = await asyncio.gather(*(self._new(name) for name in KINDS), self._reading.rows("memory_peaks", run_ids=[]))
        memory = {row["run_id"]: row["peak"] for row in peaks}
        if any(rows) or memory != self.evidence.peaks:
            await asyncio.to_thread(self.fold, dict(zip(KINDS, rows, strict=True)))
            self.evidence = Evidence(self._books, memory)

    async def _new(self, name: str) -> list[dict[str, Any]]:
        chosen = {"run_ids": self._run_ids} if name in OF_RUNS else {}
        ids = [row["event_id"] for row in await self._reading.rows(f"{name}_ids", **chosen)]
        new = [event_id for event_id in ids if event_id not in self._known[name]]
        parts = [new[first : first + AT_ONCE] for first in range(0, len(new), AT_ONCE)]
        return [row for part in parts for row in await self._reading.rows(f"{name}_events", ids=part)]

    def fold(self, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Takes rows of facts in, by the names of KINDS. One that cannot be used is passed: its processor has told it as a dead letter."""
        for name, kind in KINDS.items():
            for row in rows[name]:
                self._known[name].add(row["event_id"])
                try:
                    event = event_of(kind, row)
                    self.prices.fold(event) if isinstance(event, PricePublished) else self._books.fold(event)
                except UNUSABLE as error:
                    log_line.warning("fact passed over", table=name, event_id=row["event_id"], why=str(error))


class Deciding:
    """Recommendations over what was measured, one at a time. Those that were said last are known before they are projected."""

    def __init__(self, reading: Reading, measurements: Measurements, *, organisation: str) -> None:
        self._reading = reading
        self._organisation = organisation
        self._measurements = measurements
        self._made: dict[str, RecommendationMade] = {}

    async def reckoned(self, asking: Asking) -> RecommendationMade:
        """The answer. Raises: Invalid where what was measured cannot answer, with what to do."""
        async with self._measurements.alone:
            return await self._answer(asking, self._measurements)

    async def recommended(self, asking: Asking, say: Callable[[RecommendationMade], Awaitable[object]]) -> RecommendationMade:
        """The answer, which is said where it was not before; else the one that was said first. Raises: as `reckoned`."""
        made = await self.reckoned(asking)
        if known := await self._known(made.recommendation_id):
            return known
        await say(made)
        self._made = dict([*self._made.items(), (made.recommendation_id, made)][-REMEMBERED:])
        return made

    async def again(self, made: RecommendationMade) -> RecommendationMade:
        """The same question to the same runs, by the same prices and seed. Raises: Invalid where they cannot answer it any more."""
        asking = Asking(made.requirement, made.asked_by, made.seed, made.prices, made.as_of_us)
        return await self._answer(asking, Measurements(self._reading, made.input_runs))

    async def savings(self, requirement: Requirement, run_id: str, *, margin: float) -> tuple[Savings, Field, tuple[str, ...]]:
        """What would save against what a run measured, by today's prices, everybody who was weighed, and which of those prices are old.

        Raises: NotFound for a run that nothing stands on, Invalid where what was measured cannot answer, with what to do.
        """
        async with self._measurements.alone:
            await self._measurements.refresh()
            measured = self._measurements
            priced = Priced(measured.prices, now_us())
            found, own = await asyncio.to_thread(saving, requirement, measured.evidence, priced, run_id, margin)
            keys = [found.now.key, *(one.candidate.key for one in found.found)]
            places = [own.origins[key].deployed for key in keys]
            otherwise = (price for one in priced.otherwise(places[0]) for price in one.prices)
            return found, own, stale_prices((*prices_of(places, priced), *otherwise), now_us=priced.at_us)

    async def stale_prices(self, made: RecommendationMade) -> tuple[str, ...]:
        """Which prices of those who may be chosen are old by now, in words."""
        async with self._measurements.alone:
            await self._measurements.refresh()
            priced = Priced(self._measurements.prices, made.as_of_us, made.prices)
            runs = {run_id for choice in made.choices for run_id in choice.measured_by}
            places = [one for one in self._measurements.evidence.deployed if any(run.run_id in runs for run in one.runs)]
            return stale_prices(prices_of(places, priced), now_us=now_us())

    async def _answer(self, asking: Asking, measured: Measurements) -> RecommendationMade:
        await measured.refresh()
        priced = Priced(measured.prices, asking.at_us if asking.at_us is not None else now_us(), asking.prices)
        own, told = await asyncio.to_thread(chosen, asking, measured.evidence, priced)
        question = Question(asking.requirement, measured.evidence, own, await self._asked(told, own))
        version = asking.prices or next(reversed(measured.prices.versions), None)
        header = {"occurred_us": now_us(), "producer": producer("query_api"), "organisation_id": self._organisation}
        about = {"seed": asking.seed, "prices": version, "as_of_us": priced.at_us, "asked_by": asking.by}
        return await asyncio.to_thread(lambda: answer(question, told, next_runs(told, question), header=header | about))

    async def _asked(self, told: Recommendation, own: Field) -> Asked:
        """What is to be known of the runs of those who contend, where nothing is decided."""
        if told.decided or told.made is None:
            return Asked()
        run_ids = list(runs_of(told.made, own))
        costs, rows = await asyncio.gather(
            self._reading.rows("newest_costs", run_ids=run_ids), self._reading.rows("asked_tasks", run_ids=run_ids)
        )
        tasks = {row["run_id"]: json.loads(row["tasks"]) for row in rows}
        whole = {run_id for run_id, asked in tasks.items() if all(one["limit"] is one["limit_ratio"] is None for one in asked)}
        fewshots = {(run_id, one["name"]): one["fewshot"] for run_id, asked in tasks.items() for one in asked if one["fewshot"] is not None}
        return Asked({row["run_id"]: row["run_usd"] for row in costs if row["run_usd"]}, frozenset(whole), fewshots)

    async def kept(self, recommendation_id: str) -> RecommendationMade:
        """A recommendation as it was made. Raises: NotFound."""
        if known := await self._known(recommendation_id):
            return known
        raise NotFound(f"no recommendation {recommendation_id}; `assay recommend list` lists them", code="unknown-recommendation")

    async def _known(self, recommendation_id: str) -> RecommendationMade | None:
        if recommendation_id in self._made:
            return self._made[recommendation_id]
        rows = await self._reading.rows("recommendation", recommendation_id=recommendation_id)
        return event_of(RecommendationMade, rows[0]) if rows else None


def chosen(asking: Asking, evidence: Evidence, priced: Priced) -> tuple[Field, Recommendation]:
    """Who may be chosen, and who is. Raises: Invalid, with what to measure first where a figure that counts is known of nobody."""
    requirement, own = asking.requirement, field_of(asking.requirement, evidence, priced)
    try:
        return own, recommend(requirement, own.candidates, own.scores, seed=asking.seed)
    except Invalid as error:
        if error.code == "no-figure" and (first := what_is_missing(Question(requirement, evidence, own))):
            raise Invalid(f"{error}. {first}", code=error.code) from error
        raise


def saving(requirement: Requirement, evidence: Evidence, priced: Priced, run_id: str, margin: float) -> tuple[Savings, Field]:
    """What would save against what the run measured: the same weights, where it ran, in its dress. Raises: NotFound, Invalid."""
    run = evidence.results.get(run_id)
    own = field_of(requirement, evidence, priced)
    here = {key: origin for key, origin in own.origins.items() if any(one.run_id == run_id for one in origin.deployed.runs)}
    if run is None or not here:
        raise NotFound(
            f"nothing stands on run {run_id}: what runs now is told by a completed run of it on an engine of ours; `assay runs` has them",
            code="unknown-run",
        )
    now = next((key for key, origin in here.items() if origin.chat == run.plan.chat), min(here))
    found = savings(requirement, own.candidates, own.scores, now=now, margin=margin)
    return replace(found, otherwise=paid_otherwise(found, priced.otherwise(own.origins[now].deployed))), own
