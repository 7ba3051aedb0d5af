"""Small objects that all workers of a processor reach: in a folder, or in object storage (`ASSAY_SNAPSHOTS`)."""

from contextlib import suppress
from uuid import uuid4

import fsspec

from infra.settings import Settings


class Storage:
    """Objects by their paths. An object is there whole or not at all."""

    def __init__(self, settings: Settings) -> None:
        address = settings.snapshots or (settings.home.absolute() / "snapshots").as_uri()
        self._storage, self._folder = fsspec.core.url_to_fs(address)

    def read(self, path: str) -> bytes:
        """The object. Raises: OSError, FileNotFoundError among them."""
        found: bytes = self._storage.cat_file(f"{self._folder}/{path}")
        return found

    def write(self, path: str, content: bytes) -> None:
        """Puts an object in the place of the one before. Raises: OSError."""
        place = f"{self._folder}/{path}"
        self._storage.makedirs(place.rpartition("/")[0], exist_ok=True)
        # Under another name first, each writer's own: whoever reads meanwhile finds the one before, whole.
        new = f"{place}.{uuid4().hex}.new"
        self._storage.pipe_file(new, content)
        self._storage.mv(new, place)

    def names(self, folder: str) -> list[str]:
        """The names of the objects in a folder, in order; none where it cannot be listed."""
        try:
            found = self._storage.ls(f"{self._folder}/{folder}", detail=False, refresh=True)
        except OSError:
            return []
        return sorted(name for path in found if not (name := path.rpartition("/")[2]).endswith(".new"))

    def remove(self, path: str) -> None:
        """Lets an object go, where it is there. Raises: OSError."""
        with suppress(FileNotFoundError):
            self._storage.rm_file(f"{self._folder}/{path}")
