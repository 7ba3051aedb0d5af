"""HTTP/2 to one server: requests are streams, several on a connection; bytes are stamped when they came, before anything is made of them.

h2 has the protocol (frames, compressed headers, windows) without any I/O. Over TLS it is agreed upon as the connection is made (ALPN), over
cleartext the server is taken to speak it.

Source: RFC 9113, sections 3.2 and 3.3 (how it begins), 5.1.2 (how many streams), 5.2 (windows), 6.8 (GOAWAY).
"""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from gpu_agent.workloads.asking import Place
from gpu_agent.workloads.connections import CONNECT_S, Exchange, Unreached, opened
from gpu_agent.workloads.http1 import STATUS
from gpu_agent.workloads.stamped import Stamped
from infra.addresses import Askable

WINDOW: Final = 2**24  # bytes that may be on their way to here: no answer waits for leave to be sent
MANY: Final = 2**31 - 1
SPEAKS: Final = "h2"
MOST_LEFT: Final = 10  # connections that a request is left by before it is given up
LEFT: Final = f"cut: {MOST_LEFT} connections ended, one after the other, before the server began the request"
NOT_SPOKEN: Final = "not-http2: the server does not speak HTTP/2; leave --http 2 out"


@dataclass(frozen=True, slots=True)
class Stream:
    """A request's place on a connection."""

    of: "Connection"
    number: int

    def drop(self, failure: str) -> None:
        """Ends the request; the connection goes on."""
        self.of.give_up(self.number, failure)


