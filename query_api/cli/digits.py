"""Numbers of options, read as everywhere here: by plain digits, within bounds. Typer would take `1_0` for 10."""

import functools
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from typer.models import ParameterInfo

from streams.numbers import real, shown, whole


def in_digits(command: Callable[..., None]) -> Callable[..., None]:
    """The command, whose options of numbers are read by their digits."""
    for hint in get_type_hints(command, include_extras=True).values():
        if get_origin(hint) is Annotated and isinstance(option := get_args(hint)[1], ParameterInfo):
            kinds = {int, float} & {get_args(hint)[0], *get_args(get_args(hint)[0])}
            for kind in kinds:
                option.parser = functools.partial(_number, kind, option.min, option.max)
    return command


def _number(kind: type, least: float | None, most: float | None, told: Any) -> int | float:
    """Raises: ValueError, with what was written and what to write."""
    try:
        number = whole(told) if kind is int else real(told)
    except ValueError as error:
        raise ValueError(f"{shown(told)} {error}") from error
    if (least is not None and number < least) or (most is not None and number > most):
        ends = f"{least:,} or more" if most is None else f"at most {most:,}" if least is None else f"{least:,} to {most:,}"
        raise ValueError(f"{shown(told)}: give {ends}")
    return number
