"""Runs held to a reference, as the API tells it: read from ClickHouse, reckoned by streams.boards.parity."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from infra.clickhouse import Rows
from infra.kept import Kept
from query_api.reading.facts import event_of
from query_api.reading.measured import measured_of
from query_api.reading.runs import Reading, unknown_run
from schemas.jobs import EnvironmentSeen
from schemas.requests import Objective, Workload
from schemas.settled import RunSettled
from streams.boards.gains import Load
from streams.boards.parity import MARGIN, Parity, Row, Side, TaskHeld, check, in_words, of_row, parity
from streams.boards.results import Result, result_of
from streams.boards.speeds import alike
from streams.errors import Invalid, Unavailable
from streams.statistics.differences import JOINED
from streams.statistics.quotients import METHOD as RATIO

KEPT: Final = 16
ELSEWHERE: Final = frozenset({"url", "api", "http", "streams"})  # of a workload: by what way, which is no part of the load
Apart = Mapping[str, Mapping[str, int]]  # task → samples, and on how many of them the answers differ


@dataclass(frozen=True, slots=True)
class Read:
    """What is read of runs beside their samples: results, those whose speed they may have, environments, loads' requests, prices, memory.

    `scored`: as of which scores the samples are; it is all that can change beside the others.
    """

    results: Sequence[Result]
    fast: Sequence[Result]
    seen: Mapping[str, EnvironmentSeen]
    asked: Mapping[str, str]
    costs: Mapping[str, Mapping[str, Any]]
    peaks: Mapping[str, int]
    retracted: frozenset[str]
    scored: Sequence[Rows]

    @property
    def key(self) -> str:
        """A name of all of it."""
        digests = [[one.run_id, one.digest, one.latest_us] for one in (*self.results, *self.fast)]
        costs = {run_id: [row["per_1m_tokens_usd"], row["price_version"]] for run_id, row in self.costs.items()}
        return json.dumps([digests, sorted(self.seen), self.asked, costs, self.peaks, sorted(self.retracted), self.scored], sort_keys=True)


class Parities:
    """Runs held to a reference. What was reckoned is kept until something that it rests on is otherwise: it rests on all samples."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._kept: Kept[str, dict[str, Any]] = Kept(KEPT)

    async def of(self, reference: str, others: Sequence[str], *, margin: float = MARGIN) -> dict[str, Any]:
        """A row for each other run. Raises: NotFound, Invalid, Unavailable where a run's result is not here yet."""
        check(reference, others)
        run_ids = [reference, *others]
        states = await asyncio.gather(*(self._reading.rows("run", run_id=run_id) for run_id in run_ids))
        for run_id, rows in zip(run_ids, states, strict=True):
            _completed(run_id, rows)
        read = await _read(self._reading, run_ids)
        return await self._kept.of(f"{run_ids}|{margin}|{read.key}", lambda: _reckoned(self._reading, read, margin))


def _completed(run_id: str, rows: Rows) -> None:
    """Raises: NotFound, Invalid where the run is not completed."""
    if not rows:
        raise unknown_run(run_id)
    if (state := rows[0]["state"]) != "completed":
        wait = f"`assay run {run_id} --wait` waits for its end" if state in ("requested", "planned", "running") else "name one that is"
        raise Invalid(f"run {run_id} is {state}, and only completed runs are held to one another; {wait}", code="not-completed")


async def _read(reading: Reading, run_ids: Sequence[str]) -> Read:
    settled = _results(await reading.rows("settled_of", run_ids=list(run_ids)))
    results = [_there(run_id, settled) for run_id in run_ids]
    models = sorted({(one.plan.model.uri, one.plan.model_sha) for one in results})
    shas = sorted({sha for one in results for sha in one.environments})
    fast = list(_results(await reading.rows("speeds_of_models", models=models)).values())
    measured = sorted(one.run_id for one in fast)
    environments, asked, costs, peaks, retracted, *scored = await asyncio.gather(
        reading.rows("environments_by_hash", shas=shas), reading.rows("asked_loads", run_ids=measured),
        reading.rows("newest_costs", run_ids=measured), reading.rows("memory_peaks", run_ids=[*run_ids, *measured]),
        reading.rows("retracted", run_ids=list(run_ids)),
        *(reading.rows("scored_as_of", run_id=run_id) for run_id in run_ids),
    )  # fmt: skip
    return Read(
        results, fast, {row["sha"]: event_of(EnvironmentSeen, row) for row in environments},
        {row["run_id"]: _load(row) for row in asked if row["workload"]}, {row["run_id"]: row for row in costs},
        {row["run_id"]: row["peak"] for row in peaks},
        frozenset(row["run_id"] for row in retracted), scored,
    )  # fmt: skip


