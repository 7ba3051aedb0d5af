"""Environments of Python: made from a hashed requirement file, resumable; whole once its file's hash is written, which is last."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from streams.errors import Unavailable

WHOLE: Final = "requirements.sha256"


def made_from(folder: Path) -> str | None:
    """The hash of the requirement file that a whole environment was made from; None where there is none."""
    return (folder / WHOLE).read_text().strip() if (folder / WHOLE).is_file() else None


def python_of(folder: Path) -> Path:
    """The interpreter of the environment in a folder."""
    return folder / "bin" / "python"


def sha_of(requirements: Path) -> str:
    """The hash of a requirement file."""
    return hashlib.sha256(requirements.read_bytes()).hexdigest()


def ensure(folder: Path, requirements: Path) -> None:
    """Makes an environment where none is whole of that very file. Raises: Unavailable where packages cannot be fetched."""
    if made_from(folder) != sha_of(requirements):
        make(folder, requirements)


def make(folder: Path, requirements: Path, *, quiet: bool = False) -> None:
    """Makes an environment, or goes on where an earlier try was ended: what was fetched is kept. uv shows its progress.

    Raises: Unavailable where packages cannot be fetched.
    """
    uv, sha = _uv(), sha_of(requirements)
    (folder / WHOLE).unlink(missing_ok=True)
    _run([uv, "venv", "--allow-existing", "--python", sys.executable, str(folder)], quiet=True)
    _run([uv, "pip", "sync", "--python", str(python_of(folder)), "--require-hashes", str(requirements)], quiet=quiet)
    (folder / WHOLE).write_text(sha)


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if found is None:
        raise Unavailable("uv is not here, which makes environments; install it: pip install -r infra/requirements/uv.txt", code="no-uv")
    return found


def _run(command: list[str], *, quiet: bool) -> None:
    told = subprocess.PIPE if quiet else None
    done = subprocess.run(command, stderr=told, stdout=told, env={"UV_SYSTEM_CERTS": "1"} | os.environ, check=False, text=True)
    if done.returncode:
        said = f": {done.stderr.strip().splitlines()[-1]}" if done.stderr and done.stderr.strip() else ""
        raise Unavailable(f"{' '.join(command[1:3])} ended with {done.returncode}{said}; the same command goes on from there", code="fetch")
