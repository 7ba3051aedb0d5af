"""A sweep on the real stack: asked for by the command line, recomputed by the fold, told by API, SDK, pages and command line alike."""

import pytest
from assay_client import Client

from infra.settings import Settings
from tests.delays.running import known_delays
from tests.flow import get
from tests.integration.test_cli import assay, document

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_a_sweep_is_told_by_all_who_tell_of_runs(flow: Settings) -> None:
    """Its steps, the highest rate under the service level, and the plot with the level drawn in."""
    with known_delays() as server:
        told = document(
            assay(flow, "perf", "--url", server.url, "--model", "known?ttft_ms=40&itl_ms=10&places=2", "--slo", "ttft_p50=0.08,e2e_p50=0.5",
                  "--duration", "1", "--output-tokens", "4", "--wait", "--json")
        )  # fmt: skip
    assert told["slo"] == {"ttft_s": 0.08, "itl_s": None, "e2e_s": 0.5, "ratio": 0.5}
    sweep = told["sweep"]
    assert sweep["steps"][0]["rate_per_s"] is None and len(sweep["steps"]) > 3
    assert sweep["slo_rate_per_s"]["value"] in [step["rate_per_s"] for step in sweep["steps"] if step["verdict"] == "kept"]
    assert told["requests"] == sum(step["requests"] for step in sweep["steps"])
    with Client(flow.api) as client:
        speed = client.run(told["run_id"]).performance
    assert speed is not None and speed.sweep is not None and speed.sweep.slo_rate_per_s is not None
    assert speed.sweep.slo_rate_per_s.value == sweep["slo_rate_per_s"]["value"]
    page = get(f"{flow.api}/runs/{told['run_id']}").text
    assert 'id="sweep"' in page and "dashed: 50 % within 80 ms" in page and page.count("<circle") >= 2 * 3
    assert "highest rate under the service level" in assay(flow, "run", told["run_id"]).stdout
