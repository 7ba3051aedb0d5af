"""The page of a run: how it goes, what came of it, what happened when, and exactly what was asked."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from query_api.drawing.asking import command
from query_api.drawing.charts import shares
from query_api.drawing.grouping import arranged
from query_api.drawing.held import of_correction, of_strengths
from query_api.drawing.sweeps import Plot, plots
from query_api.drawing.timelines import timeline
from query_api.pages.rendering import Content, page, short
from query_api.reading.audits import audits
from query_api.reading.held import corrections, standing
from query_api.reading.judgements import judgements
from query_api.reading.repeated import repeated_load
from query_api.reading.runs import Reading
from query_api.reading.timelines import history
from query_api.state import state_of
from streams.trust.privacy import PRIVATE

JUDGED, AUDITS = 50, 20


async def load(request: Request) -> Content:
    """What the page of a run shows."""
    reading, run_id = state_of(request).reading, request.path_params["run_id"]
    cursor = request.query_params.get("judgements", "")
    state = await reading.state(run_id)
    own = asyncio.gather(
        reading.run_of(state), history(reading, run_id), state_of(request).costs.run(run_id), reading.histograms(run_id),
        reading.rows("request", run_id=run_id),
    )  # fmt: skip
    beside = asyncio.gather(
        judgements(reading, run_id, limit=JUDGED, cursor=cursor), _pins(reading, state), _held(reading, run_id),
        audits(reading, run_id=run_id, limit=AUDITS),
    )  # fmt: skip
    (run, told, cost, histograms, asked), (judged, pins, held, audited) = await asyncio.gather(own, beside)
    scores = arranged(run["scores"], run["groups"])
    return {
        "title": short(run["model"]), "stream": f"/v1/live?run={run_id}",
        "run": run, "scores": scores, "spans": shares(scores), "cost": cost, "histograms": histograms,
        "alike": await _alike(reading, run),
        "timeline": timeline(told) if told else None, "sweep_plots": _sweep_plots(run["performance"]),
        "sample_count": sum(task["answered"] for task in run["tasks"]),
        "command": command(asked[0]) if asked and run.get("visibility") != PRIVATE else None,
        "judged": judged, "judged_paged": bool(cursor), "audits": audited["audits"], **pins, **held,
    }  # fmt: skip


def _sweep_plots(speed: Mapping[str, Any] | None) -> list[Plot]:
    return plots(speed["sweep"], speed["slo"]) if speed and speed["sweep"] else []


async def _alike(reading: Reading, run: Mapping[str, Any]) -> dict[str, Any] | None:
    """The run's load over several runs; None where it has none, or this is the only one."""
    told = await repeated_load(reading, run["run_id"]) if run["performance"] else None
    return told if told and len(told["runs"]) > 1 else None


async def _held(reading: Reading, run_id: str) -> dict[str, Any]:
    """Judges of its answers held to people, and the strengths of models compared with its own, each with what is said of it."""
    corrected, strong = await asyncio.gather(corrections(reading, run_id), standing(reading, run_id))
    return {
        "corrections": [one | {"remarks": list(of_correction(one))} for one in corrected],
        "strengths": [one | {"remarks": list(of_strengths(one))} for one in strong],
    }


async def _pins(reading: Reading, state: Mapping[str, Any]) -> dict[str, Any]:
    """What the run was planned with, name by name; its builds; and where it ran."""
    plan, run_id = json.loads(state["plan"] or "{}"), state["run_id"]
    builds = [one["build_id"] for task in plan.get("tasks", ()) for one in task.get("setups") or [task]]
    found, environments = await asyncio.gather(reading.rows("builds_of", build_ids=builds), reading.rows("environments_of", run_id=run_id))
    pins = {name: plan[name] for name in ("model_sha", "tokenizer_sha", "chat_template_sha") if plan.get(name)}
    told = [_environment(row) for row in environments]
    return {"pins": pins, "builds": found, "environments": told, "licences": plan.get("licences", [])}


def _environment(row: Mapping[str, Any]) -> dict[str, Any]:
    return dict(row) | {name: json.loads(row[name]) for name in ("packages", "devices")}


ROUTES = page("/runs/{run_id}", "run.html", load)
