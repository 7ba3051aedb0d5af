"""Loads by HTTP/2, held to the server of known delays: the same answers, stamped as well, many over one connection."""

import asyncio
import itertools
import socket
import ssl
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings

from gpu_agent.workloads.http2 import LEFT
from gpu_agent.workloads.load import Target, load
from gpu_agent.workloads.timed import Timed
from schemas.requests import Workload
from streams.errors import AssayError
from tests.certificates import certificates
from tests.delays.running import Server, known_delays
from tests.integration.test_load import QUICK, all_of, truth

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The server, for all tests of this file."""
    with known_delays() as started:
        yield started


def connections(timed: list[Timed]) -> int:
    """How many were made beside that of the first request of all."""
    return sum(one.connect_ns is not None for one in timed)


@pytest.mark.parametrize(("api", "stream"), [("completions", True), ("chat", True), ("responses", True), ("chat", False)])
def test_every_answer_is_the_one_that_was_sent_and_stamped_behind_it(server: Server, api: str, stream: bool) -> None:
    """In every form; a prompt that is larger than the server's first window too."""
    timed, true = all_of(server, http="2", api=api, stream=stream, concurrency=6, requests=18, input_tokens=20_000), truth(server)
    for one in timed:
        real = true[one.planned.index]
        assert (one.error, one.output_tokens, one.prompt_tokens, one.http_status) == (None, 8, real.prompt_tokens, 200)
        assert one.sent_ns <= real.received_ns
        assert one.last_token_ns is not None and real.sent_ns[-1] <= one.last_token_ns
        assert not stream or all(came >= went for (came, _), went in zip(one.arrivals, real.sent_ns, strict=True))
    assert max(one.in_flight for one in timed) == 6 and connections(timed) == 0


def test_tokens_times_are_those_that_were_sent(server: Server) -> None:
    """What lies between a token's sending and its stamp is little, with many streams on the connection."""
    timed, true = all_of(server, http="2", profile="constant", rate_per_s=40.0, requests=40), truth(server)
    steps = [
        abs((after[0] - before[0]) - (true[one.planned.index].sent_ns[n + 1] - true[one.planned.index].sent_ns[n]))
        for one in timed
        for n, (before, after) in enumerate(itertools.pairwise(one.arrivals))
    ]
    assert len(steps) == 42 * 7 and statistics.median(steps) < 2e6


def test_as_many_streams_go_over_a_connection_as_were_asked_for(server: Server) -> None:
    """One each: as many connections as requests under way; two each: half of them."""
    slow = "known?ttft_ms=100&itl_ms=1"
    for streams, made in ((1, 5), (2, 2), (None, 0)):
        timed = all_of(server, slow, http="2", streams=streams, concurrency=6, requests=12, warmup_requests=0)
        assert (connections(timed), {one.error for one in timed}) == (made, {None})


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("fault=cut&after=3", "cut: the server ended the stream"), ("fault=reset", "cut: "), ("fault=429", "http-429: "),
        ("fault=stall&after=2", "timeout: no token came for 5 s"), ("fault=endless", "endless: "), ("fault=error200", "error-in-200: "),
    ],
)  # fmt: skip
def test_a_fault_ends_its_stream_alone(server: Server, fault: str, says: str) -> None:
    """Every second request has it; the others go on over the same connection."""
    quick = "known?ttft_ms=2&itl_ms=0.02" if "endless" in fault else QUICK
    timed = all_of(server, f"{quick}&{fault}&every=2", http="2", requests=6, warmup_requests=0, target={"patience_s": 5.0})
    failed = [one for one in timed if one.error]
    assert len(failed) == 3 and all((one.error or "").startswith(says) for one in failed)
    assert all(one.output_tokens == 8 for one in timed if not one.error) and connections(timed) == 0


def test_what_the_client_gives_up_ends_its_stream_alone(server: Server) -> None:
    """The server is told, and the connection goes on."""
    told: dict[str, Any] = {"cancel_ratio": 0.5, "cancel_after_s": 0.05, "concurrency": 4, "requests": 16, "warmup_requests": 0}
    timed = all_of(server, "known?ttft_ms=20&itl_ms=20", http="2", **told)
    given_up = [one for one in timed if one.cancelled]
    assert 2 <= len(given_up) <= 14 and connections(timed) == 0 and {one.error for one in timed} == {None}
    assert all(len(truth(server)[one.planned.index].sent_ns) < 8 for one in given_up)


def test_over_tls_it_is_agreed_upon(tmp_path: Path) -> None:
    """And a server that does not is told as one that does not speak it."""
    authority, certificate, _ = certificates(tmp_path)
    context = ssl.create_default_context(cafile=str(authority))
    with known_delays(certificate=str(certificate)) as secure:
        timed = all_of(secure, http="2", streams=1, concurrency=3, requests=6, warmup_requests=0, target={"context": context})
        assert {one.error for one in timed} == {None} and any(one.tls_ns for one in timed)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(certificate)
    with serving(_Deaf, tls=own) as url, pytest.raises(AssayError, match="does not speak HTTP/2; leave --http 2 out"):
        ask(url, context=context)
    with serving(_Deaf) as url, pytest.raises(AssayError, match="does not speak HTTP/2; leave --http 2 out"):
        ask(url)


