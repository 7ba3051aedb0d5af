"""What the API and the pages read of ClickHouse, in the shapes that clients rely on."""

import asyncio
import json
import re
from collections.abc import Awaitable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from infra.clickhouse import ClickHouse, Rows
from infra.kept import Kept
from query_api.reading.exposure import exposed
from query_api.reading.flags import flags
from query_api.reading.groups import group_scores, sharing
from query_api.reading.measured import measured_of, part_of
from query_api.reading.paging import Listing, Span, after, following, span
from query_api.reading.pools import NEED_A_DISPATCHER, SILENT_US, told_for
from query_api.reading.precision import precision
from query_api.reading.ruled import ruled
from query_api.reading.sweeps import NS, level_of, spread, sweep_of
from schemas.runs import PlannedTask
from streams.errors import NotFound
from streams.speed.sensors import grade_of
from streams.statistics.joining import Part
from streams.trust.visibility import NARROWED, Seen

PLANS_KEPT = 256
DURATIONS = ("ttft", "first_answer", "itl", "gap", "tpot", "e2e")
JOULES = {"joules": "energy_uj", "idle_joules": "idle_energy_uj", "host_joules": "host_energy_uj"}
RATES = ("offered_per_s", "alone_tokens_per_s", "concurrent_tokens_per_s", "capacity_tokens_per_s", "goodput_per_s")
OF_KIND = "errors:"  # how the figures of errors of a kind are called
RUNS = Listing("runs", sorts={"requested_us": "Int64", "changed_us": "Int64", "model": "String"}, key={"run_id": "String"})
SHARED_VIEWS = re.compile(rf"\b({'|'.join(NARROWED)})\b")
RUN_FILTERS = {"state": "", "model": "", "task": "", "suite": "", "submitter": "", "campaign": ""}


@cache
def queries() -> Mapping[str, str]:
    """The named queries of query_api/queries."""
    texts = [path.read_text() for path in sorted((Path(__file__).parents[1] / "queries").glob("*.sql"))]
    parts = [part.partition("\n") for text in texts for part in text.split("-- name: ")[1:]]
    return {name.strip(): sql.strip() for name, _, sql in parts}


def narrowed(sql: str) -> str:
    """A query of what all share, as it is asked of the views without what may not be seen."""
    return SHARED_VIEWS.sub(lambda found: NARROWED[found[0]], sql)


