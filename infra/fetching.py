"""A file fetched over HTTP, whole or not at all: resumed where it was cut, and held to its hash before it gets its name."""

import hashlib
import shutil
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import httpx

from streams.errors import Invalid, Unavailable

TRIES: Final = 5
PAUSE_S: Final = 0.5
PATIENCE_S: Final = 60.0
# How many bytes are here, of how many (0: not told).
Told = Callable[[int, int], None]


def fetch(url: str, into: Path, *, sha256: str, told: Told) -> None:
    """Fetches a file to that path; what an earlier try got stays beside it as `.part`, and is gone on from.

    Raises: Unavailable where the source cannot be reached or breaks off time after time; Invalid where it gives another file.
    """
    part = into.with_name(f"{into.name}.part")
    into.parent.mkdir(parents=True, exist_ok=True)
    if url.startswith("file:"):
        shutil.copyfile(unquote(urlsplit(url).path), part)
    else:
        _download(url, part, told=told)
    keep(part, into, sha256=sha256, refusal=lambda found: f"{found} where it was fetched, not {sha256}: it was not kept; try again")


def keep(part: Path, into: Path, *, sha256: str, refusal: Callable[[str], str]) -> None:
    """Gives a part its name where its hash is right, and removes it where not: `refusal` tells of the hash that it has. Raises: Invalid."""
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        part.unlink()
        raise Invalid(f"{into.name} has the hash {refusal(found)}", code="hash")
    part.rename(into)


def _download(url: str, part: Path, *, told: Told) -> None:
    stuck, had = 0, -1
    while True:
        try:
            return _go_on(url, part, told=told)
        except httpx.HTTPError as error:
            here = part.stat().st_size if part.exists() else 0
            stuck, had = (stuck + 1 if here <= had else 1), here
            if stuck >= TRIES or (isinstance(error, httpx.HTTPStatusError) and error.response.is_client_error):
                raise Unavailable(
                    f"{urlsplit(url).path.rsplit('/', 1)[-1]} cannot be fetched: {error}; {here:,} bytes are kept, and the same command "
                    "goes on from there", code="fetch",
                ) from error  # fmt: skip
            time.sleep(PAUSE_S * stuck)


def _go_on(url: str, part: Path, *, told: Told) -> None:
    """What is left of the file, behind what is here. Source: RFC 9110, 14.2 (Range)."""
    here = part.stat().st_size if part.exists() else 0
    asked = {"Range": f"bytes={here}-", "Accept-Encoding": "identity"} if here else {"Accept-Encoding": "identity"}
    with httpx.stream("GET", url, headers=asked, timeout=PATIENCE_S, follow_redirects=True) as answer:
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
