"""Batches, MLPerf's rules and two loads compared, on the real stack: by API, page, command line and export alike."""

import json
from pathlib import Path

import pytest
from assay_client import Client

from infra.settings import Settings
from tests.delays.running import known_delays
from tests.flow import get
from tests.integration.test_cli import assay, document

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_loads_are_told_and_compared(flow: Settings, tmp_path: Path) -> None:
    """A batch has rates over all of it; a load by MLPerf's rules says what it is not, everywhere; the slower server is told to be so."""
    with known_delays() as server:
        asked = ("perf", "--url", server.url, "--output-tokens", "4", "--wait", "--json")
        quick, slow = (
            document(assay(flow, *asked, "--model", f"known?ttft_ms={ms}&itl_ms=5", "--preset", "mlperf-single-stream", "--duration", "4"))
            for ms in (10, 40)
        )
        batch = document(assay(flow, *asked, "--model", "known?ttft_ms=200&itl_ms=10", "--batch", "20"))
    assert batch["requests"] == 20 and batch["requests_per_s"] == pytest.approx(20 / 0.23, rel=0.25)
    assert batch["capacity_tokens_per_s"] is None and batch["rules"] is None

    rules = quick["rules"]
    assert (rules["scenario"], rules["note"]) == ("single-stream", "not an MLPerf result")
    assert {one["rule"]: one["kept"] for one in rules["checks"]} == {
        "duration": False, "samples": True, "errors": True, "early stopping, E2E p90": None
    }  # fmt: skip
    run, page = get(f"{flow.api}/v1/runs/{quick['run_id']}").json(), get(f"{flow.api}/runs/{quick['run_id']}").text
    file = tmp_path / "load.json"
    assay(flow, "export", quick["run_id"], str(file), "--form", "aiperf")
    shown = assay(flow, "run", quick["run_id"]).stdout
    told = (*run["warnings"], page, shown, json.loads(file.read_text())["note"])
    assert all("not an mlperf result" in one.lower() for one in told) and len(told) == 4

    found = get(f"{flow.api}/v1/compare-loads?a={quick['run_id']}&b={slow['run_id']}").json()
    ttft = next(one for one in found["figures"] if one["metric"] == "ttft_p50_s")
    assert ttft["value"] == pytest.approx(-0.03, abs=0.01) and ttft["low"] < ttft["value"] < ttft["high"] < 0 and ttft["ahead"] == "a"
    assert found["unlike"] == []
    with Client(flow.api) as client:
        assert client.compare_loads(quick["run_id"], slow["run_id"]).model_dump(mode="json") == found
    assert "A is better" in assay(flow, "compare", quick["run_id"], slow["run_id"], "--speed").stdout
    page = get(f"{flow.api}/compare?a={quick['run_id']}&b={slow['run_id']}").text
    assert 'id="loads"' in page and "A is better" in page and page.count('class="histogram"') == 6
    assert get(f"{flow.api}/v1/compare-loads?a={quick['run_id']}&b=none").status_code == 404
