"""What servers answer that is no answer: told as the server's, scored by nobody, and waited for no longer than was said."""

import json
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from gpu_agent.engines.served.client import Client, Passing, Refused
from gpu_agent.engines.served.likelihoods import BY
from gpu_agent.workloads.answers import read_answer, texts_of, usage_of
from infra.addresses import Askable

Body = Callable[[BaseHTTPRequestHandler], object]


@contextmanager
def answering(body: Body, *, encoding: str = "identity") -> Iterator[str]:
    """The address of a server that answers every POST so, and says that it is so encoded."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # http.server's name
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Encoding", encoding)
            self.end_headers()
            try:
                body(self)
            except OSError:
                return  # who asked has gone

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def asked(address: str, *, timeout_s: float = 20.0) -> Any:
    """What a client without patience makes of it."""
    client = Client(address, key=None, retries=0, timeout_s=timeout_s, at_once=1, asks=Askable(own=True))
    try:
        return client.post("/v1/completions", {"prompt": "x"}).told
    finally:
        client.close()


def drip(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then, for long."""
    for _ in range(200):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def bomb(handler: BaseHTTPRequestHandler) -> None:
    """A few KiB that inflate to a GiB. Source: RFC 8878, 3.1.1.2 (a block of one repeated byte)."""
    handler.wfile.write(b"\x28\xb5\x2f\xfd\x04\x00" + b"\x02\x00\x10a" * 8192)


def test_what_would_inflate_is_not_inflated() -> None:
    """It was asked for plain text: no bound on what has come sees a GiB before it is there."""
    began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with answering(bomb, encoding="zstd") as address, pytest.raises(Refused, match="answers zstd, though it was asked for plain text"):
        asked(address)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - began < 100 * 1024


def test_an_answer_that_drips_is_given_up_in_its_time() -> None:
    """Each byte comes soon, and the answer never."""
    with answering(drip) as address, pytest.raises(Passing, match="does not come to the end of its answer in 1 s"):
        asked(address, timeout_s=1.0)


def test_an_answer_without_end_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused once it is too long."""
    monkeypatch.setattr("gpu_agent.engines.served.client.MOST_BYTES", 2**20)
    with answering(lambda handler: handler.wfile.write(b" " * 2**21)) as address, pytest.raises(Refused, match="more than 1 MiB"):
        asked(address)


def test_json_that_is_nested_without_end_is_the_servers_fault() -> None:
    """And is told so."""
    deep = b'{"a":' + b"[" * 200_000
    with answering(lambda handler: handler.wfile.write(deep)) as address, pytest.raises((Refused, Passing), match=r"127\.0\.0\.1"):
        asked(address)


@pytest.mark.parametrize("value", [7.5, float("-inf"), float("nan"), True, "x", [0]])
@pytest.mark.parametrize("way", ["echo", "prompt_logprobs"])
def test_what_is_no_log_probability_is_no_likelihood(way: str, value: object) -> None:
    """It is refused, whichever way it was told; 0 and a hair more are likelihoods of 1."""

    def told(one: object) -> dict[str, Any]:
        logprobs = {"token_logprobs": [None, one, -1.0], "top_logprobs": [None, {"a": -0.5}, {"b": -1.0}]}
        beside = [None, {"7": {"logprob": one, "rank": 1}}]
        return {"choices": [{"logprobs": logprobs, "prompt_logprobs": beside}], "usage": {"prompt_tokens": 2}}

    with pytest.raises(ValueError, match="is no log-probability"):
        BY[way].tokens(told(value))
    assert [one.logprob for one in BY[way].tokens(told(1e-6))] == [None, 1e-6]


def test_texts_are_texts() -> None:
    """Of parts all of them; what is none is no answer; half of a letter is one that can be written."""
    parts = [{"type": "text", "text": "a "}, {"type": "text", "text": "tree"}]
    assert texts_of({"message": {"content": parts}}) == ("", "a tree")
    assert texts_of({"message": {"content": None, "refusal": "no"}}) == ("", "no")
    assert texts_of({"text": "x\ud800"}) == ("", "x?")
    for wrong in (5, {"a": 1}, [1, 2], True):
        with pytest.raises(ValueError, match="stands where a text should"):
            texts_of({"message": {"content": wrong}})


@pytest.mark.parametrize("wrong", ["many", 2**70, -1, True, [3]])
def test_a_usage_that_is_no_number_is_said_to_be_none(wrong: object) -> None:
    """In a load too, where the request fails by it."""
    with pytest.raises(ValueError, match="no number of tokens"):
        usage_of({"prompt_tokens": wrong})
    body = json.dumps({"choices": [{"text": "a"}], "usage": {"completion_tokens": wrong}}).encode()
    answer = read_answer([(1, body)], kind="application/json")
    assert answer.error is not None and "no number of tokens" in answer.error
    assert usage_of({"prompt_tokens": 3.0, "completion_tokens": None}).prompt_tokens == 3
