"""The API held to its own description on the real stack: whatever that allows, no server error, and answers as described."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from infra.settings import Settings
from query_api.operations.description import PLACES, document
from query_api.routes import OPERATIONS
from tests.flow import get, post
from tests.integration.test_api import until
from tests.integration.test_deciding import LOAD

pytestmark = [pytest.mark.integration, pytest.mark.slow]
EXAMPLES = 30
REQUIREMENT = {"tasks": {"assay_copy": 1}, "prefer": {"points": {"quality": 100}}}  # quality alone counts: nothing has a price here
DESCRIBED = document(OPERATIONS)
# A stream has no end that a single answer could be held to; tests/integration/test_api.py hears it.
schema = schemathesis.openapi.from_dict(DESCRIBED).exclude(path="/v1/live")


def test_the_api_serves_its_description(flow: Settings) -> None:
    """The very one, and a page of it that names every address."""
    assert get(f"{flow.api}/v1/openapi.json").json() == DESCRIBED
    page = get(f"{flow.api}/docs").text
    assert all(operation.path in page for operation in OPERATIONS)


ASKED = settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@schema.parametrize()
@ASKED
def test_no_question_breaks_it(case: schemathesis.Case[Any], flow: Settings) -> None:
    """Parameters and bodies of every kind that the description allows, the same ones every time.

    What a body says may be impossible though its form is right (a limit of 0): that is 422, and no fault.
    """
    case.call_and_validate(base_url=flow.api, timeout=60, excluded_checks=[positive_data_acceptance])


@pytest.fixture(scope="module")
def run_id(flow: Settings) -> str:
    """A run that has samples."""
    body = {"model": {"uri": "asked-about"}, "engine": {"name": "echo"}, "tasks": [{"name": "assay_copy", "limit": 3}]}
    asked = str(post(f"{flow.api}/v1/evaluations", json=body).json()["run_id"])
    until(flow.api, f"/v1/runs/{asked}/samples", holds=lambda told: len(told["samples"]) == 3)
    return asked


@pytest.fixture(scope="module")
def decided(flow: Settings) -> dict[str, str]:
    """A recommendation, for which somebody has been scored and measured; a decision and a prediction, which need nothing but words."""
    body = {"model": {"uri": "asked-for"}, "engine": {"name": "echo"}, "tasks": [{"name": "assay_copy", "limit": 10}], "workload": LOAD}
    run_id = post(f"{flow.api}/v1/evaluations", json=body).raise_for_status().json()["run_id"]
    until(flow.api, f"/v1/runs/{run_id}", holds=lambda run: run["state"] == "completed" and run["performance"] and run["scores"])
    made = str(post(f"{flow.api}/v1/recommendations", json={"requirement": REQUIREMENT}).raise_for_status().json()["recommendation_id"])
    chosen = str(post(f"{flow.api}/v1/decisions", json={"chosen": "another", "by": "ada"}).raise_for_status().json()["decision_id"])
    asked = {"model": "m", "parameters": 8, "weights_bytes": 16, "kv_bytes_per_token": 1, "engine": "vllm", "hardware": "NVIDIA L40S"}
    load = {"in_flight": 1, "input_tokens": 8, "output_tokens": 8}
    told = str(post(f"{flow.api}/v1/predictions", json=asked | load).raise_for_status().json()["prediction_id"])
    for path in (f"/v1/recommendations/{made}", f"/v1/decisions/{chosen}", f"/v1/predictions/{told}"):
        until(flow.api, path, holds=bool)
    return {"recommendation_id": made, "decision_id": chosen, "prediction_id": told}


@schema.include(path_regex=r"\{", method="GET").parametrize()
@ASKED
def test_no_question_about_what_there_is_breaks_it(
    case: schemathesis.Case[Any], flow: Settings, run_id: str, decided: dict[str, str]
) -> None:
    """The same, of what there is: what was wrong about its name no longer is."""
    there = {"run_id": run_id, "suite": "reasoning", **decided}
    case.path_parameters = {name: there[name] for name in PLACES if f"{{{name}}}" in case.path}
    case.call_and_validate(base_url=flow.api, timeout=60, excluded_checks=[positive_data_acceptance, negative_data_rejection])
