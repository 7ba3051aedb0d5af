"""The client without its I/O: retries, ids, and the reading of event streams."""

import json
import uuid
from typing import Any

import httpx
import pytest
from assay_client import calls, models, steps
from assay_client.asked import PriceFilters, Terms
from assay_client.errors import Conflict, Unavailable
from assay_client.listening import Listening
from assay_client.models import PriceTold
from assay_client.steps import Ask, Back, Pause, Steps
from hypothesis import given
from hypothesis import strategies as st

from query_api.operations.description import document
from query_api.producing.submitting import Submission
from query_api.routes import OPERATIONS


def carried_out(call: Steps[Any], backs: list[Back]) -> tuple[Any, list[Ask], list[float]]:
    """A call's result, what it sent and how long it paused, where this came back."""
    sent, pauses, left = list[Ask](), list[float](), list(backs)
    try:
        step = next(call)
        while True:
            if isinstance(step, Ask):
                sent.append(step)
                step = call.send(left.pop(0))
            else:
                assert isinstance(step, Pause)
                pauses.append(step.seconds)
                step = call.send(None)
    except StopIteration as end:
        return end.value, sent, pauses


def answer(status: int, body: Any = None, **headers: str) -> httpx.Response:
    """An answer of the API's."""
    return httpx.Response(status, json=body, headers=headers)


def test_a_submission_is_sent_again_as_the_same_run() -> None:
    """Whether nobody was there, or the API was not ready; and it waits as long as it is told to."""
    call = calls.submit("model", ["task"], run_id=None, terms={"priority": 1})
    backs: list[Back] = [
        httpx.ConnectError("nobody"),
        answer(503, {"detail": "not now"}, **{"retry-after": "3"}),
        answer(202, {"run_id": "r", "state": "requested"}),
    ]
    told, sent, pauses = carried_out(call, backs)
    assert told.run_id == "r"
    assert len({json.dumps(ask.body) for ask in sent}) == 1
    assert sent[0].body is not None and uuid.UUID(sent[0].body["run_id"]).version == 7
    assert 0 < pauses[0] < 1 and pauses[1] == 3


def test_a_refusal_is_not_sent_again() -> None:
    """It would be refused again."""
    with pytest.raises(Conflict, match="used before"):
        carried_out(calls.run("r"), [answer(409, {"detail": "used before", "code": "run-id-used"})])


def test_it_gives_up_and_says_why() -> None:
    """After all attempts, with pauses that grow to seconds and no further."""
    with pytest.raises(Unavailable, match="8 attempts: nobody"):
        carried_out(calls.run("r"), [httpx.ConnectError("nobody")] * steps.ATTEMPTS)
    assert all(steps.FIRST_PAUSE_S / 2 <= steps.pause_s(failures) <= steps.LONGEST_PAUSE_S for failures in range(30))


def test_all_pages_of_a_list_are_read_or_as_many_rows_as_wanted() -> None:
    """The cursor of each page asks for the next."""

    def page(names: str, following: str | None) -> httpx.Response:
        return answer(200, {"boards": [{"board": name, "versions": "1", "newest_us": 1, "models": 1} for name in names], "next": following})

    told, sent, _ = carried_out(calls.boards(most=None, filters={"match": "x"}), [page("ab", "one"), page("c", None)])
    assert [row.board for row in told] == ["a", "b", "c"]
    assert [(ask.query["cursor"], ask.query["match"]) for ask in sent] == [("", "x"), ("one", "x")]
    told, sent, _ = carried_out(calls.boards(most=2, filters={}), [page("ab", "one")])
    assert ([row.board for row in told], sent[0].query["limit"]) == (["a", "b"], 2)


def board(name: str, places: range, following: str | None) -> httpx.Response:
    """A page of a board."""
    told: dict[str, Any] = dict.fromkeys(models.RankingRow.model_fields)
    told |= {
        "model": "m",
        "model_sha": "",
        "engine": "e",
        "hardware": "",
        "samples": 1,
        "run_count": 1,
        "missing": [],
        "sealed": False,
        "audited": False,
        "audits": 0,
        "other_audits": 0,
        "retracted": False,
    }
    rows = [told | {"position": place, "run_id": f"{place}", "chat": {}, "sequential": False, "data_age": "unknown"} for place in places]
    head = {"version": "1", "provisional": False, "changed_us": 1, "chance_corrected": False, "left_out": [], "no_places": None}
    head |= {"places_method": None}
    return answer(200, {"board": name, **head, "rows": rows, "next": following})


