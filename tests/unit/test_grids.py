"""Grids of loads: which loads are run, and how they are drawn."""

from typing import Any

import pytest

from query_api.cli.grids import cells_of
from query_api.drawing.grids import HEATS, maps
from streams.errors import Invalid

ONE: dict[str, Any] = {
    "batch": None,
    "concurrency": None,
    "requests": None,
    "duration": None,
    "input_tokens": "64",
    "output_tokens": "32",
    "sweep": False,
    "trace": None,
    "slo": None,
    "profile": None,
    "rate": None,
}


def lengths(cells: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Profile, concurrency, and lengths of each."""
    return [(one["profile"], one["concurrency"], one["input_tokens"], one["output_tokens"]) for one in cells]


def test_one_value_of_each_is_one_load_as_it_was_asked_for() -> None:
    """Without a profile of its own."""
    assert lengths(cells_of(ONE)) == [(None, None, 64, 32)]
    assert lengths(cells_of(ONE | {"concurrency": "4", "profile": "concurrent"})) == [("concurrent", 4, 64, 32)]


def test_several_values_are_every_way_to_take_one_of_each() -> None:
    """Of lengths alone one request is in flight; a value that is there twice is one."""
    assert lengths(cells_of(ONE | {"concurrency": "1,4", "input_tokens": "8,16,8"})) == [
        ("concurrent", 1, 8, 32), ("concurrent", 1, 16, 32), ("concurrent", 4, 8, 32), ("concurrent", 4, 16, 32)
    ]  # fmt: skip
    assert lengths(cells_of(ONE | {"output_tokens": "2,3"})) == [("concurrent", 1, 64, 2), ("concurrent", 1, 64, 3)]


def test_a_batch_is_as_many_in_flight_as_there_are() -> None:
    """Several are a grid, with lengths too."""
    found = cells_of(ONE | {"batch": "8,64", "output_tokens": "2,3"})
    assert [(one["profile"], one["concurrency"], one["requests"], one["output_tokens"]) for one in found] == [
        ("concurrent", 8, 8, 2), ("concurrent", 8, 8, 3), ("concurrent", 64, 64, 2), ("concurrent", 64, 64, 3)
    ]  # fmt: skip
    assert [(one["profile"], one["requests"]) for one in cells_of(ONE | {"batch": "5"})] == [("concurrent", 5)]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"batch": "8", "requests": 9}, "leave out --requests"),
        ({"batch": "8", "sweep": True}, "leave out --sweep"),
        ({"batch": "8", "rate": 3.0}, "leave out --rate"),
        ({"input_tokens": "8,16", "rate": 3.0}, "leave the other one out"),
        ({"batch": "x"}, "--batch x: give a whole number"),
        ({"concurrency": "1,x"}, r"--concurrency 1,x: give a whole number, or several as 1,4,16"),
        ({"input_tokens": ""}, r"--input-tokens : give a whole number"),
        ({"concurrency": "1,2", "sweep": True}, "leave the other one out"),
        ({"concurrency": "1,2", "profile": "poisson"}, "leave the other one out"),
        ({"concurrency": ",".join(map(str, range(1, 102)))}, "a grid of 101 loads is more than the 100"),
    ],
)
def test_a_wrong_grid_says_what_to_give(changed: dict[str, Any], says: str) -> None:
    """Before anything runs."""
    with pytest.raises(Invalid, match=says):
        cells_of(ONE | changed)


def cell(run_id: str, concurrency: int | None, read: int, tokens_per_s: float | None, **more: Any) -> dict[str, Any]:
    """A load's cell as the API tells it."""
    figure = None if tokens_per_s is None else {"value": tokens_per_s, "low": None, "high": None, "method": None}
    figures = {"output_tokens_per_s": figure, "ttft_p50_s": None, "itl_p50_s": None, "joules_per_token": None}
    return {
        "run_id": run_id,
        "state": "completed",
        "concurrency": concurrency,
        "input_tokens": read,
        "output_tokens": 4,
        "figures": figures,
    } | more


def test_a_map_has_the_deepest_shade_where_there_is_most() -> None:
    """What was not asked for is empty, what is under way says so, and of one that was asked for twice the newest run counts."""
    cells = [
        cell("a", None, 8, 10.0),
        cell("b", 4, 8, 30.0),
        cell("c", 4, 16, None, state="running"),
        cell("d", 4, 8, 20.0),
        cell("e", 16, 8, 30.0),
    ]
    (told,) = maps(cells)
    assert (told.title, told.columns, [name for name, _ in told.rows]) == ("Output tokens/s", ("1", "4", "16"), ["8 → 4", "16 → 4"])
    first, second = (row for _, row in told.rows)
    assert [(one.run_id, one.text, one.heat) for one in first if one] == [
        ("a", "10.0", 0),
        ("d", "20.0", round(HEATS / 2)),
        ("e", "30.0", HEATS),
    ]
    assert [one and (one.text, one.heat) for one in second] == [None, ("running", None), None]
    assert len(maps([cell("a", 1, 8, None)])) == 1
