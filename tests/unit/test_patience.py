"""Whoever sends a request slowly, or never whole, keeps no connection for long; whoever listens long does."""

import asyncio
import selectors
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from infra.patience import Patient

PATIENCE_S = 0.2  # below uvicorn's own for a connection that is not used
QUIET_S = 0.02  # in this time what one end wrote has come to the other, both being here


class Impatient(Patient):
    """The same within a test's time."""

    patience_s = PATIENCE_S


class Waited(selectors.DefaultSelector):
    """Time goes on only where nothing comes: then at once by as much as would have been waited, however long the machine stands still."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What came; a wait without end is one for another thread's work."""
        found = super().select(timeout if timeout is None else min(timeout, QUIET_S))
        if not found and timeout:
            self.now += timeout
        return found


def timeless() -> asyncio.AbstractEventLoop:
    """A loop whose time is what was waited in it."""
    waited = Waited()
    loop = asyncio.SelectorEventLoop(waited)
    loop.time = lambda: waited.now  # type: ignore[method-assign]
    return loop


async def counted(request: Request) -> Response:
    """How much came."""
    return Response(str(len(await request.body())))


async def long(_request: Request) -> Response:
    """An answer that takes longer than a request may."""

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(4):
            await asyncio.sleep(PATIENCE_S / 2)
            yield b"x"

    return StreamingResponse(parts())


def told(*pieces: bytes, pause_s: float = 0.0) -> bytes:
    """What a server answers to what is sent so, up to the end of the connection."""

    async def act() -> bytes:
        routes = [Route("/", counted, methods=["GET", "POST"]), Route("/long", long)]
        with socket.create_server(("127.0.0.1", 0)) as listening:
            config = uvicorn.Config(Starlette(routes=routes), http=Impatient, log_level="critical", lifespan="off")
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            try:
                reader, writer = await asyncio.open_connection(*listening.getsockname())
                reading = asyncio.create_task(reader.read())
                for piece in pieces:
                    if not reading.done():
                        writer.write(piece)
                        await asyncio.sleep(pause_s)
                answer = await reading
                writer.close()
                return answer
            finally:
                server.should_exit = True
                await serving

    with asyncio.Runner(loop_factory=timeless) as runner:
        return runner.run(act())


@pytest.mark.parametrize(
    "pieces",
    [(), (b"GET / HT",), (b"GET / HTTP/1.1\r\nHost: a\r\n",), (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1",)],
    ids=["nothing", "half a line", "half a head", "half a body"],
)
def test_a_request_that_does_not_come_ends(pieces: tuple[bytes, ...]) -> None:
    """With a word, where there is still nothing else to say."""
    answer = told(*pieces)
    assert answer.startswith(b"HTTP/1.1 408 ") and b'"code": "too-slow"' in answer


def test_a_byte_now_and_then_is_no_way_to_stay() -> None:
    """The time is the whole request's, and not each byte's."""
    pieces = [bytes([one]) for one in b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: aaaaaaaa"]
    assert b" 408 " in told(*pieces[:12], pause_s=PATIENCE_S / 6.5)  # none comes as the time ends


def test_an_answer_may_take_its_time() -> None:
    """A listener is not cut; the connection ends later, without a word, where no other request comes."""
    answer = told(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.count(b"1\r\nx\r\n") == 4 and b" 408 " not in answer


def test_who_asks_again_and_again_is_answered_each_time() -> None:
    """Also where the next request comes with the one before."""
    one = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    assert told(one, one, one + one, pause_s=PATIENCE_S / 2).count(b"HTTP/1.1 200 ") == 4
    assert told(one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")).count(b"HTTP/1.1") == 1
