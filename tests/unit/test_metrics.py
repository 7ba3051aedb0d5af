"""The metrics are a closed list that the operations page knows; the API's routes are few."""

import re
from pathlib import Path

import pytest
from prometheus_client import Metric

from infra.metrics import REGISTRY
from query_api.measured import _route

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
OURS = [metric for metric in REGISTRY.collect() if metric.name.startswith("assay_")]
ROW = re.compile(r"^\| `(assay_\w+)` \| (\w+) \| (\w*) ?\| (.+?) \| (.+?) \|$", re.MULTILINE)


@pytest.mark.parametrize("metric", OURS, ids=lambda metric: metric.name)
def test_the_page_says_of_a_metric_what_it_is_and_what_to_do(metric: Metric) -> None:
    """With its kind, its unit and its own words."""
    rows = {name: (kind, unit, what) for name, kind, unit, what, _ in ROW.findall(PAGE)}
    assert rows[metric.name] == (metric.type, metric.unit, metric.documentation)


def test_the_page_names_no_other_metric() -> None:
    """A renamed one leaves no ghost, there or in the code that reads them."""
    known = {metric.name for metric in OURS}
    reader = (ROOT / "query_api" / "cli" / "figures.py").read_text()
    named = set(re.findall(r"`(assay_\w+)`", PAGE)) | set(re.findall(r"\"(assay_\w+)\"", reader))
    assert {name.removesuffix("_count") for name in named} <= known


def test_every_metric_is_made_in_the_one_module() -> None:
    """Nobody adds one elsewhere."""
    made = re.compile(r"prometheus_client import .*\b(Counter|Gauge|Histogram|Summary|Enum|Info)\b")
    folders = ("infra", "agents", "gpu_agent", "query_api")
    found = [path.name for folder in folders for path in (ROOT / folder).rglob("*.py") if made.search(path.read_text())]
    assert found == ["metrics.py"]


@pytest.mark.parametrize(
    ("path", "parameters", "named"),
    [
        ("/v1/runs/abc/samples", {"run_id": "abc"}, "/v1/runs/{run_id}/samples"), ("/v1/runs", {}, "/v1/runs"),
        ("/static/deep/file.js", {"path": "deep/file.js"}, "/static/{path}"),
    ],
)  # fmt: skip
def test_a_route_is_named_without_its_values(path: str, parameters: dict[str, str], named: str) -> None:
    """So that there are as many series as routes."""
    assert _route({"path": path, "path_params": parameters, "endpoint": print}) == named


def test_a_path_of_no_route_is_one_series() -> None:
    """Whatever is tried."""
    assert _route({"path": "/wp-admin"}) == "other"