def test_all_pages_of_a_board_are_one_board() -> None:
    """The one that changed last stays the one that is read, whichever changes meanwhile; a document has as many rows as wanted."""
    call = calls.ranking(board=None, task=None, most=None, filters={"sort": "-score"})
    told, sent, _ = carried_out(call, [board("b", range(2), "one"), board("b", range(2, 3), None)])
    assert ([row.position for row in told.rows], told.board, told.next) == ([0, 1, 2], "b", None)
    assert [ask.query.get("board") for ask in sent] == [None, "b"]
    assert [(ask.query["cursor"], ask.query["sort"]) for ask in sent] == [("", "-score"), ("one", "-score")]
    call = calls.ranking(board=None, task="t", most=3, filters={})
    told, sent, _ = carried_out(call, [board("task:t", range(2), "one"), board("task:t", range(2, 3), "two")])
    assert (len(told.rows), told.next, [ask.query["limit"] for ask in sent]) == (3, "two", [3, 1])
    assert [(ask.query["task"], "board" in ask.query) for ask in sent] == [("t", False)] * 2


def test_no_rows_wanted_is_nothing_asked() -> None:
    """Of a list."""
    told, sent, _ = carried_out(calls.suites(most=0, filters={}), [])
    assert (len(told), sent) == (0, [])


def test_filters_and_terms_are_those_of_the_description() -> None:
    """Whatever a submission or a list takes has its type; what is null is not asked for."""
    told = document(OPERATIONS)
    assert Terms.__annotations__.keys() | {"run_id", "model", "tasks", "campaign"} == Submission.model_fields.keys()
    parameters = {one["name"] for one in told["paths"]["/v1/prices"]["get"]["parameters"]}
    assert PriceFilters.__annotations__.keys() | {"limit", "cursor"} == parameters
    _, sent, _ = carried_out(calls.prices(most=1, filters={"item": "kwh", "version": None}), [answer(200, {"prices": [], "next": None})])
    assert sent[0].query == {"item": "kwh", "limit": 1, "cursor": ""}


def test_prices_are_published_together() -> None:
    """As they are told, typed or not."""
    price = {"item": "pue", "amount": "1.2", "unit": "1", "valid_from": "2026-01-01", "source": "us", "version": "1"}
    told, sent, _ = carried_out(calls.publish_prices([price, PriceTold.model_validate(price)]), [answer(202, {"published": 1})])
    assert told.published == 1
    assert sent[0].body == {"prices": [price, price]}


def test_ids_are_ordered_by_time() -> None:
    """As UUIDv7 are, a millisecond apart."""
    ids = [uuid.UUID(steps.new_id()) for _ in range(100)]
    assert all(one.version == 7 and one.variant == uuid.RFC_4122 for one in ids)
    assert [one.int >> 80 for one in ids] == sorted(one.int >> 80 for one in ids)


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers(), max_size=3), max_size=5), st.integers(0, 4))
def test_a_stream_is_read_whatever_it_tells(told: list[dict[str, Any]], cut: int) -> None:
    """Comments and marks tell nothing; a connection that breaks within an event takes nothing of it to the next."""
    listening = Listening({"run": None}, cursor=None)
    assert (listening.query, listening.headers()) == ({}, {"Accept": "text/event-stream"})
    heard = []
    for number, data in enumerate(told):
        for line in (": still here", "", "event: cursor", f"id: m{number}", "data: {}", ""):
            assert listening.feed(line) is None
        for line in [f"id: {number}", "event: Thing", f"data: {json.dumps(data)}"][:cut]:
            assert listening.feed(line) is None
        assert listening.headers()["Last-Event-ID"] == f"m{number}"
        for line in (f"id: {number}", "event: Thing", f"data: {json.dumps(data)}"):
            assert listening.feed(line) is None
        event = listening.feed("")
        assert event is not None and (event.kind, event.cursor, listening.cursor) == ("Thing", str(number), str(number))
        heard.append(event.data)
    assert heard == told
