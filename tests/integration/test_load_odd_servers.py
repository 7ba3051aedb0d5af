"""Loads on servers that end their answers wrongly, or never: each such answer is an error of its kind, and the load goes on and ends."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from gpu_agent.workloads.load import Target, load
from gpu_agent.workloads.timed import Timed
from schemas.requests import Workload

pytestmark = [pytest.mark.integration, pytest.mark.slow]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
Serve = Callable[[socket.socket, dict[str, Any]], None]


def event(told: dict[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(told).encode() + b"\n\n"


def chunk(data: bytes) -> bytes:
    """A chunk of a body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


TOKEN = event({"choices": [{"text": "a ", "finish_reason": None}]})
END = event({"choices": [{"text": "", "finish_reason": "length"}]}) + b"data: [DONE]\n\n"


def whole(connection: socket.socket, _: dict[str, Any]) -> None:
    """Four tokens, and their end."""
    connection.sendall(CHUNKED + chunk(4 * TOKEN + END) + chunk(b""))


@contextmanager
def server(*serve: Serve) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """One that answers its first request by the first of these, and so on, all later ones by the last; and the bodies that it was sent."""
    bodies = list[dict[str, Any]]()

    def answers(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as read, suppress(OSError):
            while head := b"".join(iter(read.readline, b"\r\n")) if read.peek() else b"":
                length = next(int(line.partition(b":")[2]) for line in head.splitlines() if line.lower().startswith(b"content-length"))
                bodies.append(json.loads(read.read(length)))
                serve[min(len(bodies), len(serve)) - 1](connection, bodies[-1])

    def accepts(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=answers, args=(listening.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accepts, args=(listening,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", bodies
        listening.shutdown(socket.SHUT_RDWR)


def sent(url: str, *, patience_s: float = 5.0, **told: Any) -> list[Timed]:
    """The requests of a load of two."""
    usual = {"url": url, "requests": 2, "warmup_requests": 0, "output_tokens": 32}
    return list(load(Workload.model_validate(usual | told), Target("m", "m", patience_s=patience_s), seed=1))


def reset(connection: socket.socket, _: dict[str, Any]) -> None:
    """Eight tokens of a body that ends with the connection, which is reset."""
    connection.sendall(HEAD + b"\r\n" + 8 * TOKEN)
    threading.Event().wait(0.1)  # so that the tokens are read before
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionResetError


def early(connection: socket.socket, _: dict[str, Any]) -> None:
    """Eight tokens, and an orderly end of the body without one of the text."""
    connection.sendall(CHUNKED + chunk(8 * TOKEN) + chunk(b""))


def negative(connection: socket.socket, _: dict[str, Any]) -> None:
    """A token, and a chunk of less than nothing."""
    connection.sendall(CHUNKED + chunk(TOKEN) + b"-11\r\n")


@pytest.mark.parametrize(
    ("serve", "says"),
    [
        (reset, "cut: the connection ended before the answer did ([Errno 104] Connection reset by peer)"),
        (early, "cut: the stream ended without finish_reason, usage or [DONE]"),
        (negative, "not-http: no size of a chunk: b'-11'"),
    ],
)
def test_an_answer_that_is_not_whole_is_an_error(serve: Serve, says: str) -> None:
    """Each by itself, and the load ends."""
    with server(whole, serve) as (url, _):
        assert [one.error for one in sent(url)] == [says] * 2


def pinging(connection: socket.socket, _: dict[str, Any]) -> None:
    """A token, and then comments for as long as anybody listens."""
    connection.sendall(CHUNKED + chunk(TOKEN))
    while True:
        connection.sendall(chunk(b": PROCESSING\n\n"))
        threading.Event().wait(0.05)


def slow(connection: socket.socket, _: dict[str, Any]) -> None:
    """A token each half second, comments between, and their end."""
    connection.sendall(CHUNKED)
    for number in range(24):
        connection.sendall(chunk(b": PROCESSING\n\n" if number % 5 else TOKEN))
        threading.Event().wait(0.1)
    connection.sendall(chunk(END) + chunk(b""))


@pytest.mark.parametrize(("serve", "error"), [(pinging, "timeout: no token came for 1 s"), (slow, None)])
def test_comments_are_no_answer(serve: Serve, error: str | None) -> None:
    """Patience is for tokens: a stream that has but comments is given up, and one that is slower than that in all is not."""
    with server(whole, serve) as (url, _):
        (timed,) = sent(url, patience_s=1.0, requests=1)
    assert timed.error == error and (timed.ended_ns - timed.sent_ns) / 1e9 == pytest.approx(2.4 if error is None else 1.1, abs=0.9)


def refusing(connection: socket.socket, told: dict[str, Any]) -> None:
    """A model that reasons, as OpenAI's do: one refusal after another."""
    words = {
        "ignore_eos": "Unrecognized request argument supplied: ignore_eos",
        "max_tokens": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "temperature": "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) value is supported.",
    }
    if (name := next((name for name in words if name in told), None)) is None:
        return whole(connection, told)
    body = json.dumps({"error": {"message": words[name], "type": "invalid_request_error", "param": name}}).encode()
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return connection.sendall(head + body)


def test_a_model_that_reasons_is_asked_as_it_takes_it() -> None:
    """What its words refuse is given up, and nothing else: usage is still asked for."""
    with server(refusing) as (url, bodies):
        assert [one.error for one in sent(url, api="chat")] == [None] * 2
    refused = [sorted(name for name in body if name in ("ignore_eos", "max_tokens", "temperature")) for body in bodies]
    assert refused == [["ignore_eos", "max_tokens", "temperature"], ["max_tokens", "temperature"], ["temperature"], [], [], []]
    assert {(body["max_completion_tokens"], body["stream_options"]["include_usage"]) for body in bodies[2:]} == {(32, True)}


def test_a_chat_whose_answer_is_none_ends_there() -> None:
    """Though the server said 200, and its stream ended in order; the next chat takes its place."""
    with server(whole, whole, early, whole) as (url, _):
        timed = sent(url, api="chat", turns=3, requests=6)
    assert [(one.planned.index, (one.error or "")[:3]) for one in timed] == [(0, ""), (1, "cut"), (3, ""), (4, ""), (5, "")]
