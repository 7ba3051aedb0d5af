"""Responses and answers of servers: the same however their bytes are cut, tokens never counted by chunks; and the server's own plan."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_agent.workloads.answers import Usage, apportioned, arrivals, read_answer, went_on_ns
from gpu_agent.workloads.asking import place_of, request_of
from gpu_agent.workloads.http1 import Malformed, Response
from gpu_agent.workloads.schedule import Planned
from gpu_agent.workloads.wording import prompt_of
from schemas.requests import Workload
from streams.errors import Invalid
from tests.delays.behaviour import behaviour, parts
from tests.delays.record import Sent, void

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PLANNED = Planned(7, "steady", None, 5, 3, 11)


def event(told: dict[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(told).encode() + b"\n\n"


def text(said: str, **more: Any) -> dict[str, Any]:
    """A completion's chunk."""
    return {"choices": [{"text": said}]} | more


def fed(data: bytes, cuts: list[int]) -> tuple[Response, bytes]:
    """The response after the bytes came in pieces."""
    response, body, places = Response(), b"", sorted({0, *(cut % len(data) for cut in cuts), len(data)})
    for start, end in itertools.pairwise(places):
        body += response.feed(data[start:end])
    return response, body


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.lists(st.integers(0, 10**6), max_size=30))
def test_a_chunked_body_is_the_same_however_its_bytes_are_cut(pieces: list[bytes], cuts: list[int]) -> None:
    """And it ends where its last chunk ends."""
    data = HEAD + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    response, body = fed(data, cuts)
    assert body == b"".join(pieces)
    assert response.finished and response.reusable and response.status == 200


@given(st.binary(max_size=60), st.lists(st.integers(0, 10**6), max_size=10))
def test_a_body_of_known_length_ends_with_it(piece: bytes, cuts: list[int]) -> None:
    """An interim response before it is none."""
    data = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 Too Many\r\nRetry-After: 3\r\nContent-Length: %d\r\n\r\n%s" % (len(piece), piece)
    response, body = fed(data, cuts)
    assert (body, response.status, response.headers["retry-after"], response.reusable) == (piece, 429, "3", True)
    assert response.finished or not piece


def lengthy(told: bytes) -> bytes:
    """A head with such a length."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: " + told + b"\r\n\r\n"


@pytest.mark.parametrize("data", [
    b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 x\r\n\r\n", b"HTTP/1.1 \xb2\xb2\xb2\r\n\r\n", b"HTTP/1.1 000\r\n\r\n", HEAD + b"zz\r\n",
    HEAD + b"5\r\nhello\r\n-11\r\n", HEAD + b"+5\r\n", HEAD + b"0x5\r\n", HEAD + b"1_0\r\n", HEAD + b"\r\n", HEAD + b"f" * 16 + b"\r\n",
    HEAD + b"5\r\nhelloXX", lengthy(b"-1"), lengthy(b"abc"), lengthy(b"1_0"), lengthy(b"\xb2"),
])  # fmt: skip
def test_what_is_no_http_is_told(data: bytes) -> None:
    """With its beginning."""
    with pytest.raises(Malformed, match="no "):
        Response().feed(data)


def test_ever_so_many_interim_responses_are_none() -> None:
    """And a chunk's extension is no size."""
    response = Response()
    assert response.feed(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2500 + HEAD + b"5 ;of=us\r\nhello\r\n0\r\n\r\n") == b"hello"
    assert response.status == 200 and response.finished


