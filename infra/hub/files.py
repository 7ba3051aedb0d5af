"""The files of a model fetched, several at once, each held to the hash that its hub tells."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final

from infra.fetching import Told, fetch
from infra.hub import index
from infra.hub.index import Asker, File, Listing
from infra.hub.sharing import Peers
from streams.errors import Invalid, Unavailable

AT_ONCE: Final = 8


class _Progress:
    """How far all files together are; once one has failed, whoever tells of another is stopped."""

    def __init__(self, files: Sequence[File], told: Told) -> None:
        self._whole = sum(one.size_bytes for one in files)
        self._here: dict[str, int] = {}
        self._told = told
        self._lock = threading.Lock()
        self.stopped = False

    def of(self, file: File) -> Told:
        """Who is told how far that file is."""

        def told(here: int, whole: int) -> None:
            with self._lock:
                if self.stopped:
                    raise Unavailable("the fetching was ended", code="fetch-ended")
                self._here[file.name] = here
                self._told(sum(self._here.values()), self._whole)

        return told


def fetch_all(listing: Listing, files: Sequence[File], asker: Asker, *, peers: Peers, into: Path, told: Told) -> int:
    """Fetches several files at once; the first error ends all, and what has come stays. How many bytes came from `peers`."""
    progress = _Progress(files, told)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        fetching = [pool.submit(_fetch_one, listing, one, asker, peers=peers, into=into / one.name, told=progress.of(one)) for one in files]
        try:
            return sum(one.result() for one in as_completed(fetching))
        except BaseException:
            progress.stopped = True
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch_one(listing: Listing, file: File, asker: Asker, *, peers: Peers, into: Path, told: Told) -> int:
    """Fetches a file, unless it is here; one that comes with another hash than the hub says, once more. How much of it came from a peer.

    Raises: Invalid, Unavailable.
    """
    if file.sum is None:
        raise Invalid(f"{index.endpoint()} tells no hash of {file.name} of {listing.named.repository}; name another mirror", code="hash")
    told(into.stat().st_size if into.exists() else 0, 0)
    if not into.exists() and not listing.restricted and (given := _from_peers(file, peers, into=into, told=told)):
        return given
    for last in () if into.exists() else (False, True):
        try:
            fetch(listing.address(file), into, wanted=file.sum, told=told, key=asker.key)
            return 0
        except Invalid as error:
            if error.code == "refused":
                raise index.refused(listing.named, asker) from None
            if last:
                raise Invalid(
                    f"{file.name} of {listing.named.repository} came twice from {index.endpoint()} with another hash than it says "
                    f"({file.sum.value}): it is not kept; try again later, or name another mirror in HF_ENDPOINT", code="hash",
                ) from error  # fmt: skip
    return 0


def _from_peers(file: File, peers: Peers, *, into: Path, told: Told) -> int:
    """How many bytes came from the first peer that gave the file; 0 where none did. What came of it is gone on from elsewhere."""
    assert file.sum is not None
    part = into.with_name(f"{into.name}.part")
    for address in peers.having(file.sum.value):
        before = part.stat().st_size if part.exists() else 0
        try:
            fetch(address, into, wanted=file.sum, told=told)
        except (Invalid, Unavailable) as error:
            if error.code == "fetch-ended":
                raise
            continue
        return file.size_bytes - before
    return 0
