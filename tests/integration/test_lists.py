"""Lists on the real stack: filters, orders and pages; and a run's samples with all their texts."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from infra.settings import Settings
from infra.suites.reading import names
from query_api.reading import rankings as reading_rankings
from query_api.reading.paging import following
from query_api.reading.runs import RUN_FILTERS, RUNS
from tests.flow import get, post
from tests.integration.test_api import until

pytestmark = pytest.mark.integration
BOARD = "lists-board"
TASKS = [{"name": "assay_copy", "limit": 6}, {"name": "assay_agreement", "limit": 6}]


@pytest.fixture(scope="module")
def runs(flow: Settings) -> tuple[str, str]:
    """Two completed runs of one campaign: the same tasks, two models."""
    body = {"models": [{"uri": "list-a"}, {"uri": "list-b"}], "engine": {"name": "echo"}, "tasks": TASKS, "campaign": "lists",
            "submitter": "lister", "suite": BOARD}  # fmt: skip
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
        ("/v1/rankings", None, "cursor-of-another-query"),
        ("/v1/suites", None, "cursor-of-another-query"),
        ("/v1/suites/standard/tasks", None, "cursor-of-another-query"),
        ("/v1/suites?sort=-name", "none", "bad-cursor"),
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
    # Beside any that another test has just ended, and when both have said that they are there.
    until(flow.api, "/v1/agents", holds=lambda told: {row["agent_id"] for row in told["agents"]} >= {"agent-1", "agent-2"})
    found = [row for page in pages(flow.api, "/v1/agents", "agents", limit=1) for row in page]
    names = [(row["pool"], row["agent_id"]) for row in found]
    assert names == sorted(set(names)) and {("default", "agent-1"), ("default", "agent-2")} <= set(names)
    assert found[0]["capabilities"] and isinstance(found[0]["running"], list)
    until(flow.api, "/v1/boards?match=assay_agreement", holds=lambda told: len(told["boards"]) >= 1)
    boards = [row["board"] for page in pages(flow.api, "/v1/boards", "boards", limit=1, sort="board") for row in page]
    assert boards == sorted(set(boards))


@pytest.fixture(scope="module")
def board(flow: Settings, runs: tuple[str, str]) -> dict[str, Any]:
    """The two runs' board, whole, once both are sealed, which changes their rows."""
    found = until(
        flow.api, f"/v1/rankings?board={BOARD}", holds=lambda told: {row["run_id"] for row in told["rows"] if row["sealed"]} == set(runs)
    )
    return found | {"rows": lasting(found["rows"])}


