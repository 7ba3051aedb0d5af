"""A file fetched over HTTP, whole or not at all: resumed where it was cut, and held to its hash before it gets its name."""

import errno
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import httpx

from infra.addresses import Askable
from streams.errors import Invalid, Unavailable

TRIES: Final = 5
PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 60.0
PATIENCE_S: Final = 60.0
PASSING: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)  # clients' errors that time mends
ASKS: Final = Askable(own=True)  # the settings name the source, which may be a mirror on this machine
FULL: Final = (errno.ENOSPC, errno.EDQUOT)
# How many bytes are here, of how many (0: not told).
Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Sum:
    """The hash that a file must have: its SHA-256, or, where `git`, the SHA-1 by which git names it.

    Source: git's object format, https://git-scm.com/book/en/v2/Git-Internals-Git-Objects (Object Storage).
    """

    value: str
    git: bool = False

    def of(self, path: Path) -> str:
        """The hash of that kind that a file has."""
        with path.open("rb") as file:
            if not self.git:
                return hashlib.file_digest(file, "sha256").hexdigest()
            digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
            while chunk := file.read(2**20):
                digest.update(chunk)
            return digest.hexdigest()


def fetch(url: str, into: Path, *, wanted: Sum, told: Told, key: str | None = None) -> None:
    """Fetches a file to that path; what an earlier try got stays beside it as `.part`, and is gone on from.

    `key` is shown to the address itself, and not to another host where that sends on to.

    Raises: Unavailable where the source cannot be reached or breaks off time after time, or the disk is full; Invalid where it gives
    another file (code hash), or none to who asks (code refused).
    """
    part = into.with_name(f"{into.name}.part")
    with told_when_full(into.parent):
        into.parent.mkdir(parents=True, exist_ok=True)
        if url.startswith("file:"):
            shutil.copyfile(unquote(urlsplit(url).path), part)
        else:
            _download(url, part, told=told, headers={"Authorization": f"Bearer {key}"} if key else {})
    keep(part, into, wanted=wanted, refusal=lambda found: f"{found} where it was fetched, not {wanted.value}: it was not kept; try again")


def keep(part: Path, into: Path, *, wanted: Sum, refusal: Callable[[str], str]) -> None:
    """Gives a part its name where its hash is right, and removes it where not: `refusal` tells of the hash that it has. Raises: Invalid."""
    found = wanted.of(part)
    if found != wanted.value:
        part.unlink()
        raise Invalid(f"{into.name} has the hash {refusal(found)}", code="hash")
    part.rename(into)


@contextmanager
def told_when_full(folder: Path) -> Iterator[None]:
    """Raises: Unavailable where the disk is full; what is here stays."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise Unavailable(f"the disk of {folder} is full: make room, and the same command goes on from there", code="disk-full") from error


def pause_s(headers: Mapping[str, str], *, tried: int) -> float:
    """How long to wait after so many tries: as long as the server says, else longer each time. Source: RFC 9110, 10.2.3 (Retry-After)."""
    asked = headers.get("retry-after", "")
    return min(float(asked), LONGEST_PAUSE_S) if asked.isdecimal() else PAUSE_S * tried


def _download(url: str, part: Path, *, told: Told, headers: Mapping[str, str]) -> None:
    stuck, had, name = 0, -1, urlsplit(url).path.rsplit("/", 1)[-1]
    while True:
        try:
            return _go_on(url, part, told=told, headers=headers)
        except httpx.HTTPError as error:
            here = part.stat().st_size if part.exists() else 0
            stuck, had = (stuck + 1 if here <= had else 1), here
            answer = error.response if isinstance(error, httpx.HTTPStatusError) else None
            if answer is not None and answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                raise Invalid(f"{name} is refused to who asks: {_words(error)}", code="refused") from error
            if stuck >= TRIES or (answer is not None and answer.is_client_error and answer.status_code not in PASSING):
                raise Unavailable(
                    f"{name} cannot be fetched: {_words(error)}; {here:,} bytes are kept, and the same command goes on from there",
                    code="fetch",
                ) from error
            time.sleep(pause_s(answer.headers if answer is not None else {}, tried=stuck))


def _words(error: httpx.HTTPError) -> str:
    """What happened, without the address: where a file lies may be told by a link that opens it to whoever has it."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"{error.response.status_code} {error.response.reason_phrase}"
    return str(error) or type(error).__name__


def _go_on(url: str, part: Path, *, told: Told, headers: Mapping[str, str]) -> None:
    """What is left of the file, behind what is here. Source: RFC 9110, 14.2 (Range)."""
    here = part.stat().st_size if part.exists() else 0
    asked = {**headers, "Accept-Encoding": "identity"} | ({"Range": f"bytes={here}-"} if here else {})
    with (
        httpx.Client(timeout=PATIENCE_S, follow_redirects=True) as client,
        client.stream("GET", url, headers=asked, extensions=ASKS.watching(url)) as answer,
    ):
        if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:  # all of it is here, or more: its hash will tell
            return
        answer.raise_for_status()
        if answer.status_code != HTTPStatus.PARTIAL_CONTENT:
            here = 0
        length = answer.headers.get("content-length")
        whole = here + int(length) if length else 0
        with part.open("ab" if here else "wb") as file:
            for chunk in answer.iter_raw():  # as it comes: what is gathered first would be lost where it breaks off
                file.write(chunk)
                here += len(chunk)
                told(here, whole)
