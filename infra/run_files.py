"""A sealed run as one file, written event by event: its form is told where it is read, in query_api/verify."""

import base64
import json
import os
import struct
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from schemas.canonical import fingerprint, schema_text
from schemas.trust import RunSealed
from streams.trust.merkle import Tree, leaf_hash
from streams.trust.statements import statement

FORMAT: Final = "assay-run-1"
COPY_BYTES: Final = 1024 * 1024
FAST: Final = 1  # zlib's level: hashes are not to be had smaller, and events hardly
Endorsement = tuple[bytes, bytes, bytes]  # a key, the one that endorsed it, the signature
_LENGTH = struct.Struct(">I")


class RunFile:
    """A file on its way: `add` each event, then `finish`. Left without that it is not there. Use it as a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._new = path.with_name(f".{path.name}.{os.getpid()}.new")
        self._schemas: dict[str, dict[str, Any]] = {}
        self._known: set[int] = set()
        self.tree = Tree()

    def __enter__(self) -> Self:
        self._leaves = tempfile.TemporaryFile(dir=self._path.absolute().parent)
        self._zip = zipfile.ZipFile(self._new, "w", zipfile.ZIP_DEFLATED, compresslevel=FAST)
        self._events = self._zip.open("events.bin", "w", force_zip64=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._leaves.close()
        self._events.close()
        self._zip.close()
        self._new.unlink(missing_ok=True)

    def add(self, leaf: bytes, schema: dict[str, Any]) -> None:
        """Adds an event, as its canonical bytes, with the schema that it was written under."""
        hashed = leaf_hash(leaf)
        self.tree.add(hashed)
        self._leaves.write(hashed)
        self._events.write(_LENGTH.pack(len(leaf)) + leaf)
        if id(schema) not in self._known:
            self._known.add(id(schema))
            self._schemas[f"schemas/{schema['name']}-{fingerprint(schema).hex()}.avsc"] = schema

    def finish(
        self,
        seal: RunSealed,
        head: RunSealed,
        *,
        inclusion: Sequence[bytes],
        consistency: Sequence[bytes],
        endorsements: Iterable[Endorsement],
    ) -> None:
        """Makes the file whole. `endorsements`: a key, the one that endorsed it, and the signature."""
        self._events.close()
        self._leaves.seek(0)
        with self._zip.open("leaves.bin", "w", force_zip64=True) as out:
            while part := self._leaves.read(COPY_BYTES):
                out.write(part)
        keys = [{"public_key": _text(key), "by": _text(by), "signature": _text(signature)} for key, by, signature in endorsements]
        proofs = {"inclusion": [one.hex() for one in inclusion], "consistency": [one.hex() for one in consistency]}
        told = {"format.json": {"format": FORMAT, "run_id": seal.run_id}, "seal.json": _sealed(seal), "head.json": _sealed(head),
                "proofs.json": proofs, "keys.json": {"endorsements": keys}}  # fmt: skip
        for name, value in told.items():
            self._write(name, json.dumps(value, indent=1))
        for name, schema in sorted(self._schemas.items()):
            self._write(name, schema_text(schema))
        self._zip.close()
        self._new.replace(self._path)

    def _write(self, name: str, text: str) -> None:
        """A member of no time (as those that are opened by name are), so that the same run is the same file."""
        with self._zip.open(name, "w") as out:
            out.write(text.encode())


def _sealed(seal: RunSealed) -> dict[str, str]:
    return {"statement": statement(seal).decode(), "signature": _text(seal.signature), "public_key": _text(seal.public_key)}


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
