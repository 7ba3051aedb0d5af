"""Keyset paging without a database: cursors, their questions, and the SQL's parameters."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.operations.problems import Malformed
from query_api.reading.paging import UNKNOWN, Listing, after, following, page, span

LISTING = Listing("things", sorts={"score": "Float64", "name": "String"}, key={"place": "Int64"})
rows = st.lists(st.fixed_dictionaries({
    "score": st.floats(allow_nan=False), "name": st.text(), "place": st.integers(-(2**63), 2**63 - 1),
}), min_size=2, max_size=9)  # fmt: skip
sorts = st.sampled_from(["score", "-score", "name", "-name"])


@given(rows, sorts, st.integers(1, 8), st.dictionaries(st.text(), st.text() | st.none() | st.floats(allow_nan=False)))
def test_a_cursor_leads_behind_the_last_row_of_its_page(
    found: list[dict[str, object]], sort: str, limit: int, asked: dict[str, object]
) -> None:
    """To its very values, whatever they are; the last page has none."""
    page, cursor = following(found, LISTING, sort, asked=asked, limit=limit)
    assert page == found[:limit]
    if len(found) <= limit:
        assert cursor is None
        return
    assert cursor is not None and cursor.replace("-", "").replace("_", "").isalnum()
    assert after(cursor, LISTING, sort, asked=asked) == [page[-1][name] for name in LISTING.columns(sort)]


@given(rows, sorts, sorts, st.text(), st.text())
def test_a_cursor_is_bound_to_its_question(found: list[dict[str, object]], sort: str, other: str, mine: str, yours: str) -> None:
    """Another filter or another order refuses it, and says so."""
    _, cursor = following(found, LISTING, sort, asked={"model": mine}, limit=1)
    assert cursor is not None
    if (sort, mine) == (other, yours):
        return
    with pytest.raises(Malformed, match="another query"):
        after(cursor, LISTING, other, asked={"model": yours})


@given(st.text() | st.binary().map(lambda raw: raw.hex()))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    """Whatever it is; nothing is the beginning."""
    if not text:
        assert after(text, LISTING, "name", asked={}) is None
        return
    with pytest.raises(Malformed):
        after(text, LISTING, "name", asked={})


speeds = st.lists(st.fixed_dictionaries({"speed": st.none() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False),
                                         "name": st.text(max_size=2)}), max_size=9)  # fmt: skip
SPEEDS = Listing("speeds", sorts={"speed": UNKNOWN, "name": "String"}, key={"place": "Int64"})


@given(speeds, st.sampled_from(["speed", "-speed", "name", "-name"]), st.integers(1, 4))
def test_pages_of_what_is_here_give_every_row_once_in_order(told: list[dict[str, object]], sort: str, limit: int) -> None:
    """What is not known comes last, whichever way; the last page has no cursor."""
    rows = [row | {"place": place} for place, row in enumerate(told)]
    found, cursor = list[dict[str, object]](), ""
    while True:
        some, following_cursor = page(rows, SPEEDS, sort, asked={"a": 1}, limit=limit, cursor=cursor)
        assert len(some) == limit or following_cursor is None
        found += some
        if following_cursor is None:
            break
        cursor = following_cursor
    assert sorted(found, key=lambda row: str(row["place"])) == sorted(rows, key=lambda row: str(row["place"]))
    values = [row[sort.removeprefix("-")] for row in found]
    known = [value for value in values if value is not None]
    assert values == known + [None] * (len(values) - len(known))
    assert known == sorted(known, reverse=sort.startswith("-"))  # type: ignore[type-var]  # numbers, or texts


def test_a_page_behind_what_is_here_is_empty() -> None:
    """And a cursor of another question is refused here too."""
    rows = [{"speed": None, "name": "a", "place": place} for place in range(2)]
    _, cursor = page(rows, SPEEDS, "speed", asked={"a": 1}, limit=1)
    assert cursor is not None
    assert page(rows[:1], SPEEDS, "speed", asked={"a": 1}, limit=1, cursor=cursor) == ([], None)
    with pytest.raises(Malformed, match="another query"):
        page(rows, SPEEDS, "speed", asked={"a": 2}, limit=1, cursor=cursor)


@pytest.mark.parametrize(("sort", "last", "sign"), [("speed", "inf", ">"), ("-speed", "-inf", "<")])
def test_what_is_not_known_comes_last_in_the_database_too(sort: str, last: str, sign: str) -> None:
    """And a cursor that ends there leads behind it."""
    row = {"speed": None, "place": 7}
    _, cursor = following([row, row], SPEEDS, sort, asked={}, limit=1)
    begins = after(str(cursor), SPEEDS, sort, asked={})
    assert begins == [float(last), 7]
    place = span(SPEEDS, sort, after=begins, limit=1)
    assert place.sql.startswith(
        f" WHERE ifNull(`speed`, {last}) {sign} reinterpretAsFloat64({{after_0:Int64}}) OR (ifNull(`speed`, {last})"
    )
    assert f"ORDER BY ifNull(`speed`, {last})" in place.sql


def test_doubles_go_as_their_bits() -> None:
    """So that none is skipped or shown twice for its last decimal digit."""
    place = span(LISTING, "-score", after=[0.1 + 0.2, 7], limit=3)
    first = "reinterpretAsFloat64({after_0:Int64})"
    behind = f"`score` < {first} OR (`score` = {first} AND (`place` < {{after_1:Int64}}))"
    assert place.sql == f" WHERE {behind} ORDER BY `score` DESC NULLS FIRST, `place` DESC NULLS FIRST LIMIT 4"
    assert struct.unpack("<d", struct.pack("<q", place.parameters["after_0"])) == (0.1 + 0.2,)
    assert math.isinf(
        struct.unpack("<d", struct.pack("<q", span(LISTING, "score", after=[-math.inf, 1], limit=1).parameters["after_0"]))[0]
    )
