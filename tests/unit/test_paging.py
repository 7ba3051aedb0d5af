"""Keyset paging without a database: cursors, their questions, and the SQL's parameters."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.paging import Listing, after, following, span
from query_api.problems import Malformed

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
