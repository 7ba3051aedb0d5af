"""Traces and prompts of loads, from files, as a request has them: what is wrong in one is said with its file and line."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from infra.text_files import lines_of
from schemas.requests import Prompt, Traced
from streams.errors import Invalid


def packed(
    path: Path, *, speedup: float | None = None, requests: int | None = None, duration_s: float | None = None
) -> list[dict[str, Any]]:
    """The requests of a trace's file: the first so many, and those that a replay of that length sends. Raises: Invalid."""
    until_ms = float("inf") if duration_s is None else duration_s * 1000 * (speedup or 1)
    return [one.model_dump(exclude_defaults=True) for one in traced(path, requests=requests, until_ms=until_ms)]


def traced(path: Path, *, requests: int | None = None, until_ms: float = float("inf")) -> Sequence[Traced]:
    """The requests of a trace's file. Raises: Invalid."""
    from streams.speed.traces import CODE, read_trace

    with closing(lines_of(path)) as lines:
        try:
            return read_trace(lines, requests=requests, until_ms=until_ms)
        except Invalid as error:
            raise (Invalid(f"{path}, {error}", code=CODE) if error.code == CODE else error) from error  # others name the file already


def prompted(path: Path, *, limit: int | None = None) -> list[dict[str, Any]]:
    """The prompts of a file of JSON lines, the first so many. Raises: Invalid."""
    return [one.model_dump() for one in _prompts(path, limit=limit)]


def _prompts(path: Path, *, limit: int | None) -> Sequence[Prompt]:
    from streams.speed.prompts import CODE, read_prompts

    with closing(lines_of(path)) as lines:
        try:
            return read_prompts(lines, limit=limit)
        except Invalid as error:
            raise (Invalid(f"{path}, {error}", code=CODE) if error.code == CODE else error) from error
