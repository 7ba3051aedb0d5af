"""Lists on the real stack: filters, orders and pages; and a run's samples with all their texts."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from infra.settings import Settings
from query_api.paging import following
from query_api.reading import RUN_FILTERS, RUNS
from tests.integration.test_api import get, post, until

pytestmark = pytest.mark.integration
TASKS = [{"name": "assay_copy", "limit": 6}, {"name": "assay_agreement", "limit": 6}]


@pytest.fixture(scope="module")
def runs(flow: Settings) -> tuple[str, str]:
    """Two completed runs of one campaign: the same tasks, two models."""
    body = {"models": [{"uri": "list-a"}, {"uri": "list-b"}], "engine": {"name": "echo"}, "tasks": TASKS, "campaign": "lists",
            "submitter": "lister"}  # fmt: skip
    first, second = (run["run_id"] for run in post(f"{flow.api}/v1/batches", json=body).raise_for_status().json()["runs"])
    for run_id in (first, second):
        until(flow.api, f"/v1/runs/{run_id}", holds=lambda run: run["state"] == "completed" and run["progress"] == 1.0)
        until(flow.api, f"/v1/runs/{run_id}/samples", holds=lambda told: _whole(told["samples"]))
    return first, second


def _whole(samples: list[dict[str, Any]]) -> bool:
    return len(samples) == 12 and all(sample["scores"] and sample["requests"] for sample in samples)


def pages(url: str, path: str, name: str, **query: Any) -> Iterator[list[dict[str, Any]]]:
    """The pages of a list, to its end."""
    cursor: str | None = ""
    while cursor is not None:
        told = get(f"{url}{path}", params=query | {"cursor": cursor}).raise_for_status().json()
        yield told[name]
        cursor = told["next"]


@pytest.mark.parametrize("sort", ["-requested_us", "requested_us", "model", "-model", "changed_us"])
def test_pages_of_one_give_every_run_once_in_order(flow: Settings, runs: tuple[str, str], sort: str) -> None:
    """In each order, and one page of all is the same."""
    one_by_one = [row for page in pages(flow.api, "/v1/runs", "runs", limit=1, sort=sort, campaign="lists") for row in page]
    whole = get(f"{flow.api}/v1/runs", params={"sort": sort, "campaign": "lists"}).json()
    assert [row["run_id"] for row in one_by_one] == [row["run_id"] for row in whole["runs"]]
    assert {row["run_id"] for row in one_by_one} == set(runs)
    name = sort.removeprefix("-")
    values = [row[name] for row in one_by_one]
    assert values == sorted(values, reverse=sort.startswith("-"))
    assert whole["next"] is None


def test_filters_of_runs(flow: Settings, runs: tuple[str, str]) -> None:
    """Each takes away what does not fit."""

    def found(**query: str) -> set[str]:
        return {row["run_id"] for row in get(f"{flow.api}/v1/runs", params={"submitter": "lister"} | query).json()["runs"]}

    assert found() == found(task="assay_copy") == found(state="completed") == set(runs)
    assert found(model="list-a") == {runs[0]}
    assert found(task="none") == found(state="failed") == found(suite="none") == set()


@pytest.mark.parametrize(
    ("path", "cursor", "code"),
    [
        ("/v1/runs?limit=1&submitter=lister&sort=model", None, "cursor-of-another-query"),
        ("/v1/runs?limit=1&submitter=other", None, "cursor-of-another-query"),
        ("/v1/boards", None, "cursor-of-another-query"),
        ("/v1/runs", "none", "bad-cursor"),
        ("/v1/runs", "WzFd", "cursor-of-another-query"),
    ],
)
def test_a_cursor_of_another_question_is_refused(flow: Settings, runs: tuple[str, str], path: str, cursor: str | None, code: str) -> None:
    """And so is what is none."""
    given = cursor or get(f"{flow.api}/v1/runs?limit=1&submitter=lister").json()["next"]
    answer = get(f"{flow.api}{path}", params=dict(httpx.URL(path).params) | {"cursor": given})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert "leave it out" in answer.json()["detail"]


def test_a_sample_has_all_its_texts(flow: Settings, runs: tuple[str, str]) -> None:
    """What was asked, answered and expected, and the scores: of a generation, and of a choice."""
    told = get(f"{flow.api}/v1/runs/{runs[0]}/samples", params={"task": "assay_copy", "limit": 1}).json()
    (sample,) = told["samples"]
    (request,) = sample["requests"]
    prompt = told["contents"].get(request["prefix_ref"], "") + request["context"]
    (answer,) = request["answers"]
    assert answer["output"] == prompt.splitlines()[-1]  # what echo answers
    assert sample["target"] and sample["target"] in str(sample["document"])
    assert sample["scores"] == [{"metric": "exact_match", "filter": "none", "value": 0.0}]
    told = get(f"{flow.api}/v1/runs/{runs[0]}/samples", params={"task": "assay_agreement", "limit": 1}).json()
    (sample,) = told["samples"]
    assert len(sample["requests"]) >= 2
    assert all(request["answers"][0]["loglikelihood"] < 0 for request in sample["requests"])
    assert sample["target"].strip() in [request["continuation"].strip() for request in sample["requests"]]


@pytest.mark.parametrize("sort", ["task", "-task", "value", "-value"])
def test_pages_of_samples_hold_each_once(flow: Settings, runs: tuple[str, str], sort: str) -> None:
    """Whatever the order; equal values do not confuse it."""
    path = f"/v1/runs/{runs[0]}/samples"
    found = [sample for page in pages(flow.api, path, "samples", limit=5, sort=sort, metric="acc") for sample in page]
    places = [(sample["task"], sample["ordinal"]) for sample in found]
    assert len(set(places)) == len(places) == 12
    if sort.endswith("task"):
        assert places == sorted(places, reverse=sort.startswith("-"))


def test_filters_of_samples(flow: Settings, runs: tuple[str, str]) -> None:
    """By document, by value, by difference."""

    def found(run_id: str, **query: Any) -> list[dict[str, Any]]:
        told = get(f"{flow.api}/v1/runs/{run_id}/samples", params={"task": "assay_agreement", "metric": "acc"} | query)
        return list(told.raise_for_status().json()["samples"])

    def right(run_id: str) -> set[int]:
        return {sample["ordinal"] for sample in found(run_id, min_value=0.5)}

    first, second = runs
    assert [sample["doc_id"] for sample in found(first, doc_id=3)] == [3]
    assert len(found(first, max_value=0.5)) + len(right(first)) == 6
    assert {sample["ordinal"] for sample in found(first, differs_from=second)} == right(first) ^ right(second)
    assert found(first, differs_from="none") == []


def test_a_page_behind_the_end_is_empty(flow: Settings, runs: tuple[str, str]) -> None:
    """What a cursor led to may be gone; that is no error."""
    first = [{"requested_us": 1, "run_id": "0"}]
    asked = RUN_FILTERS | {"campaign": "lists"}
    _, cursor = following(first * 2, RUNS, "-requested_us", asked=asked, limit=1)
    answer = get(f"{flow.api}/v1/runs", params={"campaign": "lists", "cursor": str(cursor)})
    assert (answer.status_code, answer.json()) == (200, {"runs": [], "next": None})


def test_agents_and_boards_are_lists_too(flow: Settings, runs: tuple[str, str]) -> None:
    """With their parts as JSON."""
    found = [row for page in pages(flow.api, "/v1/agents", "agents", limit=1) for row in page]
    assert sorted(row["agent_id"] for row in found) == ["agent-1", "agent-2"]
    assert found[0]["capabilities"] and isinstance(found[0]["running"], list)
    until(flow.api, "/v1/boards?match=assay_agreement", holds=lambda told: len(told["boards"]) >= 1)
    names = [row["board"] for page in pages(flow.api, "/v1/boards", "boards", limit=1, sort="board") for row in page]
    assert names == sorted(set(names))
