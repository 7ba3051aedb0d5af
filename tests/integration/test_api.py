"""The query API on the real stack: submitting, reading, refusing; and live streams that resume without a gap."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from uuid6 import uuid7

from infra.identity import now_us, producer
from infra.kafka import Log
from infra.settings import Settings
from schemas.jobs import JobChanged
from schemas.requests import CancellationRequested
from tests.flow import PATIENCE_S, get, post, until_listed

pytestmark = pytest.mark.integration
# A machine that is busy may answer late; the client's own five seconds say nothing about the API.
ECHO = {"model": {"uri": "echo"}, "engine": {"name": "echo"}}


def until(url: str, path: str, *, holds: Any) -> dict[str, Any]:
    """The document at a path once it is as wanted."""
    give_up, told = time.monotonic() + PATIENCE_S, {}
    while time.monotonic() < give_up:
        answer = get(f"{url}{path}")
        told = dict(answer.json())
        if answer.is_success and holds(told):
            return told
        time.sleep(0.2)
    raise AssertionError(f"not within {PATIENCE_S} s: {path}: {told}")


def test_an_evaluation_from_its_submission_to_its_samples(flow: Settings) -> None:
    """Submitted, known at once, completed, with scores, samples and a place on its board."""
    body = ECHO | {"tasks": [{"name": "assay_copy", "limit": 12}], "workload": {"profile": "single", "requests": 12, "output_tokens": 8}}
    answer = post(f"{flow.api}/v1/evaluations", json=body)
    run_id = answer.json()["run_id"]
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/runs/{run_id}")
    assert get(f"{flow.api}/v1/runs/{run_id}").json()["state"] in ("requested", "planned", "running", "completed")
    told = until(flow.api, f"/v1/runs/{run_id}", holds=_whole)
    assert told["progress"] == 1.0
    assert [(task["task"], task["expected"], task["scored"]) for task in told["tasks"]] == [("assay_copy", 12, 12)]
    assert [(score["metric"], score["samples"], score["not_scored"]) for score in told["scores"]] == [("exact_match", 12, 0)]
    speed = told["performance"]
    assert (speed["requests"], speed["errors"], speed["energy"]["joules"]) == (12, 0, None)
    assert 0 < speed["ttft_s"]["p50"] <= speed["e2e_s"]["p50"] < 5
    until_listed(flow, run_id, samples=12)
    lines = get(f"{flow.api}/v1/runs/{run_id}/samples", headers={"Accept": "application/x-ndjson"}).text.splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 12
    assert {"task", "doc_id", "metric", "filter", "value"} <= rows[0].keys()
    board = until(flow.api, "/v1/rankings?task=assay_copy", holds=lambda found: any(row["run_id"] == run_id for row in found["rows"]))
    assert board["board"] == "task:assay_copy"


def _whole(run: dict[str, Any]) -> bool:
    """It is completed, and figures and counts of samples, which are projected by themselves, are there too."""
    told = bool(run["performance"]) and any(score["complete"] for score in run["scores"])
    return run["state"] == "completed" and told and all(task["scored"] == task["expected"] for task in run["tasks"])


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{", 422, "not JSON"),
        (b"[]", 422, "JSON object"),
        (json.dumps({"tasks": [{"name": "assay_copy"}]}).encode(), 422, "model: Field required"),
        (json.dumps(ECHO | {"tasks": [{"name": "assay_copy", "limti": 3}]}).encode(), 422, "tasks.0.limti"),
        (json.dumps(ECHO | {"taks": []}).encode(), 422, "the fields are"),
        (json.dumps(ECHO | {"event_id": "mine"}).encode(), 422, "event_id: there is no such field"),
        (json.dumps(ECHO | {"tasks": [{"name": "assay_copy", "limit": "3"}]}).encode(), 422, "tasks.0.limit: it should be a valid integer"),
        (json.dumps(ECHO | {"run_id": "a/b"}).encode(), 422, "run_id"),
        (json.dumps(ECHO | {"priority": 2**63}).encode(), 422, "too large"),
        (b'{"budget": {"s": NaN}}', 422, "NaN is no number"),
        (json.dumps(ECHO).encode(), 422, "name at least one task"),
        (json.dumps(ECHO | {"tasks": [{"name": "assay_copy", "limit": 0}]}).encode(), 422, "limit 0"),
        (json.dumps(ECHO | {"workload": {"profile": "constant", "requests": 3}}).encode(), 422, "rate_per_s"),
    ],
)
def test_a_wrong_body_is_told_what_is_wrong(flow: Settings, body: bytes, status: int, says: str) -> None:
    """A problem document that names the field and what to do."""
    answer = post(f"{flow.api}/v1/evaluations", content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert says in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/v1/runs/none", 404, "no run none"), ("/v1/rankings?board=none", 404, "no board"), ("/v1/runs?limit=all", 400, "limit='all'"),
        ("/v1/runs?stat=running", 400, "this address takes: limit"), ("/v1/runs?limit=1&limit=2", 400, "twice"),
        ("/v1?x=1", 400, "takes: none"), ("/v1/rankings?task=a&board=b", 400, "one of them"),
        ("/v1/live?topics=none", 400, "not told live"), ("/v1/live?cursor=none", 400, "no cursor"), ("/v1/nowhere", 404, "GET /v1"),
    ],
)  # fmt: skip
def test_what_is_not_there_says_so(flow: Settings, path: str, status: int, says: str) -> None:
    """With what to do instead."""
    answer = get(f"{flow.api}{path}")
    assert answer.status_code == status
    assert says in answer.json()["detail"]


def test_an_answer_that_the_client_has_is_not_sent_again(flow: Settings) -> None:
    """Its tag says so; another tag gets the answer."""
    first = get(f"{flow.api}/v1/boards")
    same = get(f"{flow.api}/v1/boards", headers={"If-None-Match": first.headers["etag"]})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", first.headers["etag"])
    assert get(f"{flow.api}/v1/boards", headers={"If-None-Match": '"other"'}).json() == first.json()


def test_a_wrong_method_says_which_are_right(flow: Settings) -> None:
    """In its header."""
    answer = httpx.delete(f"{flow.api}/v1/boards", timeout=60)
    assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})


def test_the_same_submission_twice_is_one_run(flow: Settings) -> None:
    """And another one under its id is a conflict."""
    body = ECHO | {"run_id": str(uuid7()), "tasks": [{"name": "assay_copy", "limit": 2}]}
    first, again = (post(f"{flow.api}/v1/evaluations", json=body) for _ in range(2))
    assert first.json() == again.json()
    other = post(f"{flow.api}/v1/evaluations", json=body | {"priority": 3})
    assert (other.status_code, other.json()["code"]) == (409, "run-id-used")


def test_a_batch_is_a_run_for_each_model_under_one_campaign(flow: Settings) -> None:
    """Sent again it is the same; another under its campaign is a conflict; where one model's run cannot be, there is none."""
    body: dict[str, Any] = {"models": [{"uri": "echo-a"}, {"uri": "echo-b"}], "engine": {"name": "echo"}, "campaign": f"c-{uuid7()}",
                            "tasks": [{"name": "assay_copy", "limit": 2}]}  # fmt: skip
    first, again = (post(f"{flow.api}/v1/batches", json=body) for _ in range(2))
    assert (first.status_code, first.json()) == (202, again.json())
    runs = first.json()["runs"]
    assert [run["model"] for run in runs] == ["echo-a", "echo-b"]
    listed = until(flow.api, first.headers["location"], holds=lambda told: len(told["runs"]) == 2)
    assert {run["run_id"] for run in listed["runs"]} == {run["run_id"] for run in runs}
    other = post(f"{flow.api}/v1/batches", json=body | {"priority": 1})
    assert (other.status_code, other.json()["code"]) == (409, "run-id-used")
    none = post(f"{flow.api}/v1/batches", json=body | {"campaign": "never", "tasks": [{"name": "assay_copy", "limit": 0}]})
    assert none.status_code == 422
    assert get(f"{flow.api}/v1/runs?campaign=never").json() == {"runs": [], "next": None}


