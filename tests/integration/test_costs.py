"""Costs on the real stack: prices published, runs reckoned, reckoned anew by later prices; and what wrong prices are told."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from uuid6 import uuid7

from infra.identity import now_us
from infra.kafka import Log
from infra.prices import EXAMPLE
from infra.replay import verify
from infra.settings import Settings
from tests.flow import get, post, until_row
from tests.integration.test_api import ECHO, until
from tests.integration.test_cli import assay, document
from tests.unit.test_prices import price

pytestmark = [pytest.mark.integration, pytest.mark.slow]
WORKLOAD = {"profile": "concurrent", "concurrency": 2, "requests": 8, "input_tokens": 16, "output_tokens": 8}
ROW = {"item": "cpu_hour", "amount": "0.36", "unit": "core-hour", "valid_from": "2020-01-01", "source": "test", "version": "flow-1"}


def publish(flow: Settings, **told: Any) -> httpx.Response:
    """A price by the API."""
    return post(f"{flow.api}/v1/prices", json={"prices": [ROW | told]})


def versions_of(flow: Settings, run_id: str, *names: str) -> dict[str, dict[str, Any]]:
    """The run's costs by versions of the price book, once these are there."""
    told = until(flow.api, f"/v1/runs/{run_id}/cost", holds=lambda cost: set(names) <= {one["price_version"] for one in cost["versions"]})
    return {one["price_version"]: one for one in told["versions"]}


@pytest.fixture(scope="module")
def run_id(flow: Settings) -> str:
    """A run that measured a workload, with a price for its cores."""
    assert publish(flow).json() == {"published": 1}
    body = ECHO | {"workload": WORKLOAD, "engine": {"name": "echo", "options": {"delay_ms": "5"}}}
    told = str(post(f"{flow.api}/v1/evaluations", json=body).json()["run_id"])
    until(flow.api, f"/v1/runs/{told}", holds=lambda run: run["state"] == "completed" and run["performance"])
    return told


def test_a_run_is_reckoned_and_anew_when_a_price_comes_later(flow: Settings, run_id: str) -> None:
    """Ten times the price is ten times the cost; the first figures stay; what cannot be known says why."""
    old = versions_of(flow, run_id, "flow-1")["flow-1"]
    assert 0 < old["run_usd"] < 1
    assert old["per_1m_tokens_usd"] > 0
    assert (old["energy_j"], old["energy_grade"], old["why_undefined"]["energy_j"]) == (None, None, "no meter here")
    assert old["why_undefined"]["per_correct_answer_usd"] == "no task of the run counts right answers"
    assert old["prices"]["run_usd"] == "cpu_hour (flow-1)"
    assert publish(flow, amount="3.6", version="flow-2").json() == {"published": 1}
    both = versions_of(flow, run_id, "flow-1", "flow-2")
    assert both["flow-2"]["run_usd"] == pytest.approx(10 * both["flow-1"]["run_usd"], abs=1e-8)  # each is whole nano-USD
    assert [both[name]["newest"] for name in ("flow-1", "flow-2")] == [False, True]
    shown = get(f"{flow.api}/runs/{run_id}").text
    assert "flow-1" in shown and "flow-2" in shown
    told = document(assay(flow, "cost", run_id, "--json"))
    assert [one["price_version"] for one in told["versions"]][:2] == ["flow-2", "flow-1"]
    assert "the whole run" in assay(flow, "cost", run_id).stdout


def test_costs_can_be_asked_of_clickhouse_and_replay_is_equal(flow: Settings, run_id: str) -> None:
    """Derived events are records like others."""
    versions_of(flow, run_id, "flow-1")
    sql = "SELECT value, unit FROM cost_figures WHERE run_id = {r:String} AND price_version = 'flow-1' AND metric = 'run_usd_nano'"
    (row,) = asyncio.run(until_row(flow, sql, holds=bool, r=run_id))
    assert row["value"] == round(row["value"]) > 0
    assert row["unit"] == "nUSD"
    verdict = asyncio.run(verify(flow, run_id=None, told=lambda _text: None))
    assert verdict.equal, verdict.difference
    assert verdict.tables["costs"].rows > 0 and verdict.tables["prices"].rows > 0