class Reading:
    """Questions to ClickHouse, answered with what may be seen, and with nothing else."""

    def __init__(self, clickhouse: ClickHouse, seen: Seen) -> None:
        self._clickhouse = clickhouse
        self._seen = seen
        self._planned: Kept[str, list[dict[str, Any]]] = Kept(PLANS_KEPT)

    async def rows(self, name: str, **parameters: Any) -> Rows:
        """The rows of a named query."""
        return await self._asked(self._query(name), parameters)

    async def page(self, listing: Listing, *, sort: str, limit: int, cursor: str = "", **filters: Any) -> tuple[Rows, str | None]:
        """A page of a list, and the cursor of the next (None at the end). Raises: Malformed for a cursor that is not of this question."""
        place = span(listing, sort, after=after(cursor, listing, sort, asked=filters), limit=limit)
        rows = await self.behind(place, listing.query, **filters)
        return following(rows, listing, sort, asked=filters, limit=limit)

    async def behind(self, place: Span, name: str, **parameters: Any) -> Rows:
        """The rows of a named query that lie at that place of its list."""
        sql = f"SELECT * FROM ({self._query(name)}){place.sql}"  # noqa: S608  # both are ours; what is asked for are parameters
        return await self._asked(sql, parameters | dict(place.parameters))

    async def _asked(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        return await self._clickhouse.query(sql, parameters, filters=self._seen.filters())

    def _query(self, name: str) -> str:
        return queries()[name] if self._seen.all else narrowed(queries()[name])

    async def runs(self, *, sort: str = "-requested_us", limit: int = 50, cursor: str = "", **filters: str) -> tuple[Rows, str | None]:
        """A page of runs, the newest first, each with its progress (0..1), and the next page's cursor. `filters`: see RUN_FILTERS."""
        runs, next_page = await self.page(RUNS, sort=sort, limit=limit, cursor=cursor, **(RUN_FILTERS | filters))
        return await self._moving(await self._unserved(runs)), next_page

    async def active(self) -> Rows:
        """Runs that are not over, each with its progress (0..1): those that run first, then those that wait the longest."""
        return await self._moving(await self._unserved(await self.rows("active_runs")))

    async def _unserved(self, runs: Rows) -> Rows:
        """The runs, told what they wait for where their pool has no dispatcher, which else would tell it; what it said is past."""
        waiting = [run["run_id"] for run in runs if run["state"] in NEED_A_DISPATCHER]
        unserved = await self.rows("unserved", run_ids=waiting, silent_us=SILENT_US) if waiting else []
        found = {row["run_id"]: row for row in unserved}
        return [told_for(run, found[run["run_id"]]) if run["run_id"] in found else run for run in runs]

    async def _moving(self, runs: Rows) -> Rows:
        counted = [run["run_id"] for run in runs if run["state"] != "completed"]  # what is complete needs no count of its samples
        done = {row["run_id"]: row for row in await self.rows("progress_of", run_ids=counted)} if counted else {}
        return [run | {"progress": _progress(run["state"], done.get(run["run_id"]))} for run in runs]

    async def state(self, run_id: str) -> dict[str, Any]:
        """A run's row of `run_states`. Raises: NotFound."""
        found = await self.rows("run", run_id=run_id)
        if not found:
            raise unknown_run(run_id)
        return (await self._unserved(found))[0]

    async def planned(self, run_id: str) -> list[dict[str, Any]]:
        """The tasks of a run's plan; none where it has none. A plan stays as it is, so those asked for last are kept."""
        return await self._planned.of(run_id, lambda: self._tasks(run_id))

    async def _tasks(self, run_id: str) -> list[dict[str, Any]]:
        rows = await self.rows("planned", run_id=run_id)
        return [task for row in rows[:1] for task in json.loads(row["plan"])["tasks"]]

    async def known(self, run_id: str) -> None:
        """Returns where there is such a run. Raises: NotFound."""
        if not await self.rows("known", run_id=run_id):
            raise unknown_run(run_id)

    async def run(self, run_id: str) -> dict[str, Any]:
        """Everything about a run. Raises: NotFound."""
        found, *parts = await asyncio.gather(self.state(run_id), *self._parts(run_id))
        return _run(found, *parts)

    async def run_of(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Everything about the run whose row of `run_states` this is."""
        return _run(state, *await asyncio.gather(*self._parts(state["run_id"])))

    def _parts(self, run_id: str) -> tuple[Awaitable[Any], ...]:
        return (
            self.rows("progress", run_id=run_id), self._scores(run_id), self.performance(run_id), self._beside(run_id),
        )  # fmt: skip

    async def _scores(self, run_id: str) -> tuple[Rows, dict[str, Part]]:
        """A run's figures; and the values of those of its tasks that share something with others of their group."""
        figures, planned = await asyncio.gather(self.rows("figures", run_id=run_id), self.planned(run_id))
        alike = sharing(planned)
        tasks = [PlannedTask.model_validate(task) for task in planned if task["task"] in alike]
        found = await measured_of(self.rows, run_id, tasks) if tasks else {}
        return figures, {task: part_of(own) for task, own in found.items() if own.samples}

    async def _beside(self, run_id: str) -> dict[str, Any]:
        """Whether it can be trusted, why what is missing is, which server elsewhere answered, and which hub its model is from."""
        names = ("served", "origin", "why_unscored", "left_out")
        served, origin, why, missing = await asyncio.gather(*(self.rows(name, run_id=run_id) for name in names))
        return await self._trust(run_id) | {
            "why_unscored": why, "left_out": json.loads(missing[0]["left_out"]) if missing else [],
            "server": json.loads(served[0]["server"]) if served else None, "origin": json.loads(origin[0]["origin"]) if origin else None,
        }  # fmt: skip

    async def _trust(self, run_id: str) -> dict[str, Any]:
        """Who may see a run's texts, or had them forgotten; whether it is sealed or retracted, and what was said of it after its seal."""
        names = ("trust", "quarantine", "visibility", "audited", "forgotten")
        found, late, visibility, audited, forgotten = await asyncio.gather(*(self.rows(name, run_id=run_id) for name in names))
        told = found[0] if found else {"sealed": 0, "retracted": 0, "quarantined": 0}
        return {
            "seal": {name: told[name] for name in ("root", "key_id", "events")} if told["sealed"] else None,
            "retraction": {name: told[name] for name in ("by", "reason")} if told["retracted"] else None,
            "quarantined": told["quarantined"], "late": late, **(visibility[0] if visibility else {}),
            "audited": audited[0] if audited else None, "forgotten": forgotten[0] if forgotten else None,
        }  # fmt: skip

    async def performance(self, run_id: str) -> dict[str, Any] | None:
        """A run's speed in seconds and joules; None where none was measured."""
        return (await self.performances([run_id])).get(run_id)

    async def performances(self, run_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The speeds of those of the runs that measured one."""
        told: dict[str, dict[str, Any]] = {}
        rows, levels = await asyncio.gather(*(self.rows(name, run_ids=run_ids) for name in ("performance", "levels")))
        for row in rows:
            told.setdefault(row["run_id"], {})[row["metric"]] = row
        found = {row["run_id"]: row | {"slo": json.loads(row["slo"] or "null"), "steps": json.loads(row["steps"])} for row in levels}
        # What came between the two questions is told when it is asked for again.
        return {
            run_id: _speed(figures) | {
                "slo": level_of(found[run_id]["slo"]), "sweep": sweep_of(figures, found[run_id]["steps"]),
                "rules": ruled(figures, labels=json.loads(found[run_id]["labels"] or "{}"), slo=found[run_id]["slo"]),
            }
            for run_id, figures in told.items() if run_id in found
        }  # fmt: skip

    async def histograms(self, run_id: str) -> list[dict[str, Any]]:
        """A run's latency histograms."""
        rows = await self.rows("histograms", run_id=run_id)
        return list(json.loads(rows[0]["histograms"])) if rows else []


def _run(
    found: Mapping[str, Any], tasks: Rows, measured: tuple[Rows, Mapping[str, Part]], performance: Mapping[str, Any] | None,
    beside: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    scores = measured[0]
    told, beside = {name: value for name, value in found.items() if name != "plan"}, dict(beside)
    missing = left_out(beside.pop("left_out"), {score["task"] for score in scores})
    whole = {"planned": sum(t["expected"] for t in tasks), "done": sum(t["scored"] + t["not_scored"] for t in tasks)}
    plan = json.loads(found["plan"] or "{}")
    truncated = {task["task"]: task["truncated"] for task in tasks}
    planned = {task["task"]: task for task in plan.get("tasks", ())}
    scores = [
        score | {
            "truncated": truncated.get(score["task"], 0), "group": planned.get(score["task"], {}).get("group"),
            "rows_skipped": planned.get(score["task"], {}).get("rows_skipped", 0), **precision(score),
        }
        for score in scores
    ]  # fmt: skip
    return told | {
        "progress": _progress(told["state"], whole), **exposed(plan, tasks), "unscored": unscored(tasks), "flags": flags(scores),
        "scores": scores, "groups": group_scores(plan.get("tasks", ()), scores, measured[1]), "performance": performance,
        "skipped": plan.get("skipped", []), "suite_version": plan.get("suite_version"),
        "warnings": [*plan.get("warnings", []), *missing],
        "revision": (plan.get("model") or {}).get("revision"), "licence": (plan.get("card") or {}).get("licence"),
        "chat": plan.get("chat") or {}, "placement": plan.get("placement"),
        "data_licences": plan.get("licences", []), "audit_of": plan.get("audit_of"), **whom(plan), **beside,
    }  # fmt: skip


def left_out(missing: Iterable[Mapping[str, Any]], scored: Collection[str]) -> Iterator[str]:
    """What could not be worked out of a completed run, in words; `scored`: its tasks that have scores, which are an older scorer's then."""
    for one in missing:
        what = f"{one['task']} could not be scored by {one['scorer_version']}" if one["task"] else "its speed could not be worked out"
        stands = "; what it had come to before stands" if one["task"] in scored else ""
        yield f"{what}: {one['why']}{stands}"


def _speed(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    value = {name: row["value"] for name, row in figures.items()}
    durations = {f"{name}_s": spread(value, name) for name in DURATIONS}
    energy = figures.get("energy_uj", {})
    grade, boundary = grade_of(energy.get("origin"))
    return {
        "requests": _whole(value.get("requests")), "errors": _whole(value.get("errors")),
        "cancelled": _whole(value.get("cancelled")), "requests_per_s": value.get("requests_per_s"),
        "output_tokens_per_s": value.get("output_tokens_per_s"), **durations,
        **{name: value.get(name) for name in RATES}, "concurrency": _whole(value.get("concurrency")),
        **{name: _whole(value.get(name)) for name in ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")},
        "errors_by_kind": {name.removeprefix(OF_KIND): _whole(value[name]) for name in value if name.startswith(OF_KIND)},
        **{name: _whole(value.get(name)) for name in ("text_tokens", "prompts_repeated")},
        "usage_contradicted": figures.get("usage_contradicted", {}).get("origin"),
        "undefined": {name: row["why_undefined"] for name, row in figures.items() if row["value"] is None and row["why_undefined"]},
        "steady": {
            "steady": bool(value["steady"]) if value.get("steady") is not None else None, "why": figures.get("steady", {}).get("origin"),
        },
        "client": {
            "overloaded": bool(value["client_overloaded"]) if value.get("client_overloaded") is not None else None,
            "why": figures.get("client_overloaded", {}).get("origin"),
            "pacing_error_p99_s": scaled(value.get("pacing_error_p99"), NS),
            **{name: _whole(value.get(f"client_{name}")) for name in ("unread_max", "unsent_max")},
        },
        "energy": {
            "grade": grade, "boundary": boundary, "why_undefined": energy.get("why_undefined"),
            "joules_per_token": scaled(value.get("energy_per_output_token_uj"), 1e6),
            "wh_per_1k_tokens": scaled(value.get("energy_per_output_token_uj"), 3.6e6),
            **{name: scaled(value.get(metric), 1e6) for name, metric in JOULES.items()}, "metering_ratio": value.get("metering_ratio"),
        },
    }  # fmt: skip


def unscored(tasks: Iterable[Mapping[str, Any]]) -> str | None:
    """How many of a run's samples cannot be scored, in words: "1 of 14,042 not scored"; None where none is."""
    counted = [(task["not_scored"], task["expected"]) for task in tasks]
    missing, expected = (sum(column) for column in zip(*counted, strict=True)) if counted else (0, 0)
    return f"{missing:,} of {expected:,} not scored" if missing else None


def unknown_run(run_id: str) -> NotFound:
    """What is said of a run that is not there."""
    return NotFound(f"no run {run_id}; `assay runs` lists them", code="unknown-run")


def whom(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Whom a run judges, and with whom it compares, as its plan (as JSON) says; null where it does not."""
    return {
        side: {"run_id": told["run_id"], "model": told["model"]["uri"]} if (told := plan.get(side)) else None
        for side in ("subject", "against")
    }


def _progress(state: str, done: Mapping[str, Any] | None) -> float:
    if state == "completed":
        return 1.0
    return min(1.0, done["done"] / done["planned"]) if done and done["planned"] else 0.0


def scaled(value: float | None, by: float) -> float | None:
    """The value over so much; None where there is none."""
    return value / by if value is not None else None


def _whole(value: float | None) -> int | None:
    return round(value) if value is not None else None
