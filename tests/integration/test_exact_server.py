"""The exact server of known delays is the other one over again, for what both can: byte for byte, delay for delay, and in its record."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from streams.errors import Unavailable
from tests.delays.exact import exact_delays, sender
from tests.delays.record import Sent
from tests.delays.running import known_delays
from tests.delays.script import path

pytestmark = [pytest.mark.integration, pytest.mark.slow]
MODEL = "known?ttft_ms=20&itl_ms=2&jitter=0.5"
PROMPT = "x" * 64  # 16 tokens, as the exact server's usage says


@pytest.fixture(scope="module", autouse=True)
def compiled() -> Iterator[Path]:
    """The sender, where it can be compiled here."""
    try:
        yield sender()
    except Unavailable as error:
        pytest.skip(f"the exact server cannot be built here: {error}")


def answer(url: str, *, chat: bool, tokens: int, usage: bool) -> tuple[int, dict[str, str], bytes]:
    """What a server sends to a request: its status, its headers and its body."""
    prompt = {"messages": [{"role": "user", "content": PROMPT}]} if chat else {"prompt": PROMPT}
    asked = {"model": MODEL, "stream": True, "max_tokens": tokens, "stream_options": {"include_usage": usage}, **prompt}
    told = httpx.post(url + path(chat=chat), json=asked, headers={"X-Request-Id": f"r-{tokens}"}, timeout=60)
    return told.status_code, dict(told.headers), told.content


def plan(one: Sent) -> tuple[object, ...]:
    """What of a record is no measurement."""
    return one.request_id, one.number, one.path, one.status, one.tokens, one.blocked, [due - one.received_ns for due in one.due_ns]


@pytest.mark.parametrize("chat", [False, True])
def test_both_servers_send_the_same_bytes_by_the_same_delays_and_record_them_alike(chat: bool) -> None:
    """With usage and without, of one token and of many; and each token goes when it is due, or just after."""
    with exact_delays(MODEL, tokens=8, requests=9, chat=chat) as exact, known_delays() as known:
        for tokens, usage in itertools.product((1, 5, 8), (False, True)):
            ours, theirs = (answer(server.url, chat=chat, tokens=tokens, usage=usage) for server in (exact, known))
            assert ours == theirs and ours[0] == 200
        assert [plan(one) for one in exact.record()] == [plan(one) for one in known.record()]
        for one in exact.record():
            assert one.ended_ns and one.ended_ns >= one.sent_ns[-1]
            assert all(went >= due for due, went in zip(one.due_ns, one.sent_ns, strict=True))
        exact.forget()
        assert exact.record() == []


def test_the_exact_server_refuses_what_its_script_has_not() -> None:
    """More tokens, another model, another interface, and more requests than it has delays for."""
    with exact_delays(MODEL, tokens=4, requests=2) as server:
        assert answer(server.url, chat=False, tokens=5, usage=True)[0] == 400
        assert answer(server.url, chat=True, tokens=4, usage=True)[0] == 400
        asked = {"model": "other", "stream": True, "max_tokens": 4}
        assert httpx.post(f"{server.url}/v1/completions", json=asked, timeout=60).status_code == 400
        assert [answer(server.url, chat=False, tokens=4, usage=True)[0] for _ in range(3)] == [200, 200, 400]
