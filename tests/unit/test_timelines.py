"""A run's time as strips: everything lies on the axis, and says the same as its table."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from query_api.drawing.timelines import HEIGHT, WIDTH, timeline
from query_api.reading.timelines import BUCKETS, Axis, History, Point, Series, _resources

AXIS = Axis(first_us=1_000_000, last_us=25_000_000, width_us=250_000)
POINTS = st.lists(
    st.tuples(st.integers(0, BUCKETS - 1), st.floats(0, 1e12, allow_subnormal=False)), min_size=1, unique_by=lambda pair: pair[0]
).map(lambda pairs: tuple(Point(bucket, value / 2, value, value * 2) for bucket, value in sorted(pairs)))


def attempt(**told: Any) -> dict[str, Any]:
    """An attempt of a job, as it is read."""
    first = {"job_id": "r/task/0/0", "attempt": 1, "agent": "a", "began_us": 1_000_000, "ran_us": 2_000_000, "last_us": 13_000_000}
    return first | {"outcome": "finished", "why": ""} | told


@given(POINTS)
def test_bars_and_marks_lie_on_the_axis(points: tuple[Point, ...]) -> None:
    """Whatever was measured."""
    (strip,) = timeline(History(AXIS, [attempt()], [Series("TTFT", "ns", points, spread=True)])).strips
    for bar in (*strip.bars, *strip.marks):
        assert 0 <= bar.x <= WIDTH and bar.width > 0
        assert -1e-6 <= bar.y <= HEIGHT and bar.y + bar.height <= HEIGHT + 1e-6


@given(POINTS)
def test_the_table_has_a_row_for_every_bucket(points: tuple[Point, ...]) -> None:
    """With a cell for every series."""
    rows = timeline(History(AXIS, [attempt()], [Series("TTFT", "ns", points), Series("Memory", "bytes", points[:1])])).rows
    assert len(rows) == len(points)
    assert {len(row) for row in rows} == {3}


def test_a_line_breaks_where_nothing_was_measured() -> None:
    """Rather than telling what nobody knows."""
    points = tuple(Point(bucket, 1, 1, 1) for bucket in (0, 1, 2, 60, 61))
    (strip,) = timeline(History(AXIS, [attempt()], [Series("Memory", "bytes", points)])).strips
    assert len(strip.lines) == len(strip.areas) == 2
    assert strip.lines[0] == "M0.0 0.0 V0.0 H10.4 V0.0 H20.8 V0.0 H31.2"


def test_attempts_stand_on_their_agents_lane_with_their_loading_apart() -> None:
    """In the order of time; a failed one says why."""
    told = [
        attempt(agent="b"),
        attempt(attempt=2, began_us=13_000_000, ran_us=0, last_us=25_000_000, outcome="failed", why="out of memory"),
    ]
    first, second = timeline(History(AXIS, told, [])).lanes
    assert (first.agent, second.agent) == ("a", "b")
    assert (first.boxes[0].x, first.boxes[0].width, first.boxes[0].loading) == (500, 500, 500)
    assert first.boxes[0].about == "task/0/0, attempt 2: failed, 12 s: out of memory"
    assert round(second.boxes[0].loading, 1) == 41.7


def test_ticks_are_whole_steps_from_the_beginning() -> None:
    """As many as can be read."""
    assert [tick.label for tick in timeline(History(AXIS, [attempt()], [])).ticks] == ["0 s", "5 s", "10 s", "15 s", "20 s"]
    hours = Axis(0, 3 * 3_600_000_000, 1)
    assert [tick.label for tick in timeline(History(hours, [attempt()], [])).ticks] == [
        "0 s", "30 min", "60 min", "90 min", "2 h", "2.5 h", "3 h"
    ]  # fmt: skip


def test_whose_memory_of_a_card_it_is_is_told_apart() -> None:
    """The card's own, the engine's, and that of somebody else's processes, which tells that the measurement was not alone there."""
    none: dict[str, Any] = {"util": None, "power": None, "bucket": 0}
    rows = [none | {"scope": scope, "device": f"GPU-{uuid}", "memory": 2**30} for uuid in "ab" for scope in ("device", "others", "process")]
    names = [one.name for one in _resources([*rows, none | {"scope": "process", "device": "", "memory": 1}]) if one.points]
    assert names == [
        "Memory, GPU 0", "Memory, GPU 0, others", "Memory, GPU 0, engine",
        "Memory, GPU 1", "Memory, GPU 1, others", "Memory, GPU 1, engine",
        "Memory, engine",
    ]  # fmt: skip
