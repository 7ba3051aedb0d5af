"""A process's own /metrics, /healthz and /readyz, served from a thread, so that they answer when its event loop does not.

/healthz: the event loop turns. /readyz: the process does its work and waits for nothing.
"""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from infra import metrics
from infra.settings import Settings

STUCK_S = 5.0
Answer = tuple[int, str, bytes]


async def observed(settings: Settings, working: Callable[[Settings], Awaitable[None]]) -> None:
    """Runs a process's work, with its state served at ASSAY_METRICS meanwhile; nowhere, where that is empty."""
    if not settings.metrics:
        await working(settings)
        return
    host, _, port = settings.metrics.rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), partial(_Handler, asyncio.get_running_loop()))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    try:
        await working(settings)
    finally:
        server.shutdown()
        server.server_close()


def exposition() -> tuple[str, bytes]:
    """The metrics as Prometheus reads them: media type and text."""
    return CONTENT_TYPE_LATEST, generate_latest(metrics.REGISTRY)


def _metrics() -> Answer:
    return 200, *exposition()


def _ready() -> Answer:
    waiting = {what: round(waited_s, 1) for what, waited_s in metrics.waits().items()}
    ready = metrics.is_ready()
    return 200 if ready else 503, "application/json", json.dumps({"ready": ready, "waits_for_s": waiting}).encode()


def _alive(loop: asyncio.AbstractEventLoop) -> Answer:
    try:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(STUCK_S)
    except (TookTooLong, RuntimeError):
        return 503, "application/json", json.dumps({"alive": False, "reason": f"the event loop has not turned for {STUCK_S} s"}).encode()
    return 200, "application/json", b'{"alive": true}'


class _Handler(BaseHTTPRequestHandler):
    """The three routes. Who asks has so many seconds for each line of it."""

    timeout = STUCK_S

    def __init__(self, loop: asyncio.AbstractEventLoop, *given: object) -> None:
        self._routes: dict[str, Callable[[], Answer]] = {"/metrics": _metrics, "/readyz": _ready, "/healthz": partial(_alive, loop)}
        super().__init__(*given)  # type: ignore[arg-type]  # socket, address and server, as http.server passes them

    def do_GET(self) -> None:  # http.server's name
        """Answers."""
        route = self._routes.get(self.path.partition("?")[0])
        status, kind, body = route() if route else (404, "text/plain", b"there are /metrics, /healthz and /readyz\n")
        with suppress(ConnectionError):  # who asked has gone
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Scrapes are not logged."""
