"""The cluster: agents with their devices, what each runs and holds; and the queue, with what each run waits for."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from query_api.pages.rendering import Content, page
from query_api.state import state_of
from streams.planning import run_of

NESTED = ("running", "models_held", "devices", "capabilities")


async def load(request: Request) -> Content:
    """What the cluster's page shows."""
    reading = state_of(request).reading
    alive, queue = await asyncio.gather(reading.rows("agents"), reading.active())
    names = {run["run_id"]: run["model"] for run in queue}
    jobs = {row["run_id"]: row for row in await reading.rows("jobs_of", run_ids=list(names))}
    return {"title": "Cluster", "agents": [_agent(row) for row in alive], "queue": queue, "names": names, "jobs": jobs, "every_s": 5}


def _agent(row: Mapping[str, Any]) -> dict[str, Any]:
    told = dict(row) | {name: json.loads(row[name]) for name in NESTED}
    # A job's id begins with its run's.
    told["running"] = [job | {"run_id": run_of(job["job_id"])} for job in told["running"]]
    return told


ROUTES = page("/cluster", "cluster.html", load)
