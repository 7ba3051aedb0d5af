"""The server of known delays over HTTP/2: each stream is answered as a connection of HTTP/1.1 is, by the same code, frame for chunk."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError, StreamClosedError

from gpu_agent.workloads.http1 import Response

Handle = Callable[["Stream", tuple[str, str], Mapping[str, str], bytes, int], Callable[[], None] | None]


@dataclass(slots=True)
class Asked:
    """A request that comes in."""

    first_ns: int
    headers: Mapping[str, str]
    body: bytearray = field(default_factory=bytearray)


class Stream(asyncio.Transport):
    """One stream, as what a connection of HTTP/1.1 is to whoever answers: its bytes go out as frames."""

    def __init__(self, of: "Connection", number: int) -> None:
        super().__init__()
        self._of, self._number, self._read, self._headed = of, number, Response(), False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Sends what HTTP/1.1 would."""
        body = self._read.feed(bytes(data))
        if self._read.status and not self._headed:
            self._headed = True
            kept = ((name, value) for name, value in self._read.headers.items() if name != "transfer-encoding")
            self._of.head(self._number, [(":status", str(self._read.status)), *kept])
        self._of.data(self._number, body, last=self._read.finished)

    def get_write_buffer_size(self) -> int:
        """Bytes that the client gives no leave to send."""
        return self._of.held(self._number)

    def abort(self) -> None:
        """Ends the stream."""
        self._of.reset(self._number)


class Connection(asyncio.Protocol):
    """One client's connection. `handle` answers a request: its stream, its method and path, headers, body, and when its first byte came."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._asked: dict[int, Asked] = {}
        self._lost: dict[int, Callable[[], None]] = {}
        self._held: dict[int, bytes] = {}
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Speaks."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._h2.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Answers each request when it is whole."""
        came_ns = time.perf_counter_ns()
        for event in self._h2.receive_data(data):
            match event:
                case events.RequestReceived(stream_id=int() as number):
                    self._asked[number] = Asked(came_ns, {str(name): str(value) for name, value in event.headers or ()})
                case events.DataReceived(stream_id=int() as number, data=bytes() as body):
                    self._asked[number].body += body
                    self._h2.acknowledge_received_data(event.flow_controlled_length or 0, number)
                case events.StreamEnded(stream_id=int() as number):
                    self._answer(number, self._asked.pop(number))
                case events.StreamReset(stream_id=int() as number):
                    self._gone(number)
        self._flush()

    def _answer(self, number: int, asked: Asked) -> None:
        told = asked.headers
        lost = self._handle(Stream(self, number), (told[":method"], told[":path"]), told, bytes(asked.body), asked.first_ns)
        if lost:
            self._lost[number] = lost

    def _gone(self, number: int) -> None:
        self._held.pop(number, None)
        if lost := self._lost.pop(number, None):
            lost()

    def connection_lost(self, exc: Exception | None) -> None:
        """What was under way ends here."""
        self._transport = None
        for number in list(self._lost):
            self._gone(number)

    def head(self, number: int, headers: list[tuple[str, str]]) -> None:
        """Sends an answer's headers."""
        with suppress(ProtocolError):
            self._h2.send_headers(number, headers)
        self._flush()

    def data(self, number: int, body: bytes, *, last: bool) -> None:
        """Sends some of an answer's body. The windows of who measures are never full; of others the rest is held, and told as blocked."""
        with suppress(StreamClosedError):
            if self._held.get(number) or len(body) > self._h2.local_flow_control_window(number):
                self._held[number] = self._held.get(number, b"") + body
            else:
                for start in range(0, len(body), self._h2.max_outbound_frame_size):
                    self._h2.send_data(number, body[start : start + self._h2.max_outbound_frame_size])
            if last:
                self._h2.end_stream(number)
        self._flush()

    def held(self, number: int) -> int:
        """Bytes of a stream that wait."""
        return len(self._held.get(number, b""))

    def reset(self, number: int) -> None:
        """Ends a stream, without a reason."""
        with suppress(ProtocolError):
            self._h2.reset_stream(number, ErrorCodes.INTERNAL_ERROR)
        self._gone(number)
        self._flush()

    def _flush(self) -> None:
        if (told := self._h2.data_to_send()) and self._transport:
            self._transport.write(told)
