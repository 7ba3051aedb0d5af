"""This machine's cached files, given to other agents over HTTP (GET /files/HASH, with ranges); and what other agents have, asked first.

A file is named by the hash that its hub tells, so that whoever fetches it need not trust who gives it. What is gated or private is given to
nobody: who gives knows no credential. What is given stays meanwhile, whoever evicts.
"""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import httpx

from infra.hub.cache import Cache
from infra.settings import Settings

FILES: Final = "/files/"
ASKED_S: Final = 2.0  # how long an agent may take to say whether it has a file


@contextmanager
def sharing(settings: Settings) -> Iterator[None]:
    """While it lasts, the cache's files are given at ASSAY_SHARE_MODELS; nowhere, where that is empty."""
    if not settings.share_models:
        yield
        return
    host, _, port = settings.share_models.rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), partial(_Handler, Cache(settings)))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="models", daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


class Peers:
    """The agents that ASSAY_PEERS names. One that does not answer is asked no more for this model."""

    def __init__(self, addresses: str) -> None:
        self._left = [one.strip().rstrip("/") for one in addresses.split(",") if one.strip()]

    def having(self, value: str) -> Iterator[str]:
        """Where the file of that hash is, agent by agent."""
        for address in list(self._left):
            try:
                told = httpx.head(f"{address}{FILES}{value}", timeout=ASKED_S)
            except (httpx.HTTPError, httpx.InvalidURL):
                with suppress(ValueError):  # another file's asker was quicker
                    self._left.remove(address)
                continue
            if told.status_code == HTTPStatus.OK:
                yield f"{address}{FILES}{value}"


class _Handler(BaseHTTPRequestHandler):
    """One route."""

    def __init__(self, cache: Cache, *given: object) -> None:
        self._cache = cache
        super().__init__(*given)  # type: ignore[arg-type]  # socket, address and server, as http.server passes them

    def do_HEAD(self) -> None:
        """Whether it is here."""
        self._answer(whole=False)

    def do_GET(self) -> None:
        """The file, from the byte on that is asked for."""
        self._answer(whole=True)

    def _answer(self, *, whole: bool) -> None:
        found = self._cache.file_of(self.path.removeprefix(FILES)) if self.path.startswith(FILES) else None
        with suppress(ConnectionError):  # who asked has gone
            if found is None:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            path, lease = found
            try:
                self._give(path, whole=whole)
            finally:
                lease.close()

    def _give(self, path: Path, *, whole: bool) -> None:
        """Source: RFC 9110, 14.2 (Range)."""
        asked, size = self.headers.get("Range", "").removeprefix("bytes=").removesuffix("-"), path.stat().st_size
        first = min(int(asked), size) if asked.isdecimal() else 0
        self.send_response(HTTPStatus.PARTIAL_CONTENT if first else HTTPStatus.OK)
        self.send_header("Content-Length", str(size - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
        self.end_headers()
        if whole:
            with path.open("rb") as file:
                file.seek(first)
                shutil.copyfileobj(file, self.wfile)

    def log_message(self, *_: object) -> None:
        """Not logged: who fetches logs it."""
