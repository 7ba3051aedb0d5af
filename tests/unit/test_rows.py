"""Rows of a file as a table: what none can hold is told with its line, and left out where that is asked for."""

import json
from typing import Any

import pytest

from infra.harness.rows import CODE, DEEPEST, table
from streams.errors import Invalid

SOUND = [(1, {"q": "a", "more": {"n": 1}}), (2, {"q": "b", "more": {"n": 2}})]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (r'{"q": "c", "\ud800": 1}', "a field's name holds half of a letter (a lone surrogate)"),
        (r'{"q": "c", "more": {"\udfff": 1}}', "a field's name holds half of a letter (a lone surrogate)"),
        (r'{"q": "c", "\ud800": "\ud800"}', "a field's name holds half of a letter (a lone surrogate)"),
        (r'{"q": "\ud800"}', "field q: holds half of a letter (a lone surrogate)"),
        (r'{"q": 5}', "field q: a number, where line 1 has a text"),
        ("null", "a row must be an object"),
    ],
)
def test_a_row_that_no_table_can_hold_is_told_or_left_out(row: str, says: str) -> None:
    """With its line; and the others are there."""
    rows: list[tuple[int, Any]] = [*SOUND, (3, json.loads(row))]
    with pytest.raises(Invalid) as refused:
        table(rows, where="d.jsonl")
    assert refused.value.code == CODE
    assert str(refused.value).startswith("d.jsonl, line 3") and says in str(refused.value)
    skipped = list[str]()
    made, lines = table(rows, where="d.jsonl", skipped=skipped)
    assert (made["q"][:], lines, skipped) == (["a", "b"], [1, 2], [str(refused.value)])


@pytest.mark.parametrize("depth", [20, 30, 100, 900])
def test_lists_within_lists_are_told_at_once(depth: int) -> None:
    """The library takes twice as long for each level to find that other rows have a text there: 37 s for 24, and 100 never ended."""
    deep: Any = 1
    for _ in range(depth):
        deep = [deep]
    rows: list[tuple[int, Any]] = [*SOUND, (3, {"q": deep}), (4, {"q": "c"})]
    says = "lists within lists, too deep to be read" if depth > DEEPEST else "field q: a list, where line 1 has a text"
    skipped = list[str]()
    made, lines = table(rows, where="d.jsonl", skipped=skipped)
    assert (made["q"][:], lines, len(skipped)) == (["a", "b", "c"], [1, 2, 4], 1) and says in skipped[0]
    with pytest.raises(Invalid, match=says):
        table(rows, where="d.jsonl")
