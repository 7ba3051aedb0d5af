"""Pages of a list: a page begins behind the last row of the one before it, whatever has come since (keyset paging).

A cursor holds that row's sort values, and a digest of the question that it belongs to: the list, its filters, its order.
What is not known of a row (null, in a column that may be) comes last, whichever way the list is sorted.
"""

import base64
import hashlib
import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import Field

from infra.clickhouse import Rows
from query_api.operations.problems import Malformed
from query_api.operations.shapes import Shape

LIMIT: Final = 500
UNKNOWN: Final = "Nullable(Float64)"
DOUBLES: Final = ("Float64", UNKNOWN)
LONGEST_INTEGER: Final = 2**63


class Paged(Shape):
    """How much of a list, and from where on. A list adds its filters and its `sort`."""

    limit: int = Field(default=50, ge=1, le=LIMIT, description="how many at most")
    cursor: str = Field(default="", description="`next` of the page before, with the same filters and order")


class PagedWhole(Paged):
    """The same of a list that is short as a rule: without a limit it comes whole, as far as a page may hold it."""

    limit: int = Field(default=LIMIT, ge=1, le=LIMIT, description="how many at most")


@dataclass(frozen=True, slots=True)
class Listing:
    """A list: its named query, the columns that it can be sorted by with their types, and the columns that tell its rows apart.

    A number that may be null is of the type UNKNOWN. What is not in ClickHouse has a name in the place of its query (see `page`).
    """

    query: str
    sorts: Mapping[str, str]
    key: Mapping[str, str]

    def columns(self, sort: str) -> dict[str, str]:
        """The columns that order it, with their types."""
        name = sort.removeprefix("-")
        return {name: self.sorts[name]} | dict(self.key)


@dataclass(frozen=True, slots=True)
class Span:
    """A page's place in a list, as SQL: what comes behind the query, and its parameters."""

    sql: str
    parameters: Mapping[str, Any]


def span(listing: Listing, sort: str, *, after: Sequence[Any] | None, limit: int) -> Span:
    """What a query needs to answer one page, and one row more, which says whether another page follows."""
    columns, down = listing.columns(sort), sort.startswith("-")
    names = [f"ifNull(`{name}`, {'-inf' if down else 'inf'})" if kind == UNKNOWN else f"`{name}`" for name, kind in columns.items()]
    # Nulls first, though there are none: only so is the order a table's own, backwards.
    order = ", ".join(f"{name}{' DESC NULLS FIRST' if down else ''}" for name in names)
    where, parameters = "", dict[str, Any]()
    if after is not None:
        places = [_bound(f"after_{index}", kind) for index, kind in enumerate(columns.values())]
        where = f" WHERE {_behind(list(zip(names, places, strict=True)), '<' if down else '>')}"
        parameters = {f"after_{index}": _sent(value) for index, value in enumerate(after)}
    return Span(f"{where} ORDER BY {order} LIMIT {limit + 1}", parameters)


def _behind(columns: Sequence[tuple[str, str]], sign: str) -> str:
    # Spelt out, for of tuples that are compared the engine reads the whole list.
    (name, place), *rest = columns
    return f"{name} {sign} {place}" + (f" OR ({name} = {place} AND ({_behind(rest, sign)}))" if rest else "")


def _bound(name: str, kind: str) -> str:
    # A double goes as its bits: read from decimal digits it may differ in the last, and a row would be skipped or shown twice.
    return f"reinterpretAsFloat64({{{name}:Int64}})" if kind in DOUBLES else f"{{{name}:{kind}}}"


def _sent(value: Any) -> Any:
    return struct.unpack("<q", struct.pack("<d", value))[0] if isinstance(value, float) else value


def after(cursor: str, listing: Listing, sort: str, *, asked: Mapping[str, Any]) -> list[Any] | None:
    """The sort values behind which the page begins; None at the beginning. Raises: Malformed."""
    if not cursor:
        return None
    digest, values = _read(cursor)
    if digest != digest_of(listing, sort, asked):
        raise Malformed(
            f"cursor {cursor[:20]!r}… belongs to another query: ask with the filters and the sort that it came from, or leave it out",
            code="cursor-of-another-query",
        )
    kinds = list(listing.columns(sort).values())
    if len(kinds) != len(values) or not all(_is(value, kind) for value, kind in zip(values, kinds, strict=True)):
        raise _unreadable(cursor)
    return values


def following(rows: Rows, listing: Listing, sort: str, *, asked: Mapping[str, Any], limit: int) -> tuple[Rows, str | None]:
    """The page of these rows (one more than asked for, where more follow), and the cursor of the next page."""
    page = rows[:limit]
    if len(rows) <= limit:
        return page, None
    told = [digest_of(listing, sort, asked), *_place(page[-1], listing, sort)]
    return page, base64.urlsafe_b64encode(json.dumps(told, separators=(",", ":")).encode()).decode().rstrip("=")


def page(
    rows: Iterable[Mapping[str, Any]], listing: Listing, sort: str, *, asked: Mapping[str, Any], limit: int, cursor: str = ""
) -> tuple[Rows, str | None]:
    """A page of a list whose rows are all here, and the cursor of the next (None at the end). Raises: Malformed."""
    begins, down = after(cursor, listing, sort, asked=asked), sort.startswith("-")
    placed = [(_place(row, listing, sort), dict(row)) for row in rows]
    behind = [one for one in placed if begins is None or (one[0] < begins if down else one[0] > begins)]
    behind.sort(key=lambda one: one[0], reverse=down)
    return following([row for _, row in behind], listing, sort, asked=asked, limit=limit)


def _place(row: Mapping[str, Any], listing: Listing, sort: str) -> list[Any]:
    """A row's sort values; in the place of what is not known stands what comes last."""
    last = -math.inf if sort.startswith("-") else math.inf
    return [
        row[name] if kind != UNKNOWN else last if row[name] is None else float(row[name]) for name, kind in listing.columns(sort).items()
    ]


def digest_of(listing: Listing, sort: str, asked: Mapping[str, Any]) -> str:
    """A short name of the question."""
    told = json.dumps([listing.query, sort, dict(asked)], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _read(cursor: str) -> tuple[Any, list[Any]]:
    try:
        digest, *values = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, TypeError, RecursionError) as error:
        raise _unreadable(cursor) from error
    return digest, values


def _is(value: Any, kind: str) -> bool:
    if kind == "String":
        return isinstance(value, str)
    if kind in DOUBLES:
        return isinstance(value, float)
    return isinstance(value, int) and not isinstance(value, bool) and -LONGEST_INTEGER <= value < LONGEST_INTEGER


def _unreadable(cursor: str) -> Malformed:
    return Malformed(f"{cursor[:40]!r} is no cursor of this list; leave it out to begin at its first page", code="bad-cursor")