def test_each_sample_and_request_has_its_share_of_what_the_run_cost(flow: Settings) -> None:
    """One record each, with score, tokens and times; their shares are one, and their costs the run's."""
    publish(flow)
    body = ECHO | {"tasks": [{"name": "assay_copy", "limit": 5}], "workload": WORKLOAD}
    run_id = str(post(f"{flow.api}/v1/evaluations", json=body).json()["run_id"])
    costs = versions_of(flow, run_id, "flow-1")
    sql = "SELECT * FROM sample_facts(run_id = {r:String}) ORDER BY kind, task, ordinal"
    rows = asyncio.run(until_row(flow, sql, holds=lambda found: len(found) > 8 + 5 and bool(found[0]["price_version"]), r=run_id))
    requests, samples = rows[:-5], rows[-5:]  # those that warm up too
    assert [row["kind"] for row in rows] == ["request"] * len(requests) + ["sample"] * 5
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert sum(row["usd"] for row in rows) == pytest.approx(costs[rows[0]["price_version"]]["run_usd"])
    assert all(row["e2e_ns"] >= row["ttft_ns"] > 0 and row["output_tokens"] == 8 and row["score"] is None for row in requests)
    assert all(row["score"] in (0, 1) and row["joules"] is None and row["prompt_tokens"] > 0 for row in samples)
    assert all(row["e2e_ns"] > 0 and row["ttft_ns"] is None and "whole" in row["why_untimed"] for row in samples)
    assert {row["why_untimed"] for row in requests} == {None}


def test_a_wrong_price_on_kafka_is_a_dead_letter_and_stops_nobody(flow: Settings, run_id: str) -> None:
    """A price without a unit and a negative one, straight from a foreign producer; the next price is reckoned with."""
    name = f"after-{uuid7()}"
    wrong = [price(version=f"{name}-bad", unit=""), price(version=f"{name}-bad", usd=-1, valid_from_us=5)]

    async def act() -> None:
        async with Log(flow, client_id="test") as log:
            await log.publish_all([*wrong, price(version=name, published_us=now_us())])

    asyncio.run(act())
    versions_of(flow, run_id, name)
    sql = "SELECT reason_code FROM dead_letters WHERE topic = 'assay.prices.v1'"
    asyncio.run(until_row(flow, sql, holds=lambda found: {"price-amount", "price-unit"} <= {row["reason_code"] for row in found}))


@pytest.mark.parametrize(
    ("told", "status", "says"),
    [
        ({"unit": ""}, 422, "prices.0: cpu_hour has no unit"),
        ({"unit": "hour"}, 422, "its unit is 'core-hour'"),
        ({"amount": -1}, 422, "the least is 0"),
        ({"item": "gpu_hours:x"}, 422, "did you mean gpu_hour"),
        ({"valid_from": "soon"}, 422, "valid_from 'soon' is no date"),
        ({"colour": "red"}, 422, "prices.0.colour"),
        ({"amount": "1"}, 409, "publish this one under a new version"),
    ],
)
def test_a_wrong_price_is_told_what_is_wrong(flow: Settings, run_id: str, told: dict[str, Any], status: int, says: str) -> None:
    """And nothing of it is published."""
    answer = publish(flow, **told)
    assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.text
    assert publish(flow).json() == {"published": 0}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "# mine\nitem,amount,unit,valid_from,source,version\ncpu_hour,1,core-hour,2026-01-01,me,1\nkwh,1,,2026-01-01,me,1\n",
         "a.csv, line 4: kwh has no unit"),
        ("b.csv", "item,amount\ncpu_hour,1,2\n", "b.csv, line 2: 3 cells under a head of 2"),
        ("c.json", '[\n {"item": "cpu_hour", "amount": -2, "unit": "core-hour",\n  "valid_from": "2026-01-01", "source": "me"}]',
         "c.json, line 2: cpu_hour has no version"),
        ("d.json", '[\n{"item": "kwh",\n}}]', "d.json, line 3: not JSON"),
        ("e.txt", "", "ends in .csv or .json"), ("f.csv", "# nothing\n", "has no price in it"),
    ],
)  # fmt: skip
def test_a_wrong_file_names_its_line(flow: Settings, tmp_path: Path, name: str, text: str, says: str) -> None:
    """One line on stderr, exit code 1."""
    (tmp_path / name).write_text(text)
    done = assay(flow, "prices", "import", str(tmp_path / name))
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1)
    assert says in done.stderr


def test_the_example_price_book_is_imported_once(flow: Settings) -> None:
    """Its version says that it is an example; every price has its source."""
    first = document(assay(flow, "prices", "import", "--example", "--json"))
    again = document(assay(flow, "prices", "import", str(EXAMPLE), "--json"))
    assert (first["published"], again["published"], again["known"]) == (10, 0, 10)
    told = until(flow.api, "/v1/prices?version=example-2026", holds=lambda found: len(found["prices"]) == 10)
    assert all(one["source"] for one in told["prices"])
    assert "0.0425" in assay(flow, "prices", "--item", "cpu_hour").stdout
    json.loads(assay(flow, "prices", "--json").stdout)
