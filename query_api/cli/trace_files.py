"""Traces of loads, from files, as a request has them: what is wrong in one is said with its file and line."""

from pathlib import Path
from typing import Any

from streams.errors import Invalid


def packed(
    path: Path, *, speedup: float | None = None, requests: int | None = None, duration_s: float | None = None
) -> list[dict[str, Any]]:
    """The requests of a trace's file: the first so many, and those that a replay of that length sends. Raises: Invalid."""
    from streams.speed.traces import read_trace

    until_ms = float("inf") if duration_s is None else duration_s * 1000 * (speedup or 1)
    try:
        with path.open(encoding="utf-8") as lines:
            read = read_trace(lines, requests=requests, until_ms=until_ms)
    except (OSError, UnicodeDecodeError) as error:
        reason = "there is no file" if isinstance(error, FileNotFoundError) else f"cannot read ({error})"
        raise Invalid(f"{reason} {path}", code="no-file") from error
    except Invalid as error:
        raise Invalid(f"{path}, {error}", code=error.code) from error
    return [one.model_dump(exclude_defaults=True) for one in read]