def _results(rows: Rows) -> dict[str, Result]:
    """The newest result of each run, without its documents."""
    settled = sorted((event_of(RunSettled, row) for row in rows), key=lambda one: one.knows)
    return {one.run_id: found for one in settled if (found := result_of(one, {}))}


def _there(run_id: str, settled: Mapping[str, Result]) -> Result:
    """Raises: Unavailable, Invalid for a run that judges."""
    if run_id not in settled:
        raise Unavailable(f"run {run_id} is completed, and what it came to is not here yet: ask again", code="not-settled")
    if settled[run_id].plan.subject:
        raise Invalid(f"run {run_id} judges another run's answers: hold the runs that it judges to one another", code="judgement")
    return settled[run_id]


def _load(row: Mapping[str, Any]) -> str:
    """A load as it was asked for, with its service level: equal ones have equal texts."""
    slo = Objective.model_validate_json(row["slo"]) if row["slo"] else None
    return Workload.model_validate_json(row["workload"]).model_dump_json(exclude=set(ELSEWHERE)) + (slo.model_dump_json() if slo else "")


async def _reckoned(reading: Reading, read: Read, margin: float) -> dict[str, Any]:
    sides = await asyncio.gather(*(_side(reading, run, read) for run in read.results))
    first, others = sides[0], sides[1:]
    found = await asyncio.to_thread(lambda: parity(first, others, seen=read.seen, margin=margin))
    apart = await asyncio.gather(*(reading.rows("answers_apart", a=first.run_id, b=other.run_id) for other in others))
    return _document(first, others, found, [{row["task"]: row for row in rows} for rows in apart])


async def _side(reading: Reading, run: Result, read: Read) -> Side:
    warned = (f"run {run.run_id} is retracted: it does not count",) if run.run_id in read.retracted else ()
    loads = [_measured(one, read) for one in alike(run, read.fast)]
    return Side(run, await measured_of(reading.rows, run.run_id, run.plan.tasks), loads, warned)


def _measured(one: Result, read: Read) -> Load:
    cost = read.costs.get(one.run_id, {})
    return Load(
        one.run_id,
        read.asked.get(one.run_id),
        one.speed,
        cost.get("per_1m_tokens_usd"),
        cost.get("price_version"),
        read.peaks.get(one.run_id),
    )


def _document(reference: Side, others: Sequence[Side], found: Parity, apart: Sequence[Apart]) -> dict[str, Any]:
    rows = zip(found.rows, others, apart, strict=True)
    return {
        "reference": {"run_id": reference.run_id, "model": reference.run.plan.model.uri}, "margin": found.margin, "tests": found.tests,
        "rows": [_row(row, other, answers, margin=found.margin) for row, other, answers in rows], "warnings": reference.warnings,
    }  # fmt: skip


def _row(row: Row, other: Side, apart: Apart, *, margin: float) -> dict[str, Any]:
    low, high = row.overall.interval or (None, None)
    return {
        "run_id": row.run_id, "model": other.run.plan.model.uri, "verdict": row.verdict, "words": of_row(row, margin=margin),
        "differs": [asdict(fact) for fact in row.differs], "tasks": [_task(one, apart.get(one.task)) for one in row.tasks],
        "overall": {
            "difference": row.overall.value, "low": low, "high": high, "units": row.overall.units,
            "method": JOINED if row.overall.interval else None,
        },
        "skipped": [{"task": name, "reason": reason} for name, reason in row.skipped.items()],
        "figures": [asdict(gain) | {"method": None if gain.low is None else RATIO} for gain in row.gains.figures],
        "reference_speed_run": row.gains.reference_run,
        "speed_run": row.gains.other_run, "warnings": row.warnings,
    }  # fmt: skip


def _task(one: TaskHeld, apart: Mapping[str, int] | None) -> dict[str, Any]:
    own = one.difference
    told = {name: value for name, value in asdict(one).items() if name not in ("p", "difference")}
    return told | {
        "difference": own.value, "low": own.low, "high": own.high, "n": own.n, "p_holm": one.p, "words": in_words(one),
        "test": own.test, "method": own.method,
        "changed_ratio": one.changed / own.n,
        "answered_differently_ratio": apart["differ"] / apart["samples"] if apart and apart["samples"] else None,
    }  # fmt: skip
