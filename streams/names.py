"""Names of very many runs, of which nothing more is held."""

from collections.abc import Iterator

NAME_BYTES = 16


class Names:
    """A set of runs' ids that takes little room."""

    def __init__(self, packed: bytes = b"") -> None:
        self._names = {packed[at : at + NAME_BYTES] for at in range(0, len(packed), NAME_BYTES)}

    def add(self, run_id: str) -> None:
        """The run belongs to it from now on."""
        self._names.add(_packed(run_id))

    def __contains__(self, run_id: str) -> bool:
        return _packed(run_id) in self._names

    def holds(self, key: bytes | None) -> bool:
        """The key of a record is the id of a run in it."""
        return key is not None and len(key) == 36 and key.isascii() and key.decode() in self

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._names)

    def packed(self) -> bytes:
        """All of them, in order: what the set is made from again."""
        return b"".join(sorted(self._names))


def _packed(run_id: str) -> bytes:
    """The sixteen bytes of a run's id; what is no such id is in no set."""
    try:
        return bytes.fromhex(run_id.replace("-", ""))
    except ValueError:
        return b""