class Connection(asyncio.Protocol):
    """One connection. `settled`: the server has said what it takes; `over`: no more requests go this way."""

    def __init__(self, pool: "Streams", stamped: Stamped) -> None:
        self._pool, self._stamped = pool, stamped
        self._transport: asyncio.Transport | None = None
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._h2.local_settings = Settings(
            client=True, initial_values={SettingCodes.ENABLE_PUSH: 0, SettingCodes.INITIAL_WINDOW_SIZE: WINDOW}
        )
        self._under_way: dict[int, Exchange] = {}
        self._left: dict[int, bytes] = {}  # of bodies, what the server has no room for yet
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    async def begin(self) -> None:
        """Speaks first, and waits for what the server says of itself. Raises: Unreached where that is no HTTP/2."""
        tls = self._transport.get_extra_info("ssl_object") if self._transport else None
        if tls and tls.selected_alpn_protocol() != SPEAKS:
            self._lose(NOT_SPOKEN)
            return await self.settled
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(WINDOW)
        self._flush()
        return await self.settled

    @property
    def room(self) -> int:
        """How many more requests it takes now."""
        return 0 if self.over else min(self._pool.most, self._h2.remote_settings.max_concurrent_streams) - len(self._under_way)

    @property
    def waits(self) -> bool:
        """Whether the server takes no request at all now, and may take some later: it says so, and another connection would not help."""
        return not self.over and not self._under_way and self.room <= 0

    def send(self, exchange: Exchange) -> None:
        """Sends the request, and stamps it."""
        number = self._h2.get_next_available_stream_id()
        exchange.connection, self._under_way[number] = Stream(self, number), exchange
        head, self._left[number] = headed(exchange.request, tls=self._pool.place.tls)
        exchange.sends()
        self._h2.send_headers(number, head)
        self._push(number)
        self._flush()

    def _push(self, number: int) -> None:
        """As much of a request's body as the server has room for."""
        while (left := self._left.get(number)) is not None:
            room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
            if room <= 0:
                return
            self._h2.send_data(number, left[:room], end_stream=len(left) <= room)
            if len(left) <= room:
                del self._left[number]
            else:
                self._left[number] = left[room:]

    def data_received(self, data: bytes) -> None:
        """Takes the framing off; what the bytes say is read later."""
        came_ns = self._stamped.came_ns
        if not self.settled.done() and data.startswith(b"HTTP/"):  # to h2 that is the beginning of a very long frame
            return self._lose(NOT_SPOKEN)
        try:
            for event in self._h2.receive_data(data):
                self._take(event, came_ns)
        except ProtocolError as error:
            self._lose(NOT_SPOKEN if not self.settled.done() else f"not-http2: {type(error).__name__}: {error}")
        return self._flush()

    def _take(self, event: events.Event, came_ns: int) -> None:
        match event:
            case events.RemoteSettingsChanged():
                if not self.settled.done():
                    self.settled.set_result(None)
                self._pool.serve()  # it may take more now
            case events.WindowUpdated():
                for number in list(self._left):
                    self._push(number)
            case events.ConnectionTerminated():
                self._leave(event.last_stream_id or 0)
            case events.ResponseReceived() | events.DataReceived() | events.StreamEnded() | events.StreamReset():
                self._answer(event, came_ns)

    def _answer(self, event: events.ResponseReceived | events.DataReceived | events.StreamEnded | events.StreamReset, came_ns: int) -> None:
        number = event.stream_id
        assert number is not None
        if isinstance(event, events.DataReceived) and event.flow_controlled_length:
            self._h2.acknowledge_received_data(event.flow_controlled_length, number)
        if (exchange := self._under_way.get(number)) is None:
            return
        match event:
            case events.ResponseReceived():
                told = {str(name): str(value) for name, value in event.headers or ()}
                exchange.response.status, exchange.response.headers = _status(told), told
            case events.DataReceived(data=bytes() as data):
                exchange.pieces.append((came_ns, data))
                exchange.bytes += len(data)
                if exchange.bytes > exchange.most_bytes:
                    self.give_up(number, f"endless: {exchange.bytes} bytes came, and no end; the answer was given up")
            case events.StreamEnded():
                exchange.closed_ns = came_ns
                self._end(number, None)
            case events.StreamReset():
                self._end(number, f"cut: the server ended the stream before the answer ({event.error_code!r})")

    def give_up(self, number: int, failure: str) -> None:
        """Ends a request that is under way, and tells the server."""
        with suppress(ProtocolError):
            self._h2.reset_stream(number, ErrorCodes.CANCEL)
        self._end(number, failure)
        self._flush()

    def _end(self, number: int, failure: str | None) -> None:
        if self._left.pop(number, None) is not None:  # answered before it was asked to its end: the stream is open on this side
            with suppress(ProtocolError):
                self._h2.reset_stream(number, ErrorCodes.CANCEL)
        if exchange := self._under_way.pop(number, None):
            exchange.end(failure)
        self._pool.serve()

    def _leave(self, last: int) -> None:
        """The server takes no more: what it has not begun goes another way."""
        self.over = True
        for number in [number for number in self._under_way if number > last]:
            self._left.pop(number, None)
            self._pool.send_again(self._under_way.pop(number))

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends what was under way."""
        self._lose(f"cut: the connection ended before the answer did{f' ({exc})' if exc else ''}")

    def _lose(self, failure: str) -> None:
        self.over = True
        self._pool.forget(self)
        if not self.settled.done():
            self.settled.set_exception(Unreached(failure))
        for number in list(self._under_way):
            self._end(number, failure)
        self.abort()

    def abort(self) -> None:
        """Ends the connection."""
        if self._transport:
            self._transport.abort()

    def _flush(self) -> None:
        if (told := self._h2.data_to_send()) and self._transport and not self._transport.is_closing():
            self._transport.write(told)


class Streams:
    """The connections to a place, where `asks` allows it, each with `most` requests at a time, or as many as the server takes."""

    def __init__(self, place: Place, *, asks: Askable, context: ssl.SSLContext | None = None, most: int | None = None) -> None:
        self.place, self.most = place, most or MANY
        self._asks = asks
        self._context = (context or ssl.create_default_context()) if place.tls else None
        if self._context:
            self._context.set_alpn_protocols([SPEAKS])
        self._all: list[Connection] = []
        self._waiting: deque[Exchange] = deque()
        self._making: set[asyncio.Task[None]] = set()

    def send(self, exchange: Exchange) -> None:
        """Sends at once where a connection has room, else as soon as one has."""
        self._waiting.append(exchange)
        self.serve()

    def send_again(self, exchange: Exchange) -> None:
        """So too, what a connection has left; so often and no more, for a server may leave for ever."""
        exchange.left += 1
        if exchange.left < MOST_LEFT:
            self.send(exchange)
        else:
            exchange.end(LEFT)

    def serve(self) -> None:
        """Sends what waits where there is room, and makes connections for the rest, unless the server takes none now."""
        for connection in self._all:
            while self._waiting and connection.room > 0:
                if not (exchange := self._waiting.popleft()).ended:
                    connection.send(exchange)
        while self._waiting and self._waiting[0].ended:
            self._waiting.popleft()
        while not self._waits and len(self._waiting) > len(self._making) * self.most:
            task = asyncio.get_running_loop().create_task(self._connect(self._waiting[len(self._making) * self.most]))
            self._making.add(task)

    @property
    def _waits(self) -> bool:
        return any(connection.waits for connection in self._all)

    async def _connect(self, exchange: Exchange) -> None:
        try:
            connection, exchange.connect_ns, exchange.tls_ns = await opened(
                self.place, lambda stamped: Connection(self, stamped), asks=self._asks, context=self._context
            )
            began_ns = time.perf_counter_ns()
            async with asyncio.timeout(CONNECT_S):
                await connection.begin()
            exchange.connect_ns += time.perf_counter_ns() - began_ns
            self._keep(connection, exchange)
        except Unreached as error:
            exchange.end(str(error))
        except TimeoutError:
            exchange.end(NOT_SPOKEN)
        finally:
            self._making.discard(asyncio.current_task())
        with suppress(ValueError):
            if exchange.ended:
                self._waiting.remove(exchange)
        self.serve()

    def _keep(self, connection: Connection, exchange: Exchange) -> None:
        """Keeps it, unless it was over as it began: then it has left the request that it was made for."""
        if not connection.over:
            self._all.append(connection)
            return
        connection.abort()
        exchange.left += 1
        if exchange.left >= MOST_LEFT:
            exchange.end(LEFT)

    def forget(self, connection: Connection) -> None:
        """It is gone."""
        if connection in self._all:
            self._all.remove(connection)

    async def close(self) -> None:
        """Ends them all."""
        self._waiting.clear()
        for task in self._making:
            task.cancel()
        await asyncio.gather(*self._making, return_exceptions=True)
        for connection in list(self._all):
            connection.abort()


def _status(told: Mapping[str, str]) -> int:
    """The status of a response. Raises: ProtocolError where it is none."""
    if not STATUS.fullmatch(status := told.get(":status", "")):
        raise ProtocolError(f"no status of a response: {status[:40]!r}")
    return int(status)


def headed(request: bytes, *, tls: bool) -> tuple[list[tuple[str, str]], bytes]:
    """A whole request's headers, as HTTP/2 has them, and its body."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split(" ")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    start = [(":method", method), (":scheme", "https" if tls else "http"), (":authority", fields.pop("host")), (":path", path)]
    return [*start, *fields.items()], body
