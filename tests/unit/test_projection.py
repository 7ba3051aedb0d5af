"""An event's row: every field in its column, nested ones as JSON, with its place and the version that makes the first of an id win."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.catalogue import EVENTS
from schemas.event import Event, Producer, Record, Text
from schemas.measurements import TokensTimed
from schemas.requests import CancellationRequested
from streams.projection import ARRAYS, BY_PLACE, LARGEST, ddl, plain, row, table_of, version
from streams.trust.privacy import told
from tests.runs import run_named
from tests.strategies import events

R = run_named("r")


def expected(value: Any) -> Any:
    """A cell, told field by field."""
    if isinstance(value, (Text, bytes)):
        return plain(value)
    nested = isinstance(value, (Record, tuple, dict))
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")) if nested else value


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_row_holds_every_field_as_its_column_says(event: type[Event], data: st.DataObject) -> None:
    """In the order of the table's columns, as it may be told."""
    one = data.draw(events(event))
    cells = dict(zip(table_of(event).columns, row(one, partition=3, offset=7, written_us=9), strict=True))
    kept = dict(ARRAYS.get(event, {}).values())
    said = {ARRAYS.get(event, {}).get(name, (name, ""))[0]: name for name in event.model_fields}
    values = {name: getattr(told(one), name) for name in said}
    assert [cells[name] for name in said] == [value if name in kept else expected(value) for name, value in values.items()]
    assert [cells[name] for name in ("log_partition", "log_offset", "log_version", "written_us")] == [3, 7, version(3, 7), 9]


def test_of_one_events_rows_the_first_is_kept_and_of_equally_old_ones_always_the_same() -> None:
    """ClickHouse keeps the greatest version."""
    places = [(3, 7), (0, 8), (4095, 7), (0, 2**40)]
    assert sorted(places, key=lambda place: version(*place), reverse=True) == [(3, 7), (4095, 7), (0, 8), (0, 2**40)]
    assert all(0 < version(*place) <= LARGEST for place in places)


def test_gaps_between_tokens_are_an_array() -> None:
    """A column of numbers, packed; what other events have in arrays is JSON, as ClickHouse reads it with JSONExtract."""
    stamp = Producer(service="test", version="1")
    one = TokensTimed(
        occurred_us=1, producer=stamp, run_id=R, job_id="j", attempt=1, request_index=0, sequence=0, chunk=0, first_token=0,
        arrival_ns=(5, -6), tokens_per_arrival=(2, 1),
    )  # fmt: skip
    cells = dict(zip(table_of(TokensTimed).columns, row(one, partition=0, offset=0, written_us=0), strict=True))
    assert [cells[name] for name in ("first_ns", "gap_ns", "tokens_per_arrival", "arrival_ns")] == [5, (-11,), (2, 1), "[]"]
    assert "    gap_ns Array(Int64) CODEC(T64, ZSTD),\n" in ddl(TokensTimed)


def test_producers_that_differ_are_told_apart() -> None:
    """Though what is written of one is kept for the next event."""
    stamps = [Producer(service="test", version=version) for version in ("1", "2", "1")]
    made = [CancellationRequested(occurred_us=1, producer=stamp, run_id=R, by="me") for stamp in stamps]
    written = [
        row(one, partition=0, offset=0, written_us=0)[list(table_of(CancellationRequested).columns).index("producer")] for one in made
    ]
    assert [json.loads(cell)["version"] for cell in written] == ["1", "2", "1"]


@pytest.mark.parametrize("event", BY_PLACE, ids=lambda event: event.__name__)
def test_rows_that_lie_by_place_are_one_where_their_id_is(event: type[Event]) -> None:
    """The order has every part of the identity, and names columns that are never null."""
    order, columns = BY_PLACE[event], table_of(event).columns
    assert set(event.identity) <= set(order) <= columns.keys()
    assert not [name for name in order if columns[name].startswith("Nullable")]
