"""HTTP as uvicorn speaks it, with an end to waiting: who does not bring a whole request in its time loses the connection.

uvicorn waits for ever for a head or a body that never ends, so that whoever opens connections and sends a byte now and then (slowloris)
takes them from all others. How large either may be is bounded elsewhere: a head by h11 (64 KiB), a body by who reads it.
"""

import asyncio
import json
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_S: Final = 30.0  # 1 MiB, the most that a body may have, on a line of 300 kbit/s
COMING: Final = (h11.IDLE, h11.SEND_BODY)  # states of a client whose request is not whole
TOO_SLOW: Final = json.dumps(
    {"type": "urn:assay:too-slow", "title": "Too slow", "status": 408, "code": "too-slow",
     "detail": f"no whole request came within {REQUEST_S:.0f} s; send it again"}
).encode()  # fmt: skip


class Patient(H11Protocol):
    """A connection. Its request must be whole, head and body, `patience_s` after it was opened or has answered the one before."""

    patience_s = REQUEST_S
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begins to wait."""
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        """Waits no longer where the request is whole."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Waits for the next one."""
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits for nothing."""
        super().connection_lost(exc)
        self._stop()

    def _look(self) -> None:
        if self.conn.their_state not in COMING:
            self._stop()
        elif self._late is None:
            self._late = self.loop.call_later(self.patience_s, self._give_up)

    def _stop(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        """Ends the connection; where no answer has begun, it is that the request was too slow."""
        if self.transport.is_closing():
            return
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and not (self.cycle and self.cycle.response_started):
            kind, size = (b"content-type", b"application/problem+json"), (b"content-length", str(len(TOO_SLOW)).encode())
            answer = h11.Response(status_code=408, headers=[kind, size, (b"connection", b"close")], reason=b"Request Timeout")
            for event in (answer, h11.Data(data=TOO_SLOW), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
