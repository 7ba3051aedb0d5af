"""A hub on this machine, as far as models are fetched from one: it cuts, corrupts, holds up, refuses, gates, and notes what it was asked.

Source: https://huggingface.co/docs/hub/api (GET /api/models/REPO/revision/REVISION, its `blobs`), and the headers that huggingface_hub 2.4
reads: X-Error-Code, X-Repo-Commit, X-Linked-Etag, X-Linked-Size, ETag.
"""

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE_BYTES = 4096  # files of this size and larger are LFS's: named by their SHA-256, and lying with another host
CHUNK_BYTES = 2**14


@dataclass(slots=True)
class Repository:
    """A model: its files by their names at each commit, the commits by the names of branches and tags, and whose token it wants."""

    commits: dict[str, Mapping[str, bytes]]
    references: dict[str, str]
    licence: str | None = None
    token: str | None = None
    private: bool = False


def repository(files: Mapping[str, bytes] | Path, **told: Any) -> Repository:
    """A repository with one commit, which is `main`."""
    read = {one.name: one.read_bytes() for one in files.iterdir() if one.is_file()} if isinstance(files, Path) else dict(files)
    commit = hashlib.sha1(repr(sorted(read.items())).encode(), usedforsecurity=False).hexdigest()
    return Repository({commit: read}, {"main": commit}, **told)


@dataclass(slots=True)
class Asked:
    """A request that came: its method and path, the bytes from which on it wanted a file, the token that it showed, and the host asked."""

    method: str
    path: str
    first_byte: int
    token: str | None
    host: str


@dataclass(slots=True)
class Hub:
    """What the server has, and how it misbehaves. Its faults are by names of files."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    refusals: list[tuple[int, dict[str, str]]] = field(default_factory=list)  # statuses and headers, each given once
    cut: dict[str, int] = field(default_factory=dict)  # a file's connection ends after so many bytes of each answer
    corrupt: dict[str, int] = field(default_factory=dict)  # so many answers have one byte turned
    bytes_per_s: float | None = None
    url: str = ""
    files_url: str = ""

    @property
    def fetched(self) -> list[str]:
        """The names of the files that were given, in the order in which they were asked for."""
        return [one.path.rsplit("/", 1)[-1] for one in self.asked if "/files/" in one.path or "/resolve/" in one.path]


@contextmanager
def serving(port: int = 0) -> Iterator[Hub]:
    """A hub at that port, 0 for any, and a host that its large files lie with."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    servers = [ThreadingHTTPServer(("127.0.0.1", at), handler) for at in (port, 0)]
    hub.url, hub.files_url = (f"http://127.0.0.1:{one.server_port}" for one in servers)
    threads = [threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01}) for one in servers]
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ") or None
        first = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        path = urlsplit(self.path).path
        self.hub.asked.append(Asked(self.command, path, first, token, f"http://{self.headers['Host']}"))
        if self.hub.refusals:
            status, headers = self.hub.refusals.pop(0)
            return self._say(status, headers)
        if path.startswith("/files/"):
            return self._give(path.removeprefix("/files/"), first)
        api = path.startswith("/api/models/")
        parts = [unquote(part) for part in path.removeprefix("/api/models/").strip("/").split("/")]
        name, what, more = "/".join(parts[:2]), parts[2] if parts[2:] else "revision", parts[3:]
        found = self.hub.repositories.get(name)
        if found is None or (found.private and token != found.token):
            return self._say(401 if token is None else 404, {"X-Error-Code": "RepoNotFound"})
        if what == "auth-check":
            return None if self._gate(found, token) else self._say(200)
        revision = more[0] if more else "main"
        commit = found.references.get(revision, revision)
        if commit not in found.commits:
            return self._say(404, {"X-Error-Code": "RevisionNotFound"})
        if what == "tree":
            return self._list(found, commit)
        return self._tell(name, found, commit) if api else self._resolve(found, commit, "/".join(more[1:]), token=token)

    def _gate(self, found: Repository, token: str | None) -> bool:
        """Whether the asker was refused."""
        if found.token is None or token == found.token:
            return False
        self._say(401 if token is None else 403, {"X-Error-Code": "GatedRepo"})
        return True

    def _tell(self, name: str, found: Repository, commit: str) -> None:
        files = [{"rfilename": file, "size": len(content)} | _named(content) for file, content in found.commits[commit].items()]
        told = {"id": name, "sha": commit, "private": found.private, "gated": "manual" if found.token and not found.private else False,
                "tags": [f"license:{found.licence}"] if found.licence else [], "siblings": files}  # fmt: skip
        self._say(200, {"Content-Type": "application/json"}, json.dumps(told).encode())

    def _list(self, found: Repository, commit: str) -> None:
        """As huggingface_hub's own downloader asks for the files."""
        told = [{"type": "file", "path": file, "size": len(content), "oid": _etag(content)} | (
                 {"lfs": {"size": len(content), "oid": _etag(content), "pointerSize": 130}} if len(content) >= LARGE_BYTES else {})
                for file, content in found.commits[commit].items()]  # fmt: skip
        self._say(200, {"Content-Type": "application/json"}, json.dumps(told).encode())

    def _resolve(self, found: Repository, commit: str, file: str, *, token: str | None) -> None:
        if self._gate(found, token):
            return
        content = found.commits[commit].get(file)
        if content is None:
            return self._say(404, {"X-Error-Code": "EntryNotFound"})
        told = {"X-Repo-Commit": commit, "ETag": f'"{_etag(content)}"'}
        if len(content) >= LARGE_BYTES:
            place = f"{self.hub.files_url}/files/{_etag(content)}/{file}"
            return self._say(302, told | {"Location": place, "X-Linked-Etag": f'"{_etag(content)}"', "X-Linked-Size": str(len(content))})
        self._say(200, told, content)

    def _give(self, path: str, first: int) -> None:
        digest, _, file = path.partition("/")
        content = next(one for repo in self.hub.repositories.values() for files in repo.commits.values() for one in files.values()
                       if _etag(one) == digest)  # fmt: skip
        if first >= len(content):
            return self._say(416, {"Content-Range": f"bytes */{len(content)}"})
        if self.hub.corrupt.get(file, 0) > 0:
            self.hub.corrupt[file] -= 1
            content = bytes([content[0] ^ 1]) + content[1:]
        self._say(206 if first else 200, {"Accept-Ranges": "bytes"}, content[first:], most=self.hub.cut.get(file))

    def _say(self, status: int, headers: Mapping[str, str] | None = None, content: bytes = b"", *, most: int | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        given = content[:most] if self.command == "GET" else b""
        for start in range(0, len(given), CHUNK_BYTES):
            self.wfile.write(given[start : start + CHUNK_BYTES])
            if self.hub.bytes_per_s:
                time.sleep(CHUNK_BYTES / self.hub.bytes_per_s)


def _etag(content: bytes) -> str:
    if len(content) >= LARGE_BYTES:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _named(content: bytes) -> dict[str, Any]:
    if len(content) < LARGE_BYTES:
        return {"blobId": _etag(content)}
    return {"blobId": "0" * 40, "lfs": {"size": len(content), "sha256": _etag(content), "pointerSize": 130}}