def test_a_run_is_cancelled_by_its_address(flow: Settings) -> None:
    """It ends as cancelled, with its reason."""
    # Minutes, were it not cancelled: however slow the machine, it still runs then.
    body = {"model": {"uri": "echo"}, "engine": {"name": "echo", "options": {"delay_ms": "1000"}}, "tasks": [{"name": "assay_copy"}]}
    run_id = post(f"{flow.api}/v1/evaluations", json=body).json()["run_id"]
    until(flow.api, f"/v1/runs/{run_id}", holds=lambda run: run["state"] == "running")
    assert post(f"{flow.api}/v1/runs/{run_id}/cancel", json={"by": "me"}).status_code == 202
    told = until(flow.api, f"/v1/runs/{run_id}", holds=lambda run: run["state"] not in ("planned", "running"))
    assert (told["state"], told["message"]) == ("cancelled", "cancelled by me")
    assert post(f"{flow.api}/v1/runs/none/cancel", json={}).status_code == 404


def test_a_run_that_nobody_serves_is_cancelled_too(flow: Settings) -> None:
    """Its pool has no dispatcher; it may have been asked to stop before it was planned."""
    body = {"model": {"uri": "echo"}, "engine": {"name": "echo"}, "tasks": [{"name": "assay_copy"}], "pool": "nobody"}
    early, late = (post(f"{flow.api}/v1/evaluations", json=body).json()["run_id"] for _ in range(2))

    async def ask() -> None:
        async with Log(flow, client_id="test") as log:
            await log.publish(CancellationRequested(occurred_us=1, producer=producer("test"), run_id=early, by="me"))

    asyncio.run(ask())
    until(flow.api, f"/v1/runs/{late}", holds=lambda run: run["state"] == "planned")
    assert post(f"{flow.api}/v1/runs/{late}/cancel", json={"by": "me"}).status_code == 202
    for run_id in (early, late):
        told = until(flow.api, f"/v1/runs/{run_id}", holds=lambda run: run["state"] not in ("requested", "planned"))
        assert (told["state"], told["message"]) == ("cancelled", "cancelled by me")


