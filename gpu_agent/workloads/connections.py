"""Connections to one server, each with one request at a time: kept and used again, and made anew where none is free.

Bytes are stamped the moment they come (stamped.py), before anything is made of them.
"""

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from gpu_agent.workloads.asking import Place
from gpu_agent.workloads.http1 import Malformed, Response
from gpu_agent.workloads.stamped import Stamped, connected
from infra.addresses import Askable
from streams.errors import Invalid

P = TypeVar("P", bound=asyncio.Protocol)
CONNECT_S = 30.0
OURS = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL}  # open files, ports: this machine's limits, not the server's
STALE_NS = 10**9  # a server may close what lies idle for so long, while the next request is on its way


class Carrier(Protocol):
    """What a request is under way on."""

    def drop(self, failure: str) -> None:
        """Ends the request."""


@dataclass(slots=True)
class Exchange:
    """A request under way and what has come of its answer. `over` is called once, when no more can come.

    `failure` says why the answer is not whole; `most_bytes` bounds one that never ends. `last_ns`: since when patience counts, which is
    from when it was first sent, or from the last text that was looked for and found. `left`: by how many connections it was left.
    """

    request: bytes
    most_bytes: int
    over: Callable[["Exchange"], None]
    response: Response = field(default_factory=Response)
    pieces: list[tuple[int, bytes]] = field(default_factory=list)
    sent_ns: int = 0
    last_ns: int = 0
    closed_ns: int = 0
    connect_ns: int | None = None
    tls_ns: int | None = None
    failure: str | None = None
    connection: "Carrier | None" = None
    bytes: int = 0
    left: int = 0
    ended: bool = False

    def sends(self) -> None:
        """Stamps that it is being sent."""
        sent_ns = time.perf_counter_ns()
        self.last_ns = self.last_ns if self.sent_ns else sent_ns
        self.sent_ns = sent_ns

    def end(self, failure: str | None = None) -> None:
        """Ends it, once."""
        if not self.ended:
            self.ended, self.failure, self.closed_ns = True, failure, self.closed_ns or time.perf_counter_ns()
            self.over(self)


class Unreached(Exception):
    """No connection was made: the failure of the request that it was for."""


class Connection(asyncio.Protocol):
    """One connection."""

    def __init__(self, pool: "Connections", stamped: Stamped) -> None:
        self._pool, self._stamped = pool, stamped
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._idle_ns = self.kept_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, exchange: Exchange) -> None:
        """Sends the request, and stamps it."""
        assert self._transport is not None
        self._exchange, exchange.connection = exchange, self
        exchange.sends()
        self._idle_ns = exchange.sent_ns - self.kept_ns if self.kept_ns else 0
        self._transport.write(exchange.request)

    def data_received(self, data: bytes) -> None:
        """Takes the framing off; what the bytes say is read later."""
        came_ns, exchange = self._stamped.came_ns, self._exchange
        if exchange is None:  # nobody asked: whatever it is, it is no answer to the next request
            self._pool.forget(self)
            self.abort()
            return
        try:
            body = exchange.response.feed(data)
        except Malformed as error:
            return self._finish(f"not-http: {error}")
        exchange.bytes += len(data)  # not of the body alone: a chunk without end is no body until it has one
        if body:
            exchange.pieces.append((came_ns, body))
        if exchange.response.finished:
            exchange.closed_ns = came_ns
            self._finish(None)
        elif exchange.bytes > exchange.most_bytes:
            self._finish(f"endless: {exchange.bytes} bytes came, and no end; the answer was given up")
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends what was under way; a connection that was kept for long, and closed meanwhile, is no failure of it."""
        self._transport = None
        self._pool.forget(self)
        exchange, self._exchange = self._exchange, None
        if exchange is None or exchange.ended:
            return
        if exc is None and exchange.response.closed():  # reset, or ended against TLS, it is not whole
            exchange.end()
        elif self._idle_ns > STALE_NS and not exchange.response.status:
            exchange.response = Response()
            self._pool.send(exchange)
        else:
            exchange.end(f"cut: the connection ended before the answer did{f' ({exc})' if exc else ''}")

    def abort(self) -> None:
        """Ends the connection."""
        if self._transport:
            self._transport.abort()

    def drop(self, failure: str) -> None:
        """Ends the request, and the connection with it."""
        self._finish(failure)

    def _finish(self, failure: str | None) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        if failure is None and exchange.response.reusable:
            self._pool.keep(self)
        elif self._transport:
            self._transport.abort()
        exchange.end(failure)


class Connections:
    """The connections to a place, where `asks` allows it. TLS is as the system trusts; `context` for another trust."""

    def __init__(self, place: Place, *, asks: Askable, context: ssl.SSLContext | None = None) -> None:
        self._place, self._asks = place, asks
        self._context = (context or ssl.create_default_context()) if place.tls else None
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._making: set[asyncio.Task[None]] = set()

    def send(self, exchange: Exchange) -> None:
        """Sends at once where a connection is free, else as soon as one is made."""
        if self._idle:
            self._idle.pop().send(exchange)
            return
        task = asyncio.get_running_loop().create_task(self._connect(exchange))
        self._making.add(task)
        task.add_done_callback(self._making.discard)

    async def _connect(self, exchange: Exchange) -> None:
        try:
            connection, exchange.connect_ns, exchange.tls_ns = await opened(
                self._place, lambda stamped: Connection(self, stamped), asks=self._asks, context=self._context
            )
        except Unreached as error:
            return exchange.end(str(error))
        self._all.add(connection)
        if exchange.ended:
            self.keep(connection)
        else:
            connection.send(exchange)
        return None

    def keep(self, connection: Connection) -> None:
        """It is free."""
        connection.kept_ns = time.perf_counter_ns()
        self._idle.append(connection)

    def forget(self, connection: Connection) -> None:
        """It is gone."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    async def close(self) -> None:
        """Ends them all."""
        for task in self._making:
            task.cancel()
        await asyncio.gather(*self._making, return_exceptions=True)
        for connection in list(self._all):
            connection.abort()


async def opened(place: Place, make: Callable[[Stamped], P], *, asks: Askable, context: ssl.SSLContext | None) -> tuple[P, int, int | None]:
    """A new connection to the place, and how long connecting and TLS took. Raises: Unreached."""
    loop, began, tls_ns = asyncio.get_running_loop(), time.perf_counter_ns(), None
    try:
        async with asyncio.timeout(CONNECT_S):
            stamped = await connected(place.host, place.port)
            stamped.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            transport, connection = await loop.create_connection(lambda: make(stamped), sock=stamped)
            _check(transport, place, asks)
            connect_ns = time.perf_counter_ns() - began
            if context:
                secured = await loop.start_tls(transport, connection, context, server_hostname=place.host)
                assert secured is not None
                connection.connection_made(secured)
                tls_ns = time.perf_counter_ns() - began - connect_ns
    except Invalid as error:
        raise Unreached(f"refused: {error}") from error
    except ssl.SSLError as error:
        raise Unreached(f"tls: {error}") from error
    except TimeoutError as error:
        raise Unreached(f"timeout: no connection within {CONNECT_S:.0f} s") from error
    except OSError as error:
        kind = "client-limit" if error.errno in OURS else "connection"
        raise Unreached(f"{kind}: {type(error).__name__}: {error}") from error
    return connection, connect_ns, tls_ns


def _check(transport: asyncio.BaseTransport, place: Place, asks: Askable) -> None:
    """Raises: Invalid where what the name stands for is no address that is asked; nothing was sent to it then."""
    try:
        asks.check_reached(transport.get_extra_info("peername")[0], url=place.host)
    except Invalid:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()
        raise
