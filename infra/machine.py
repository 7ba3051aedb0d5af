"""Files that take long to make: each is made by one process at a time, and what is the same for all homes lies in the machine's cache."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CACHE = Path.home() / ".cache" / "assay"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """While it lasts, no other process makes that file; its folder is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
