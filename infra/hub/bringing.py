"""Bringing a model here: from the cache without a network, else fetched from the hub.

What is brought is pinned to a commit and stays, whoever evicts, until who asked for it is done with it.
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from infra.adapters import adapted
from infra.credentials import key_of
from infra.fetching import Told, told_when_full
from infra.hub import choosing, index
from infra.hub.brought import Brought
from infra.hub.cache import GB, Cache, Lease, Manifest, Place, bytes_in
from infra.hub.files import fetch_all
from infra.hub.index import Asker, File, Listing
from infra.hub.sharing import Peers
from infra.places import is_there, nameable
from infra.settings import Settings
from infra.trust import trusted
from schemas.jobs import Origin
from schemas.requests import ModelRef
from streams import licences
from streams.errors import Invalid, Unavailable
from streams.hub_names import Named, named

WAIT_S: Final = 0.1
MARGIN_BYTES: Final = 64 * 2**20  # what is left free on the disk


def bring(model: ModelRef, *, settings: Settings, credential: str | None = None, told: Told = lambda here, whole: None,
          anew: bool = False, taken: Sequence[str] = ()) -> Brought:  # fmt: skip
    """The model, and of an adapter its base too. One that lies here by its own path, or that no hub can have, is given back as it is; by
    a path into the cache it is the hub's.

    `anew`: the hub is asked which commit the revision means today. `told` may raise, which ends the fetching. `taken`: licences under
    one of which the hub must say that the model is, before it is fetched; a hub that says nothing leaves it to who reads the model's card.

    Raises: NotFound, Invalid, Unavailable, in words that say what to do.
    """
    bringing = _Bringing(settings, Cache(settings), credential, told, anew)
    brought = bringing.one(model, taken=taken)
    try:
        if (base := _base(brought)) is not None:
            brought.hold(bringing.one(base))
    except BaseException:
        brought.close()
        raise
    return brought


def _base(brought: Brought) -> ModelRef | None:
    """The model under an adapter."""
    folder = brought.folder or Path(brought.model.uri).expanduser()
    adapter = adapted(folder) if nameable(folder) and folder.is_dir() else None
    name = brought.model.base or (adapter.base if adapter else None)
    if adapter is None or name is None:
        return None
    return ModelRef(uri=name, revision=None if brought.model.base else adapter.revision, trust_code=brought.model.trust_code)


@dataclass(frozen=True, slots=True)
class _Bringing:
    """For whom, where to, and who is told."""

    settings: Settings
    cache: Cache
    credential: str | None
    told: Told
    anew: bool

    def one(self, model: ModelRef, *, taken: Sequence[str] = ()) -> Brought:
        """The model alone."""
        model, name = _as_there(model, self.cache)
        if name is None:
            return Brought(model)
        asker = Asker(self.credential, key_of(self.credential, index.endpoint()))
        known = name.commit if self.anew else self.cache.commit_of(name)
        if known and (here := self._here(model, name, known, asker=asker)):
            return here
        began_ns = time.perf_counter_ns()
        listing = index.listing(replace(name, revision=known or name.revision), asker)
        if listing.licence is not None:
            licences.check(listing.licence, taken=taken, model=model.uri)
        if listing.restricted:
            index.check_access(name, asker)
        fetched = given = 0
        while (here := self._here(model, name, listing.commit, asker=asker)) is None:
            came, of_peers = self._fetch(listing, asker, trust=trusted(model, self.settings))
            fetched, given = fetched + came, given + of_peers
        if name.commit is None:
            self.cache.refer(name, listing.commit)
        here.download_ns = time.perf_counter_ns() - began_ns
        if here.origin is not None:
            here.origin = here.origin.model_copy(update={"fetched_bytes": fetched, "peer_bytes": given})
        return here

    def _here(self, model: ModelRef, name: Named, commit: str, *, asker: Asker) -> Brought | None:
        """The model out of the cache, for who may have it; None where it is not whole."""
        place = self.cache.place(name, commit)
        if not place.lock.exists():
            return None
        lease = self._lease(place)
        try:
            if (manifest := place.manifest()) is None:
                lease.close()
                return None
            if choosing.is_pickled(tuple(manifest.files)) and not trusted(model, self.settings):
                raise choosing.refusal(name.repository)
            if manifest.restricted and asker.name not in manifest.opened_by:
                index.check_access(name, asker)
                place.write(replace(manifest, opened_by=(*manifest.opened_by, *filter(None, [asker.name]))))
        except BaseException:
            lease.close()
            raise
        origin = Origin(hub=manifest.source, repository=manifest.repository, commit=commit)
        brought = Brought(model.model_copy(update={"revision": commit}), origin, manifest.licence, place.folder)
        brought.hold(lease)
        return brought

    def _lease(self, place: Place, *, alone: bool = False) -> Lease:
        """A lock on the model, once whoever fetches it is done."""
        while True:
            try:
                return Lease(place, alone=alone)
            except BlockingIOError:
                self.told(0, 0)
                time.sleep(WAIT_S)

    def _fetch(self, listing: Listing, asker: Asker, *, trust: bool) -> tuple[int, int]:
        """Fetches what of the model is not here yet; how many bytes came, and how many of them from other agents."""
        place, files = self.cache.place(listing.named, listing.commit), choosing.wanted(listing, trusted=trust)
        lease = self._lease(place, alone=True)
        try:
            if place.manifest() is not None:  # another process was quicker
                return 0, 0
            size = sum(one.size_bytes for one in files)
            with told_when_full(place.folder):
                self.cache.reserve(place, lease, size_bytes=size)
                before = bytes_in(place.folder)
                _check_disk(place, size - before)
                given = fetch_all(listing, files, asker, peers=Peers(self.settings.peers), into=place.folder, told=self.told)
                place.write(_manifest(listing, files, asker))
            return size - before, given
        finally:
            lease.close()


def _as_there(model: ModelRef, cache: Cache) -> tuple[ModelRef, Named | None]:
    """A model as its hub names it, by that name or by its path in the cache, so that it is had by who may have it; None: no hub has it.

    Raises: Invalid.
    """
    at = cache.named_at(model.uri)
    if at is None:
        return model, None if is_there(model.uri) else named(model)
    if model.revision not in (None, at.revision):
        raise Invalid(f"{model.uri} is {at.uri} at {at.revision}, and not at {model.revision}: leave one out", code="model-revision")
    return model.model_copy(update={"uri": at.uri, "revision": at.revision}), at


def _manifest(listing: Listing, files: Sequence[File], asker: Asker) -> Manifest:
    return Manifest(
        repository=listing.named.repository, commit=listing.commit, source=index.endpoint(), licence=listing.licence,
        restricted=listing.restricted, files={one.name: one.sum.value for one in files if one.sum},
        opened_by=tuple(filter(None, [asker.name])) if listing.restricted else (),
    )  # fmt: skip


def _check_disk(place: Place, size_bytes: int) -> None:
    """Raises: Unavailable where the disk has no room for so much."""
    free = shutil.disk_usage(place.folder).free - MARGIN_BYTES
    if size_bytes > free:
        raise Unavailable(
            f"{size_bytes / GB:.2f} GB are to be fetched, and the disk of {place.folder} has room for {max(free, 0) / GB:.2f}: make room, "
            "or set ASSAY_HOME to a larger disk", code="disk-full",
        )  # fmt: skip
