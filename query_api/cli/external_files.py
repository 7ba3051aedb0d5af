"""Files of others' results, as they are published: a JSON document, an inspect log (.eval), or a folder of a HELM run."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any, Final

from infra.text_files import NO_FILE, bytes_of, unread
from streams.errors import Invalid
from streams.once import once

MOST_BYTES: Final = 256 * 2**20
HELM: Final = ("run_spec", "stats")


def document_of(path: Path) -> tuple[Any, str]:
    """What the file says, and its SHA-256. Raises: Invalid, naming the file, where it cannot be read."""
    try:
        if path.is_dir():
            return _folder(path)
        if path.suffix == ".eval":
            return _log(path)
        told = bytes_of(path, most_bytes=MOST_BYTES)
        return _read(told), hashlib.sha256(told).hexdigest()
    except OSError as error:
        raise unread(path, error) from error
    except (zipfile.BadZipFile, RecursionError) as error:
        raise Invalid(f"{path} cannot be read: {error}", code=NO_FILE) from error
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError among them
        raise Invalid(f"{path} is no JSON: {error}", code="not-json") from error


def _read(told: bytes) -> Any:
    """Raises: ValueError where it is no JSON, or a name is there twice."""
    return json.loads(told, object_pairs_hook=once)


def _folder(path: Path) -> tuple[Any, str]:
    told = {name: bytes_of(path / f"{name}.json", most_bytes=MOST_BYTES) for name in HELM}
    return {name: _read(one) for name, one in told.items()}, hashlib.sha256(b"\x00".join(told.values())).hexdigest()


def _log(path: Path) -> tuple[Any, str]:
    """An inspect log: a zip whose header.json is the evaluation without its samples."""
    with zipfile.ZipFile(path) as log:
        if "header.json" not in log.namelist():
            raise Invalid(f"{path} has no header.json: the evaluation was not ended; run `inspect eval-retry`", code="no-header")
        if log.getinfo("header.json").file_size > MOST_BYTES:
            raise Invalid(f"{path}: its header.json would be over {MOST_BYTES // 2**20} MiB", code="too-large")
        told = log.read("header.json")
    return _read(told), hashlib.sha256(told).hexdigest()
