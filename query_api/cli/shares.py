"""How much of a task is asked, as people write it: `--limit 200` is a count, `--limit 0.1` a share, as lm-eval has it."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from streams.errors import Invalid
from streams.numbers import real, shown, whole

Limit = Annotated[str | None, typer.Option(help="the first so many samples of each task; below 1, that share of them", metavar="NUMBER")]
NAMES = ("limit", "limit_ratio")


def limit_said(told: object) -> dict[str, int | float]:
    """The fields of a request that a limit means; none where nothing is told. Raises: Invalid."""
    if told is None:
        return {}
    try:
        return {"limit": whole(told)}
    except ValueError:
        share = _share(told)
    if not 0 < share < 1:
        raise Invalid(f"limit {told}: give 1 or more for so many samples, a share such as 0.1, or none for all", code="limit")
    return {"limit_ratio": share}


def _share(told: object) -> float:
    try:
        return real(told)
    except ValueError as error:
        raise Invalid(f"limit {shown(told)}: give a number of samples such as 200, or a share such as 0.1", code="limit") from error


def with_shares(told: Mapping[str, Any]) -> dict[str, Any]:
    """A record of a request with a `limit` below 1 as the share that it means."""
    limit = told.get("limit")
    return dict(told) if not isinstance(limit, float) else {name: one for name, one in told.items() if name != "limit"} | limit_said(limit)


def without_limits(told: Mapping[str, Any]) -> dict[str, Any]:
    """A record of a request without its own limit, for another takes its place."""
    return {name: one for name, one in told.items() if name not in NAMES}