def test_what_a_server_that_goes_away_has_not_begun_goes_another_way() -> None:
    """A connection takes one request and says that it is the last: the others are sent again, each is answered, none twice."""
    _Leaving.answered = []
    with serving(_Leaving) as url:
        timed = ask(url, profile="concurrent", concurrency=3, requests=9, warmup_requests=0)
    assert [one.error for one in timed] == [None] * 9
    assert sorted(_Leaving.answered) == list(range(-1, 9))


def test_a_server_that_leaves_for_ever_is_given_up() -> None:
    """Every connection says that it takes no more before it begins a request, or as it begins itself: ten of them are enough."""
    for protocol, made in ((_Gone, 31), (_Over, 10)):
        protocol.made = 0
        with serving(protocol) as url:
            if protocol is _Over:
                with pytest.raises(AssayError, match="10 connections ended, one after the other, before the server began the request"):
                    ask(url)
            else:
                assert {one.error for one in ask(url, requests=3, warmup_requests=0)} == {LEFT}
        assert protocol.made == made


def test_a_server_that_takes_no_request_now_gets_no_more_connections() -> None:
    """They would take none either: it is waited until the server takes some."""
    _Later.made = 0
    with serving(_Later) as url:
        timed = ask(url, profile="concurrent", concurrency=3, requests=9)
    assert ({one.error for one in timed}, _Later.made) == ({None}, 1)


def ask(url: str, *, context: ssl.SSLContext | None = None, **told: Any) -> list[Timed]:
    """A load by HTTP/2."""
    usual = {"profile": "single", "requests": 2, "output_tokens": 1, "url": url, "http": "2"}
    return list(load(Workload.model_validate(usual | told), Target("m", "m", context=context), seed=1))


class _Deaf(asyncio.Protocol):
    """A server of HTTP/1.1 alone."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


class _Leaving(asyncio.Protocol):
    """A server whose connections answer their first request, and say with it that they take no more."""

    answered: list[int]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._h2 = transport, H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._h2.initiate_connection()
        self._transport.write(self._h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self._h2.receive_data(data):
            if isinstance(event, events.RequestReceived) and event.stream_id == 1:
                self.answered.append(int({str(name): str(value) for name, value in event.headers or ()}["x-request-id"]))
                asyncio.get_running_loop().call_later(0.05, self._answer)
        self._transport.write(self._h2.data_to_send())

    def _answer(self) -> None:
        body = b'{"choices": [{"text": "a"}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}'
        self._h2.send_headers(1, [(":status", "200"), ("content-type", "application/json")])
        self._h2.send_data(1, body, end_stream=True)
        self._transport.write(self._h2.data_to_send())
        self._h2.close_connection(last_stream_id=1)
        self._transport.write(self._h2.data_to_send())
        self._transport.close()


class _Server(asyncio.Protocol):
    """A server that answers every request, and counts its connections."""

    made = 0
    most = 100
    leaves = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        type(self).made += 1
        self._transport, self._h2 = transport, H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._h2.local_settings = Settings(client=False, initial_values={SettingCodes.MAX_CONCURRENT_STREAMS: self.most})
        self._h2.initiate_connection()
        self.begins()
        self._transport.write(self._h2.data_to_send())

    def begins(self) -> None:
        """What else it says at first."""

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        for event in self._h2.receive_data(data):
            if isinstance(event, events.StreamEnded) and event.stream_id is not None:
                self.answers(event.stream_id)
        self._transport.write(self._h2.data_to_send())
        if self.leaves:
            self._transport.close()

    def answers(self, number: int) -> None:
        """One answer."""
        body = b'{"choices": [{"text": "a"}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}'
        self._h2.send_headers(number, [(":status", "200"), ("content-type", "application/json")])
        self._h2.send_data(number, body, end_stream=True)


class _Gone(_Server):
    """Its first connection answers one request, and leaves; all others leave before they begin one."""

    def answers(self, number: int) -> None:
        if self.made == 1:
            super().answers(number)
        self._h2.close_connection(last_stream_id=number if self.made == 1 else 0)
        self.leaves = True


class _Over(_Server):
    """Its connections leave as they begin."""

    def begins(self) -> None:
        self._h2.close_connection(last_stream_id=0)


class _Later(_Server):
    """It takes no request at first."""

    most = 0

    def begins(self) -> None:
        asyncio.get_running_loop().call_later(0.3, self._takes)

    def _takes(self) -> None:
        self._h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 10})
        self._transport.write(self._h2.data_to_send())


@contextmanager
def serving(protocol: type[asyncio.Protocol], *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server on loopback, in a thread of its own."""
    loop, listener = asyncio.new_event_loop(), socket.create_server(("127.0.0.1", 0))
    made = loop.run_until_complete(loop.create_server(protocol, sock=listener, ssl=tls))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        made.close()
        loop.run_until_complete(asyncio.sleep(0.05))  # the connections end, which the clients have closed
        loop.close()
