"""Small files that are there whole or not at all, whenever a process or the machine ends: keys and secrets, which nothing brings back."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def put(path: Path, content: bytes, *, first: bool = False, mode: int = 0o600) -> None:
    """Puts a file there, whole and on the disk, that its owner alone reads, or as `mode` says; with `first`, only where there is none."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            os.fchmod(descriptor, mode)  # whatever this process's mask is
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        if first:
            with suppress(FileExistsError):
                os.link(new, path)
        else:
            new.replace(path)
        synced(path.parent)
    finally:
        new.unlink(missing_ok=True)


def synced(folder: Path) -> None:
    """Has a folder's names on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
