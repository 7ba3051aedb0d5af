"""Where models from a hub lie: a folder for each commit, whole once its manifest is written, within a limit.

Whoever reads a model holds a shared lock on it, whoever fetches or evicts it an exclusive one: locks end with their process, however it
ends. A lock's file tells how large its model is or will be, its time when the model was last used, and it stays when the model has gone.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from infra.machine import locked
from infra.settings import Settings
from streams.errors import Invalid, Unavailable
from streams.hub_names import COMMIT, GGUF, Named

GB: Final = 10**9
NEWEST: Final = "@newest"  # no revision is written so


@dataclass(frozen=True, slots=True)
class Manifest:
    """What lies in a model's folder, and where it came from. A `restricted` model is for the credentials of `opened_by` alone."""

    repository: str
    commit: str
    source: str
    licence: str | None
    restricted: bool
    files: dict[str, str] = field(default_factory=dict)
    opened_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model is, or will be, at one commit."""

    folder: Path

    @property
    def lock(self) -> Path:
        """The file that is locked."""
        return self.folder.with_name(f"{self.folder.name}.lock")

    @property
    def _manifest(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.manifest.json")

    def manifest(self) -> Manifest | None:
        """What lies there; None where the model is not whole."""
        try:
            told = json.loads(self._manifest.read_text())
        except FileNotFoundError:
            return None
        return Manifest(**told | {"opened_by": tuple(told["opened_by"])})

    def write(self, manifest: Manifest) -> None:
        """Says that the model is whole."""
        _write(self._manifest, json.dumps(asdict(manifest), indent=1))

    def remove(self) -> None:
        """Takes the model away: it is not whole from the first moment on."""
        self._manifest.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def size_bytes(self) -> int:
        """How much the disk holds for it, or will hold once it is fetched."""
        if not self.folder.is_dir():
            return 0
        told = self.lock.read_text() if self.lock.exists() else ""
        return max(bytes_in(self.folder), int(told) if told.isdecimal() else 0)


class Lease:
    """A lock on a model, until it is closed or its process has ended."""

    def __init__(self, place: Place, *, alone: bool = False) -> None:
        """Raises: BlockingIOError where others hold one that this would have to wait for."""
        place.lock.parent.mkdir(parents=True, exist_ok=True)
        self._file = place.lock.open("a+")
        try:
            fcntl.flock(self._file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise
        if not alone:
            os.utime(place.lock)

    def will_be(self, size_bytes: int) -> None:
        """Notes how large the model is going to be."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(str(size_bytes))
        self._file.flush()

    def close(self) -> None:
        """Lets others fetch or evict it."""
        self._file.close()


