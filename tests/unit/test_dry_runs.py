"""A dry run refuses what would be rejected, with the same words, and tells what would be measured."""

from typing import Any

import pytest

from infra.settings import Settings
from query_api.cli.estimating import estimated
from streams.errors import Invalid


def asked(request: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The plan of such a request."""
    body = {"model": {"uri": "echo"}, "engine": {"name": "echo"}, "tasks": [{"name": "assay_copy", "limit": 4} | more]}
    return estimated(body | request, Settings(), told=lambda text: None, quiet=True)


def test_metrics_beside_a_tasks_own_are_told() -> None:
    """By their names."""
    own, more = (asked({}, metrics=metrics)["tasks"][0]["metrics"] for metrics in ([], ["f1"]))
    assert own == ["exact_match"] and set(more) > set(own) and "f1" in more


@pytest.mark.parametrize(
    ("request_", "of_task", "says"),
    [
        ({}, {"metrics": ["nope"]}, "unknown metric 'nope'; there are"),
        ({}, {"metrics": ["perplexity"]}, "metric perplexity needs log-likelihoods, which task assay_copy does not give"),
        ({"tasks": [{"name": "assay_text", "limit": 4}], "stopping": {"half_width": 0.1}}, {}, "no task can stop early"),
        ({"model": {"uri": ""}}, {}, "no model is named"),
        ({"model": {"uri": " "}, "engine": {"name": "transformers"}}, {}, "no model is named"),
        ({"model_licences": [""]}, {}, "model_licences"),
    ],
)
def test_what_would_be_rejected_is_refused(request_: dict[str, Any], of_task: dict[str, Any], says: str) -> None:
    """Before anything is produced. An empty name of a model is not the folder that one is in."""
    with pytest.raises(Invalid, match=says):
        asked(request_, **of_task)