@given(st.integers(0, 200), st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_tokens_are_apportioned_whole(total: int, weights: list[int]) -> None:
    """None is lost, none is invented, and the first chunk with text holds the first token."""
    shares = apportioned(total, weights)
    assert sum(shares) == total and min(shares) >= 0
    assert total == 0 or shares[0] >= 1


def test_chunks_are_no_tokens() -> None:
    """Eight chunks of a usage of 32 tokens are 32; without a usage or a tokenizer nothing is known."""
    pieces = [(n, event(text(" a b c d"))) for n in range(8)]
    usage = (9, event({"choices": [], "usage": {"completion_tokens": 32, "prompt_tokens": 5}}))
    counted = read_answer([*pieces, usage], kind="text/event-stream")
    assert arrivals(counted, tokens_of=None) == ([(n, 4) for n in range(8)], "usage", True)
    uncounted = read_answer(pieces, kind="text/event-stream")
    assert arrivals(uncounted, tokens_of=None) == ([], "none", False)
    assert arrivals(uncounted, tokens_of=lambda said: len(said.split()))[:2] == ([(n, 4) for n in range(8)], "tokenizer")


def test_a_token_is_text_of_any_channel_and_a_role_is_none() -> None:
    """Stamped when its event is whole: with the piece that brings its last byte."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, {"reasoning_content": "hm"}, {"content": "yes"}]
    told = [event({"choices": [{"delta": delta}]}) for delta in deltas]
    answer = read_answer([(1, told[0]), (2, told[1][:-1]), (3, told[1][-1:]), (4, told[2] + b"data: [DONE]\n\n")], kind="text/event-stream")
    assert answer.texts == [(3, "hm", True), (4, "yes", False)]
    assert answer.error is None


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (event({"error": {"message": "dead"}}) + b"data: [DONE]\n\n", "text/event-stream", "error-in-200: dead"),
        (b"data: [DONE]\n\n", "text/event-stream", "no-token"),
        (b"data: [DONE]\n\n", "Text/Event-Stream", "no-token"),
        (b"[1]", "Application/JSON", "not-understood"),
        (b"<html>", "text/html", "not-a-stream: the server answers text/html"),
        (b"data: {oh\n\n", "text/event-stream", "not-understood: JSONDecodeError"),
        (b"[1]", "application/json", "not-understood"),
        (b'{"detail": "dead"}', "application/json", "error-in-200: dead"),
    ],
)
def test_a_200_without_an_answer_is_an_error(body: bytes, kind: str, says: str) -> None:
    """Of its own kind each."""
    assert (read_answer([(1, body)], kind=kind).error or "").startswith(says)


FAILED: list[tuple[bytes, str]] = [
    (b'event: error\ndata: {"message": "dead", "code": 500}\n\n', "error-in-200: dead"),
    (b"event: error\ndata: {}\n\n", "error-in-200: it says no more of it"),
    (event({"object": "error", "message": "dead", "code": 500}), "error-in-200: dead"),
    (event({"error": "dead", "error_type": "generation"}), "error-in-200: dead"),
    (event({"detail": "dead"}), "error-in-200: dead"),
    (event({"choices": [{"text": "", "finish_reason": "content_filter"}]}), "broken-off: the server ends its text by 'content_filter'"),
    (event({"type": "response.incomplete", "response": {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}}),
     "broken-off: the server ends its text by 'content_filter'"),
]  # fmt: skip
CUT = "cut: the stream ended without finish_reason, usage or [DONE]"


@pytest.mark.parametrize(("last", "says"), [*FAILED, (b"", CUT), (event(text("b")), CUT), (b": ping\n\n", CUT)])
@pytest.mark.parametrize("done", [b"", b"data: [DONE]\n\n"])
def test_a_text_that_breaks_off_is_no_answer(last: bytes, says: str, done: bytes) -> None:
    """In whichever form the server says so; and where it says nothing, unless it says that it is done."""
    told = read_answer([(1, event(text("a"))), (2, last), (3, done)], kind="text/event-stream").error or ""
    assert told == ("" if says == CUT and done else says)


@pytest.mark.parametrize(
    "last",
    [
        {"choices": [{"text": "", "finish_reason": "length"}]}, {"choices": [{"text": "b", "finish_reason": "stop"}]},
        {"choices": [], "usage": {"completion_tokens": 2, "prompt_tokens": 5}},
        {"type": "response.completed", "response": {"status": "completed"}},
    ],
)  # fmt: skip
def test_a_text_that_is_said_to_have_ended_is_one(last: dict[str, Any]) -> None:
    """By its last chunk, or the usage behind it."""
    assert read_answer([(1, event(text("a"))), (2, event(last))], kind="text/event-stream").error is None


PING, A = b": OPENROUTER PROCESSING\n\n", event(text("a"))


@pytest.mark.parametrize(
    ("pieces", "kind", "at_ns"),
    [
        ([], "text/event-stream", 3),
        ([(4, PING), (5, event(text(""))), (6, event({"choices": []}))], "text/event-stream", 3),
        ([(4, A), (5, PING)], "text/event-stream", 4),
        ([(2, A), (5, PING)], "text/event-stream", 3),
        ([(2, A[:9]), (4, A[9:20]), (5, A[20:])], "Text/Event-Stream; charset=utf-8", 5),  # no piece tells alone
        ([(4, A[:30]), (5, A[30:] + A[:30]), (6, PING[:5])], "text/event-stream", 5),
        ([(4, b'{"choices": '), (5, b"\n\n")], "application/json", 4),
        ([(4, b"\n"), (5, b" \r\n")], "application/json", 3),
    ],
)
def test_an_answer_goes_on_with_its_texts_alone(pieces: list[tuple[int, bytes]], kind: str, at_ns: int) -> None:
    """Not with what keeps its connection."""
    assert went_on_ns(pieces, kind=kind, since_ns=3) == at_ns


def test_a_prompt_begins_as_no_other_unless_asked_otherwise() -> None:
    """The same seed gives the same words after the mark, so the load is the same and no cache of prefixes knows it."""
    first, again, repeated = (prompt_of(PLANNED, mark=mark) for mark in ("run/perf/1", "run/perf/2", ""))
    assert first != again and first.split()[0] != again.split()[0]
    assert first.split()[1:] == again.split()[1:] == repeated.split()
    assert repeated == prompt_of(PLANNED, mark="")


def test_a_request_asks_for_usage_and_all_its_tokens_until_a_server_refuses_that() -> None:
    """By either interface."""
    place = place_of(Workload(url="https://host/prefix/v1/", api="chat"))
    assert (place.host, place.port, place.tls, place.path) == ("host", 443, True, "/prefix/v1/chat/completions")
    body = json.loads(request_of(place, PLANNED, model="m", mark="x").partition(b"\r\n\r\n")[2])
    assert body["stream_options"] == {"include_usage": True} and body["ignore_eos"] is True and body["max_tokens"] == 3
    bare = json.loads(request_of(place, PLANNED, model="m", mark="x", given_up=frozenset({"ignore_eos"})).partition(b"\r\n\r\n")[2])
    assert "ignore_eos" not in bare and "stream_options" in bare
    assert list(place.extras) == ["ignore_eos", "stream_options"]
    with pytest.raises(Invalid, match="http://HOST"):
        place_of(Workload(url="localhost:8000"))


@pytest.mark.parametrize(
    ("told", "body"),
    [
        ({"api": "responses"}, {"stream": True, "max_output_tokens": 3, "ignore_eos": True, "store": False, "temperature": 0.0}),
        ({"api": "responses", "stream": False}, {"stream": False, "max_output_tokens": 3, "ignore_eos": True, "store": False,
                                                 "temperature": 0.0}),
        ({"stream": False}, {"stream": False, "max_tokens": 3, "ignore_eos": True, "temperature": 0.0}),
        ({"stream": False, "extra_body": '{"top_k": 5, "temperature": 0.7, "ignore_eos": false}'},
         {"stream": False, "max_tokens": 3, "ignore_eos": False, "temperature": 0.7, "top_k": 5}),
    ],
)  # fmt: skip
def test_a_body_says_what_its_form_has(told: dict[str, Any], body: dict[str, Any]) -> None:
    """Of every interface, streamed or not; what the client says beside it counts before what is usual."""
    workload = Workload.model_validate({"url": "http://h"} | told)
    found = json.loads(request_of(place_of(workload), PLANNED, model="m", mark="x").partition(b"\r\n\r\n")[2])
    prompt = found.pop("input" if workload.api == "responses" else "prompt")
    assert found == body | {"model": "m"}
    assert (prompt[0]["content"] if workload.api == "responses" else prompt) == prompt_of(PLANNED, mark="x")


def test_the_texts_of_a_response_are_its_deltas_alone() -> None:
    """Not those that its last events say again; usage is its own, and that it was long enough is no error."""
    said: list[dict[str, Any]] = [
        {"type": "response.created", "response": {"object": "response", "output": [], "usage": None, "error": None}},
        {"type": "response.output_text.delta", "delta": ""}, {"type": "response.reasoning_summary_text.delta", "delta": "hm"},
        {"type": "response.output_text.delta", "delta": "yes"}, {"type": "response.output_text.done", "text": "yes"},
    ]  # fmt: skip
    usage = {"input_tokens": 9, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 4},
             "output_tokens_details": {"reasoning_tokens": 2}}  # fmt: skip
    whole = {"object": "response", "status": "incomplete", "error": None, "usage": usage, "output": [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "content": [{"type": "output_text", "text": "yes"}]},
    ]}  # fmt: skip
    told = [*said, {"type": "response.incomplete", "response": whole}]
    answer = read_answer([(at_ns, event(one)) for at_ns, one in enumerate(told)], kind="text/event-stream")
    assert (answer.texts, answer.error, answer.usage) == ([(2, "hm", True), (3, "yes", False)], None, Usage(9, 3, 4, 2))
    at_once = read_answer([(1, json.dumps(whole).encode()[:9]), (7, json.dumps(whole).encode()[9:])], kind="application/json")
    assert (at_once.texts, at_once.error, at_once.usage) == ([(7, "hm", True), (7, "yes", False)], None, Usage(9, 3, 4, 2))
    assert arrivals(at_once, tokens_of=None) == ([(7, 3)], "usage", False)


@pytest.mark.parametrize(
    "told",
    [
        {"type": "response.failed", "response": {"status": "failed", "error": {"code": "server_error", "message": "dead"}}},
        {"type": "error", "code": "server_error", "message": "dead", "param": None},
        {"type": "error", "error": {"message": "dead"}},
    ],
)
def test_a_response_that_fails_is_an_error(told: dict[str, Any]) -> None:
    """However it is told, and whatever came before."""
    pieces = [(1, event({"type": "response.output_text.delta", "delta": "a"})), (2, event(told))]
    assert read_answer(pieces, kind="text/event-stream").error == "error-in-200: dead"


@given(st.integers(1, 60), st.integers(1, 9), st.floats(0, 1), st.integers(0, 99))
def test_the_known_servers_plan_is_the_same_for_the_same_seed(tokens: int, bundle: int, jitter: float, number: int) -> None:
    """Every token once, in order, within its jitter; a bundle goes with its last token."""
    how = behaviour(f"known?ttft_ms=20&itl_ms=2&bundle={bundle}&jitter={jitter!r}")
    plan = parts(how, tokens=tokens, seed=5, number=number)
    assert plan == parts(how, tokens=tokens, seed=5, number=number)
    assert sum(part.tokens for part in plan) == tokens
    due = [part.due_ns for part in plan]
    assert due == sorted(due) and abs(plan[-1].due_ns - (20 + 2 * (tokens - 1)) * 1e6) <= jitter * (20 + 2 * tokens) * 1e6 + 1e3


def test_a_server_that_was_late_itself_holds_nobody_to_anything() -> None:
    """Above 0.2 ms at its 99th percentile."""

    def late(by_ns: int) -> list[Sent]:
        return [Sent("1", 0, "/", 0, due_ns=[0] * 100, sent_ns=[10] * 98 + [by_ns] * 2, tokens=[1] * 100)]

    assert void(late(199_000)) is None
    assert "0.30 ms late" in (void(late(300_000)) or "")
    with pytest.raises(ValueError, match="no such fault"):
        behaviour("known?fault=explode")
