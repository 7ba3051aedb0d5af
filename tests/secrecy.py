"""Where a secret was written down though it should not be."""

import os
from contextlib import suppress
from pathlib import Path


def files_with(home: Path, *secrets: str) -> list[Path]:
    """The files of a home that hold one of the secrets, beside those that are there for it; a database's files come and go meanwhile."""
    found = []
    for folder, _, names in os.walk(home):
        for path in (Path(folder) / name for name in names if Path(folder) != home / "credentials"):
            with suppress(FileNotFoundError):
                if path.is_file() and any(secret.encode() in path.read_bytes() for secret in secrets):
                    found.append(path)
    return found
