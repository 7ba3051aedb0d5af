"""A grid of loads on the real stack: run one after the other, and shown by the API, the command line and a page."""

import pytest

from infra.settings import Settings
from tests.flow import get
from tests.integration.test_cli import assay, document

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_a_grid_is_run_and_drawn(flow: Settings) -> None:
    """Every concurrency with every length; more at a time is more tokens a second of a server that waits."""
    values = ("--concurrency", "1,3", "--input-tokens", "4,8", "--output-tokens", "4", "--requests", "40")
    told = document(assay(flow, "perf", "--model", "grid-echo", "--engine", "echo", "--option", "delay_ms=5", *values, "--json"))
    assert [(one["concurrency"], one["input_tokens"], one["state"]) for one in told["cells"]] == [
        (1, 4, "completed"), (3, 4, "completed"), (1, 8, "completed"), (3, 8, "completed")
    ]  # fmt: skip
    assert all(one["figures"]["ttft_p50_s"] for one in told["cells"])
    assert get(f"{flow.api}/v1/grids?campaign={told['campaign']}").json() == told
    page = get(f"{flow.api}/grid?campaign={told['campaign']}").text
    assert ("4 → 4" in page, "heat-9" in page, all(one["run_id"] in page for one in told["cells"])) == (True, True, True)
    assert get(f"{flow.api}/v1/grids?campaign=none").status_code == 404
    assert "no load has the campaign" in get(f"{flow.api}/grid?campaign=none").text
