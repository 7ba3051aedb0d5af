"""Tasks of the client's own, from files: checked here, so that what is wrong is told with its line before anything is asked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streams.errors import Invalid


def tasks_in(files: Sequence[Path], *, trust_code: bool) -> list[dict[str, Any]]:
    """The tasks that the files define, as a request has them. Raises: Invalid, naming file and line."""
    if trust_code and not files:
        raise Invalid("--trust-code is for the tasks of --task-file; there is none", code="option")
    return [_task(file, trust_code=trust_code) for file in files]


def _task(file: Path, *, trust_code: bool) -> dict[str, Any]:
    from infra.harness.definitions import checked

    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} cannot be read: {error}", code="no-file") from error
    try:
        return {"name": checked(text, trust_code=trust_code), "definition": text, "trust_code": trust_code}
    except Invalid as error:
        raise Invalid(f"{file}, {error}", code=error.code) from error