def heard(url: str, *, cursor: str | None, at_most: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Up to so many events of a stream: kind, cursor, data. Then the connection is cut."""
    headers = {"Last-Event-ID": cursor} if cursor else {}
    with httpx.stream("GET", url, headers=headers, timeout=60) as answer:
        answer.raise_for_status()
        told: dict[str, str] = {}
        for line in answer.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                told[name] = value
                continue
            if "event" in told:
                yield told["event"], told["id"], json.loads(told["data"])
                at_most -= 1
            if at_most <= 0:
                return
            told = {}


def publish(settings: Settings, run_id: str, *, count: int) -> None:
    """So many events of a job that no pool knows, a few at a time."""

    async def act() -> None:
        async with Log(settings, client_id="test") as log:
            for first in range(0, count, 20):
                await log.publish_all(
                    JobChanged(
                        occurred_us=now_us(), producer=producer("test"), pool=f"sse-{number % 3}", run_id=run_id, job_id=f"{run_id}/t",
                        attempt=1, agent_id="a", incarnation=1, state="running", sequence=number,
                    )
                    for number in range(first, first + 20)
                )  # fmt: skip
                await asyncio.sleep(0.01)

    asyncio.run(act())


def test_a_stream_that_is_cut_again_and_again_misses_nothing_and_repeats_nothing(flow: Settings) -> None:
    """2,000 events under way, the connection cut after every 70 or so: all of them come, once, in the order of their partitions."""
    run_id, count = str(uuid7()), 2000
    url = f"{flow.api}/v1/live?run={run_id}&topics=job_status"
    ((_, cursor, _),) = heard(url, cursor=None, at_most=1)
    publishing = threading.Thread(target=publish, args=(flow, run_id), kwargs={"count": count})
    publishing.start()
    got: list[tuple[str, int]] = []
    cuts = 0
    while len(got) < count:
        for kind, newest, data in heard(url, cursor=cursor, at_most=70):
            cursor = newest
            if kind == "JobChanged":
                got.append((data["pool"], data["sequence"]))
            if len(got) >= count:
                break
        cuts += 1
    publishing.join()
    assert cuts > 20
    assert len(set(got)) == len(got) == count
    for pool in ("sse-0", "sse-1", "sse-2"):
        sequences = [sequence for name, sequence in got if name == pool]
        assert sequences == sorted(sequences)


def test_a_quiet_stream_sends_comments(flow: Settings) -> None:
    """So that nobody between takes it for dead."""
    with httpx.stream("GET", f"{flow.api}/v1/live?run=nobody", timeout=60) as answer:
        comment = next(line for line in answer.iter_lines() if line.startswith(":"))
    assert comment == ": still here"


def test_a_filter_lets_only_its_own_through(flow: Settings) -> None:
    """One run's events, and no other's."""
    mine, other = str(uuid7()), str(uuid7())
    url = f"{flow.api}/v1/live?run={mine}"
    ((_, cursor, _),) = heard(url, cursor=None, at_most=1)
    publish(flow, other, count=40)
    publish(flow, mine, count=20)
    told = [data for kind, _, data in heard(url, cursor=cursor, at_most=21) if kind != "cursor"]
    assert {data["run_id"] for data in told} == {mine}
