"""Runs of one load on the real stack: told by API, SDK, page and command line, and their loads written as others write theirs."""

import json
from pathlib import Path
from typing import Any

import pytest
from assay_client import Client

from infra.settings import Settings
from tests.flow import get, post
from tests.integration.test_api import until
from tests.integration.test_cli import assay

pytestmark = pytest.mark.integration

LOAD: dict[str, Any] = {"profile": "single", "requests": 14, "output_tokens": 8}


def measured(flow: Settings, **changed: Any) -> str:
    """A completed run of a load of the echo engine."""
    body = {"model": {"uri": "twice"}, "engine": {"name": "echo"}, "workload": LOAD | changed}
    run_id = str(post(f"{flow.api}/v1/evaluations", json=body).raise_for_status().json()["run_id"])
    until(flow.api, f"/v1/runs/{run_id}", holds=lambda run: run["state"] == "completed" and run["performance"])
    return run_id


@pytest.mark.slow
def test_two_runs_of_a_load_are_told_together_and_another_load_is_not_among_them(flow: Settings, tmp_path: Path) -> None:
    """The mean is that of what the two say of themselves; what is written of a load is what the API says of it."""
    first, other, second = measured(flow), measured(flow, output_tokens=9), measured(flow)
    told = until(flow.api, f"/v1/runs/{first}/repeated", holds=lambda found: len(found["runs"]) == 2)
    assert told["runs"] == [second, first]
    alone = until(flow.api, f"/v1/runs/{other}/repeated", holds=lambda found: bool(found["runs"]))
    assert alone["runs"] == [other] and alone["differ"] is None
    own = {one: get(f"{flow.api}/v1/runs/{one}").json()["performance"] for one in (first, second)}
    ttft = next(one for one in told["figures"] if one["metric"] == "ttft_p50_s")
    assert {one["run_id"]: one["value"] for one in ttft["runs"]} == {run: pytest.approx(own[run]["ttft_s"]["p50"]) for run in own}
    assert ttft["value"] == pytest.approx(sum(one["value"] for one in ttft["runs"]) / 2)
    assert ttft["low"] <= ttft["value"] <= ttft["high"] and 0 <= ttft["p"] <= 1
    with Client(flow.api) as client:
        assert client.repeated(second).model_dump(mode="json") == get(f"{flow.api}/v1/runs/{second}/repeated").json()
    assert "2 runs of this load" in get(f"{flow.api}/runs/{first}").text and "runs of this load" not in get(f"{flow.api}/runs/{other}").text
    assert "2 runs of this load" in assay(flow, "run", first).stdout
    files = {form: tmp_path / f"{form}.json" for form in ("aiperf", "guidellm")}
    for form, file in files.items():
        assay(flow, "export", first, str(file), "--form", form)
    aiperf, guidellm = (json.loads(file.read_text()) for file in files.values())
    assert aiperf["time_to_first_token"]["p50"] == pytest.approx(own[first]["ttft_s"]["p50"] * 1000)
    assert guidellm["benchmarks"][0]["metrics"]["requests_per_second"]["successful"]["mean"] == pytest.approx(own[first]["requests_per_s"])
    assert aiperf["request_count"]["avg"] == 14