def lasting(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without costs: these come after all else, and anew where a price comes, which any test may publish."""
    return [{name: value for name, value in row.items() if name not in ("cost", "answers")} for row in rows]


@pytest.mark.parametrize("sort", ["rank", "-rank", "model", "-model", "-score", "ttft_p50_s", "-joules_per_token"])
def test_pages_of_a_board_keep_its_ranks(flow: Settings, board: dict[str, Any], sort: str) -> None:
    """Each row once, as the whole board has it; what says the board is on every page, an empty one too."""
    asked: dict[str, Any] = {"board": BOARD, "sort": sort, "limit": 1}
    found = [row for page in pages(flow.api, "/v1/rankings", "rows", **asked) for row in lasting(page)]
    known = {row["run_id"]: row for row in board["rows"]}
    assert len(found) == len(known) == 2
    assert {row["run_id"]: row for row in found} == known
    values = [row[sort.removeprefix("-")] for row in found if row[sort.removeprefix("-")] is not None]
    assert values == sorted(values, reverse=sort.startswith("-"))
    first = get(f"{flow.api}/v1/rankings", params=asked).json()
    assert board["next"] is None and first["next"]
    assert {name: first[name] for name in ("board", "version", "provisional")} == {
        name: board[name] for name in ("board", "version", "provisional")
    }


def test_filters_of_a_board(flow: Settings, board: dict[str, Any]) -> None:
    """By model, engine and rank; a row of a later place has the rank of that place. A page behind the end is of the board too."""

    def found(**query: Any) -> dict[str, Any]:
        told = dict(get(f"{flow.api}/v1/rankings", params={"board": BOARD} | query).raise_for_status().json())
        return told | {"rows": lasting(told["rows"])}

    last = board["rows"][-1]
    assert found(model=last["model"])["rows"] == [last]
    assert found(engine="echo")["rows"] == found(max_rank=2)["rows"] == board["rows"]
    assert found(max_rank=1)["rows"] == [row for row in board["rows"] if row["rank"] == 1]
    none = found(model="none")
    assert (none["board"], none["version"], none["rows"], none["next"]) == (BOARD, board["version"], [], None)
    asked = reading_rankings.FILTERS | {"board": BOARD}
    _, cursor = following([{"rank": None, "position": 9}] * 2, reading_rankings.LISTING, "rank", asked=asked, limit=1)
    behind = found(cursor=cursor)
    assert (behind["board"], behind["rows"], behind["next"]) == (BOARD, [], None)
    cursor = found(limit=1)["next"]
    other = get(f"{flow.api}/v1/rankings", params={"task": "assay_copy", "limit": 1, "cursor": cursor})
    assert (other.status_code, other.json()["code"]) == (400, "cursor-of-another-query")


def test_a_pages_etag_is_its_own(flow: Settings, board: dict[str, Any]) -> None:
    """And what has not changed is not sent again."""
    first, second = (get(f"{flow.api}/v1/rankings", params={"board": BOARD, "limit": 1, "sort": sort}) for sort in ("rank", "-rank"))
    assert first.headers["etag"] != second.headers["etag"]
    same = get(str(first.url), headers={"If-None-Match": first.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")


def test_suites_and_their_tasks_are_lists(flow: Settings) -> None:
    """Page by page as all at once; filters take away, and a suite that is not there is named with those that are."""
    whole = get(f"{flow.api}/v1/suites").json()
    assert whole["next"] is None and [one["name"] for one in whole["suites"]] == names()
    assert [one for page in pages(flow.api, "/v1/suites", "suites", limit=3) for one in page] == whole["suites"]
    backwards = [one["name"] for page in pages(flow.api, "/v1/suites", "suites", limit=4, sort="-name") for one in page]
    assert backwards == names()[::-1]
    assert [one["name"] for one in get(f"{flow.api}/v1/suites?match=fin").json()["suites"]] == ["financial"]
    own = next(one["tasks"] for one in whole["suites"] if one["name"] == "reasoning")
    path = "/v1/suites/reasoning/tasks"
    assert [one for page in pages(flow.api, path, "tasks", limit=25) for one in page] == own
    sizes = [one["samples"] for page in pages(flow.api, path, "tasks", limit=25, sort="-samples") for one in page]
    assert sizes == sorted(sizes, reverse=True) and len(sizes) == len(own)
    group = next(one["group"] for one in own if one["group"])
    assert get(f"{flow.api}{path}?group={group}").json()["tasks"] == [one for one in own if one["group"] == group]
    assert get(f"{flow.api}{path}?match=no-such").json()["tasks"] == []
    answer = get(f"{flow.api}/v1/suites/none/tasks")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-suite")
    assert "reasoning" in answer.json()["detail"]


def test_a_run_that_nobody_judges_has_an_empty_list(flow: Settings, runs: tuple[str, str]) -> None:
    """Which refuses what is no cursor, as every list does."""
    path = f"{flow.api}/v1/runs/{runs[0]}/judgements"
    assert get(path).json() == {"run_id": runs[0], "judgements": [], "agreements": [], "next": None}
    assert get(path, params={"cursor": "none"}).json()["code"] == "bad-cursor"


def test_a_board_leaves_out_a_run_of_fewer_samples_and_says_so(flow: Settings, board: dict[str, Any]) -> None:
    """On the board of the suite and on the task's own, which the task's name finds."""
    few = [task | {"limit": 2} for task in TASKS]
    body = {"model": {"uri": "list-few"}, "engine": {"name": "echo"}, "tasks": few, "suite": BOARD, "submitter": "lister"}
    run_id = post(f"{flow.api}/v1/evaluations", json=body).raise_for_status().json()["run_id"]
    until(flow.api, f"/v1/runs/{run_id}", holds=lambda run: run["state"] == "completed")
    # The newest run names the board's data: those that were there before are the ones left out.
    told = until(flow.api, f"/v1/rankings?board={BOARD}", holds=lambda told: [row["run_id"] for row in told["rows"]] == [run_id])
    out = until(flow.api, f"/v1/rankings?board={BOARD}", holds=lambda told: len(told["left_out"]) == 2) or told
    assert {(one["model"], one["reason"]) for one in out["left_out"]} == {(name, "other sample counts") for name in ("list-a", "list-b")}
    assert out["chance_corrected"]
    task = until(flow.api, "/v1/rankings?board=assay_agreement", holds=lambda told: told["rows"])
    assert (task["board"], task["chance_corrected"]) == ("task:assay_agreement", False)