class Cache:
    """The models from hubs below a home."""

    def __init__(self, settings: Settings) -> None:
        self._root = settings.home.resolve() / "models" / "hub"
        self._limit = None if settings.model_cache_gb is None else int(settings.model_cache_gb * GB)

    def place(self, named: Named, commit: str) -> Place:
        """Where the model is, or will be."""
        return Place(self._root / named.repository / (f"{commit}.{named.file}" if named.file else commit))

    def named_at(self, path: str | Path) -> Named | None:
        """The hub's model, at its commit, whose folder, or own GGUF file, a path leads to; None where it leads out of the cache.

        Raises: Invalid where it leads to anything else in it: what lies there is for whom its hub lets have it.
        """
        try:
            found, root = Path(path).expanduser().resolve(), self._root.resolve()
        except (OSError, ValueError, RuntimeError):  # no path, or one that goes round
            return None
        if not found.is_relative_to(root):
            return None
        parts = found.relative_to(root).parts
        commit, _, file = parts[2].partition(".") if len(parts) in (3, 4) else ("", "", "")
        if not COMMIT(commit) or (file and not file.endswith(GGUF)) or parts[3:] not in ((), (file,)):
            raise Invalid(f"{path} lies among what was fetched from a hub: name the model as there, ORG/NAME@COMMIT", code="model-cache")
        return Named("/".join(parts[:2]), commit, file or None)

    def commit_of(self, named: Named) -> str | None:
        """The commit that its revision meant when it was last asked for; None where it never was."""
        reference = self._reference(named)
        return named.commit or (reference.read_text() if reference.exists() else None)

    def refer(self, named: Named, commit: str) -> None:
        """Notes which commit its revision means."""
        _write(self._reference(named), commit)

    def folder_of(self, named: Named) -> Path | None:
        """The folder of a model that is whole, or its GGUF file where that is named; None where it is not here."""
        commit = self.commit_of(named)
        place = self.place(named, commit) if commit else None
        if place is None or place.manifest() is None:
            return None
        return place.folder / named.file if named.file else place.folder

    @property
    def size_bytes(self) -> int:
        """How much all of it takes."""
        return sum(place.size_bytes for place in self._places())

    def file_of(self, value: str) -> tuple[Path, Lease] | None:
        """The file of that hash in a model that everybody may have, and a lock on the model; None where there is none."""
        for place in self._places():
            manifest = place.manifest()
            if manifest is None or manifest.restricted or value not in manifest.files.values():
                continue
            with suppress(BlockingIOError):
                lease, name = Lease(place), next(name for name, own in manifest.files.items() if own == value)
                if (place.folder / name).is_file():
                    return place.folder / name, lease
                lease.close()
        return None

    def told(self) -> str:
        """Its size and its limit, for people."""
        here = sum(place.folder.is_dir() for place in self._places())
        limit = f"of at most {self._limit / GB:g} GB" if self._limit is not None else "ASSAY_MODEL_CACHE_GB sets a limit"
        return f"{here} from a hub, {self.size_bytes / GB:.2f} GB, {limit}, in {self._root}"

    def reserve(self, place: Place, lease: Lease, *, size_bytes: int) -> None:
        """Room for a model of that size, in whose folder its files may then be put.

        Raises: Invalid where there never will be; Unavailable where there will once others are done with theirs.
        """
        with locked(self._root / "reserving"):
            if self._limit is not None:
                self._make_room(place, size_bytes, limit=self._limit)
            place.folder.mkdir(parents=True, exist_ok=True)
            lease.will_be(size_bytes)

    def _make_room(self, wanted: Place, size_bytes: int, *, limit: int) -> None:
        """Evicts what was not used for longest and is not in use, until a model of that size fits."""
        if size_bytes > limit:
            raise Invalid(
                f"{_of(wanted)} takes {size_bytes / GB:.2f} GB, and the cache may hold {limit / GB:g}: set ASSAY_MODEL_CACHE_GB "
                "higher, or take a smaller model", code="model-cache",
            )  # fmt: skip
        others = sorted((place for place in self._places() if place != wanted), key=lambda place: place.lock.stat().st_mtime_ns)
        over = size_bytes + sum(place.size_bytes for place in others) - limit
        for place in others:
            if over <= 0:
                return
            over -= _evicted(place)
        if over > 0:
            raise Unavailable(
                f"{_of(wanted)} takes {size_bytes / GB:.2f} GB, the cache may hold {limit / GB:g}, and the models in it are in use: "
                "wait for their runs to end, or set ASSAY_MODEL_CACHE_GB higher", code="model-cache",
            )  # fmt: skip

    def _places(self) -> Iterator[Place]:
        return (Place(lock.with_suffix("")) for lock in self._root.glob("*/*/*.lock"))

    def _reference(self, named: Named) -> Path:
        return self._root / named.repository / "revisions" / (quote(named.revision, safe="") if named.revision else NEWEST)


def bytes_in(folder: Path) -> int:
    """How much the files in a folder take, while others fetch some of them."""
    size = 0
    for one in folder.iterdir():
        with suppress(FileNotFoundError):  # it has its name by now
            size += one.stat().st_size
    return size


def _evicted(place: Place) -> int:
    """The bytes that evicting a model has freed: none where it is in use."""
    try:
        lease = Lease(place, alone=True)
    except BlockingIOError:
        return 0
    try:
        size = place.size_bytes
        place.remove()
        return size - place.size_bytes
    finally:
        lease.close()


def _of(place: Place) -> str:
    return "/".join(place.folder.parts[-3:-1])


def _write(path: Path, text: str) -> None:
    """All of it or nothing, whoever else writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(text)
    part.replace(path)
