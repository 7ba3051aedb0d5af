"""Others' results on the real stack: imported from a file, once; beside their task's board, with their source, and without a rank."""

import json

import httpx
import pytest

from infra.settings import Settings
from tests.flow import get, post
from tests.integration.test_api import until
from tests.integration.test_cli import assay, document
from tests.unit.test_external import LM_EVAL

pytestmark = [pytest.mark.integration, pytest.mark.slow]
SOURCE = "https://example.org/results.json"


def test_a_file_of_others_is_imported_once_and_stands_beside_our_own(flow: Settings) -> None:
    """Whoever imports it again imports nothing; the board of the task has its own rows, and others' below."""
    body = {"model": {"uri": "echo"}, "engine": {"name": "echo"}, "tasks": [{"name": "assay_agreement", "limit": 10}]}
    run_id = post(f"{flow.api}/v1/evaluations", json=body).raise_for_status().json()["run_id"]
    until(flow.api, f"/v1/runs/{run_id}", holds=lambda run: run["state"] == "completed" and run["scores"])
    told = LM_EVAL | {"results": {"assay_agreement": {"acc,none": 0.875, "acc_stderr,none": 0.0125}}, "groups": {}}
    file = flow.home / "others.json"
    file.write_text(json.dumps(told))
    command = ("external", "import", str(file), "--source", SOURCE, "--licence", "CC-BY-4.0", "--by", "ada", "--json")
    assert document(assay(flow, *command)) == {"imported": 1, "known": 0}
    until(flow.api, "/v1/external-results?task=assay_agreement", holds=lambda found: found["results"])
    assert document(assay(flow, *command)) == {"imported": 0, "known": 1}
    (row,) = get(f"{flow.api}/v1/external-results?model=tiny&form=lm-eval").json()["results"]
    assert (row["value"], row["stderr"], row["licence"], row["source"], row["by"]) == (0.875, 0.0125, "CC-BY-4.0", SOURCE, "ada")
    board = until(flow.api, "/v1/rankings?task=assay_agreement", holds=lambda found: found["rows"])
    assert all(ranked["model"] != "org/tiny" for ranked in board["rows"])
    page = get(f"{flow.api}/leaderboard?board=task:assay_agreement").text
    assert "Reported elsewhere" in page and f'href="{SOURCE}"' in page and "0.875" in page and "CC-BY-4.0" in page


def test_a_file_that_is_wrong_in_one_place_imports_nothing(flow: Settings) -> None:
    """Not from the other files either."""
    good, bad = flow.home / "good.json", flow.home / "bad.json"
    good.write_text(json.dumps(LM_EVAL | {"config": {"model": "half-imported"}}))
    bad.write_text(json.dumps(LM_EVAL | {"results": {"arc_easy": {"acc,none": "good"}}}))
    refused = assay(flow, "external", "import", str(good), str(bad), "--source", "a lab", "--licence", "unknown")
    assert "bad.json: $.results.arc_easy.acc,none: a number is wanted, not 'good'" in " ".join(refused.stderr.split())
    assert get(f"{flow.api}/v1/external-results?model=half-imported").json()["results"] == []


@pytest.mark.parametrize(
    "change", [{"file_sha256": "x"}, {"form": "helm2"}, {"figures": []}, {"licence": ""}, {"figures": [{"place": "p", "model": "m"}]}]
)
def test_a_body_that_lacks_something_is_refused_with_the_field(flow: Settings, change: dict[str, object]) -> None:
    """By the API too."""
    figure = {"place": "p", "model": "m", "task": "t", "metric": "acc", "value": 0.5}
    body = {"file_sha256": "0" * 64, "form": "lm-eval", "source": "s", "licence": "unknown", "by": "ada", "figures": [figure]}
    answer: httpx.Response = post(f"{flow.api}/v1/external-results", json=body | change)
    assert answer.status_code == 422, answer.text
    assert next(iter(change)) in answer.text
