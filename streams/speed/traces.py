"""Traces of real loads, which a workload replays: requests with their times and lengths, and where their prompts begin alike.

Two forms are read. JSON lines as Mooncake's: `timestamp` (ms), `input_length`, `output_length`, and where known `hash_ids`, a name for each
block of 512 tokens of the prompt; `text` is the prompt itself, where a trace has it. CSV as BurstGPT's: the columns `Timestamp` (s),
`Request tokens` and `Response tokens`. What else they tell is left out. Times count from the first request.

Source: R. Qin et al., Mooncake, FAST 2025 (traces, README of FAST25-release); Y. Wang et al., BurstGPT, KDD 2025 (data, README).
"""

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from schemas.requests import Traced
from streams.bounds import MOST_TRACED
from streams.errors import Invalid
from streams.once import once

BLOCK_TOKENS: Final = 512
CODE: Final = "trace"
SHOWN: Final = 80  # characters of a value that is wrong
READ: Final = ("Timestamp", "Request tokens", "Response tokens")  # of a table
CUT: Final = "cut it with --requests or --duration"
Row = Mapping[str, Any]


def read_trace(lines: Iterable[str], *, requests: int | None = None, until_ms: float = math.inf) -> tuple[Traced, ...]:
    """The requests of a trace's lines: the first so many of them, and those before a time. Raises: Invalid, naming the line."""
    read, first_ms, since_ms = list[Traced](), None, 0.0
    for number, told in _rows(lines):
        first_ms = told.at_ms if first_ms is None else first_ms
        one = told.model_copy(update={"at_ms": told.at_ms - first_ms})
        if wrong := _fault(one, since_ms=since_ms):
            raise Invalid(f"line {number}: {wrong}", code=CODE)
        if one.at_ms >= until_ms or len(read) == (requests or math.inf):
            break
        if len(read) == MOST_TRACED:
            raise Invalid(f"line {number}: the trace has more than {MOST_TRACED:,} requests; {CUT}", code=CODE)
        read.append(one)
        since_ms = one.at_ms
    if not read:
        raise Invalid("the trace has no request", code=CODE)
    return tuple(read)


def check_trace(trace: Sequence[Traced]) -> None:
    """Raises: Invalid, naming the first request, from 0, that cannot be sent."""
    since_ms = 0.0
    for number, one in enumerate(trace):
        if wrong := _fault(one, since_ms=since_ms):
            raise Invalid(f"trace.{number}: {wrong}", code=CODE)
        since_ms = one.at_ms


def _fault(one: Traced, *, since_ms: float) -> str | None:
    """What is wrong with a request behind one of that time; None where nothing is."""
    blocks = -(-one.input_tokens // BLOCK_TOKENS)
    if one.at_ms < since_ms:
        return f"its time goes back, from {since_ms:g} to {one.at_ms:g} ms behind the first; sort the trace by time"
    if one.input_tokens < 1:
        return f"it has an input of {one.input_tokens:,} tokens; give 1 or more"
    if one.output_tokens < 1:
        return f"it has an output of {one.output_tokens:,} tokens; give 1 or more, and leave out requests that failed"
    if len(one.hash_ids) > blocks:
        return f"it has {len(one.hash_ids):,} hash_ids for {one.input_tokens:,} tokens, which are {blocks:,} blocks of {BLOCK_TOKENS}"
    return "it has a hash_id below 0" if min(one.hash_ids, default=0) < 0 else None


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, Traced]]:
    """Each request with its line, from 1. The first line says which form it is."""
    told = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    first = next(told, None)
    if first is None:
        return
    if first[1].lstrip().startswith("{"):
        yield from ((number, _read(number, _object(number, line), _mooncake)) for number, line in chain([first], told))
    else:
        yield from ((number, _read(number, row, _burstgpt)) for number, row in _table(first, told))


def _object(number: int, line: str) -> Row:
    try:
        row = json.loads(line, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"line {number}: no JSON ({error})", code=CODE) from error
    if not isinstance(row, dict):
        raise Invalid(f"line {number}: write an object with timestamp, input_length and output_length", code=CODE)
    return row


def _table(head: tuple[int, str], told: Iterable[tuple[int, str]]) -> Iterator[tuple[int, Row]]:
    columns = _cells(*head)
    if "Timestamp" not in columns:
        raise Invalid(f"line {head[0]}: neither an object of JSON nor a row of columns with Timestamp, Request tokens and Response tokens",
                      code=CODE)  # fmt: skip
    if twice := next((name for name in READ if columns.count(name) > 1), None):
        raise Invalid(f"line {head[0]}: column {twice!r} is there twice; give it once", code=CODE)
    for number, line in told:
        yield number, dict(zip(columns, _cells(number, line), strict=False))


def _cells(number: int, line: str) -> list[str]:
    try:
        (cells,) = csv.reader([line])
    except csv.Error as error:
        raise Invalid(f"line {number}: no CSV: {error}", code=CODE) from error
    return cells


def _read(number: int, row: Row, form: Callable[[Row], Traced]) -> Traced:
    try:
        return form(row)
    except KeyError as error:
        raise Invalid(f"line {number}: it has no {error.args[0]}", code=CODE) from error
    except (ValueError, TypeError, OverflowError) as error:
        raise Invalid(f"line {number}: {error}", code=CODE) from error


def _mooncake(row: Row) -> Traced:
    ids = row.get("hash_ids") or []
    if not isinstance(ids, list):
        raise ValueError(f"hash_ids {ids!r:.{SHOWN}}: give a list of whole numbers")
    text = row.get("text")
    if text is not None and not isinstance(text, str):
        raise ValueError(f"text {text!r:.{SHOWN}}: give a text")
    return Traced(
        at_ms=_number(row, "timestamp"), input_tokens=_whole(row, "input_length"), output_tokens=_whole(row, "output_length"),
        hash_ids=tuple(_whole({"hash_ids": one}, "hash_ids") for one in ids), text=text,
    )  # fmt: skip


def _burstgpt(row: Row) -> Traced:
    return Traced(
        at_ms=1000 * _number(row, "Timestamp"), input_tokens=_whole(row, "Request tokens"), output_tokens=_whole(row, "Response tokens")
    )


def _number(row: Row, name: str) -> float:
    """A finite number of a row, written as one or as a text. Raises: KeyError, ValueError."""
    value = row[name]
    try:
        number = float("nan" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name} {value!r:.{SHOWN}}: give a number")
    return number


def _whole(row: Row, name: str) -> int:
    number = _number(row, name)
    if not number.is_integer():
        raise ValueError(f"{name} {row[name]!r}: give a whole number")
    return int(number)
