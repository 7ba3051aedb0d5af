"""Whatever the real processes say of a run is its organisation's, and as public as the run; two organisations, each with its keys."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from infra.clickhouse import ClickHouse
from infra.settings import Settings
from schemas.catalogue import EVENTS
from streams.projection import table_of
from tests.doors import assay, closed_api
from tests.flow import PATIENCE_S, until, until_row

pytestmark = [pytest.mark.integration, pytest.mark.slow]
LOAD = {"profile": "single", "requests": 2, "warmup_requests": 1}
RUN: dict[str, Any] = {
    "engine": {"name": "echo"}, "tasks": [{"name": "assay_copy", "limit": 2}], "suite": "of-organisations", "workload": LOAD,
}  # fmt: skip
SAID = {"RunChanged", "SampleAnswered", "RunScored", "PerformanceSummarised", "JobChanged"}
NOBODYS = ("", "organisation")  # that an agent lets go of what is over
OF_RUNS = [kind for kind in EVENTS.values() if "run_id" in kind.model_fields]


@pytest.fixture(scope="module")
def door(flow: Settings) -> Iterator[Settings]:
    """Another API of the same stack, which wants keys."""
    with closed_api(flow) as settings:
        yield settings


@contextmanager
def client(door: Settings, organisation: str) -> Iterator[httpx.Client]:
    """A submitter of that organisation, once the API knows the key."""
    key = assay(door, "access", "create", "--member", "ann", "--role", "submitter", "--organisation", organisation)["key"]
    with httpx.Client(base_url=door.api, headers={"Authorization": f"Bearer {key}"}, timeout=60) as made:
        until(lambda: made.get("/v1/suites").status_code == 200)
        yield made


async def headers(settings: Settings, run_id: str) -> dict[str, list[tuple[str, str]]]:
    """What the rows of every table say of whose the run is, and who may see it."""
    found: dict[str, list[tuple[str, str]]] = {}
    async with ClickHouse(settings) as clickhouse:
        for kind in OF_RUNS:
            asked = f"SELECT DISTINCT organisation_id, visibility FROM {table_of(kind).name} WHERE run_id = {{run_id:String}}"
            rows = await clickhouse.query(asked, {"run_id": run_id})
            found[kind.__name__] = [(row["organisation_id"], row["visibility"]) for row in rows]
    return found


def test_all_that_is_said_of_a_run_is_its_organisation_s_and_as_public_as_the_run(door: Settings) -> None:
    """Of a public run, and of one that is not; each organisation sees its own and the public one, on boards too."""
    with client(door, "acme") as acme, client(door, "umbra") as umbra:
        _said_and_seen(door, acme, umbra)


def _said_and_seen(door: Settings, acme: httpx.Client, umbra: httpx.Client) -> None:
    asked = dict[str, str]()
    for visibility in ("public", "organisation"):
        body = RUN | {"model": {"uri": f"m-{visibility}"}, "visibility": visibility}
        asked[visibility] = acme.post("/v1/evaluations", json=body).json()["run_id"]
    give_up = time.monotonic() + PATIENCE_S
    for run_id in asked.values():
        while acme.get(f"/v1/runs/{run_id}").json().get("state") != "completed":
            assert time.monotonic() < give_up
            time.sleep(0.5)
        for table in ("fact_seals", "fact_results"):
            sql = f"SELECT 1 FROM {table} WHERE run_id = {{run_id:String}}"
            asyncio.run(until_row(door, sql, holds=bool, run_id=run_id))
    for visibility, run_id in asked.items():
        until(lambda run_id=run_id: {kind for kind, rows in asyncio.run(headers(door, run_id)).items() if rows} >= SAID)  # type: ignore[misc]
        told = asyncio.run(headers(door, run_id))
        assert {kind: rows for kind, rows in told.items() if {*rows} - {NOBODYS} not in (set(), {("acme", visibility)})} == {}
    until(lambda: len(acme.get("/v1/rankings", params={"board": "of-organisations"}).json().get("rows", ())) == 2)
    seen = umbra.get("/v1/rankings", params={"board": "of-organisations"}).json()["rows"]
    assert [(row["run_id"], row["rank"]) for row in seen] == [(asked["public"], 1)]
    assert umbra.get(f"/v1/runs/{asked['public']}").json()["organisation_id"] == "acme"
    assert umbra.get(f"/v1/runs/{asked['organisation']}").status_code == 404
    until(lambda: bool(umbra.get(f"/v1/runs/{asked['public']}/samples").json()["samples"][0]["requests"][0]["answers"]))
    assert umbra.post(f"/v1/runs/{asked['public']}/cancel", json={}).status_code == 403
    judged = {"model": {"uri": "judge"}, "engine": {"name": "echo"}, "tasks": [{"name": "assay_judge_writing"}]}
    refused = str(umbra.post("/v1/evaluations", json=judged | {"parent_run": asked["organisation"]}).json()["run_id"])
    until(lambda: umbra.get(f"/v1/runs/{refused}").json().get("state") == "rejected")
    assert "is not in the log" in umbra.get(f"/v1/runs/{refused}").json()["message"]
