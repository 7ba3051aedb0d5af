"""Boards tell what a server can take under a service level beside its latency alone, and say which level that is."""

from typing import Any

import pytest

from query_api.pages.leaderboard import COLUMNS, ordered
from query_api.reading.capacities import told_of
from schemas.requests import Objective
from schemas.results import Figure

SLO = Objective(ttft_ns=500_000_000, ratio=0.9).model_dump_json()


def row(value: float | None, *, slo: str | None = SLO) -> dict[str, Any]:
    """A run's newest figures, as ClickHouse has them."""
    figure = Figure(metric="slo_rate_per_s", value=value, low=7.5, high=9.0, n=3, method="circular block bootstrap, 2000 draws")
    return {"run_id": "r", "slo": slo, "figure": figure.model_dump_json()}


def test_the_highest_rate_is_told_with_its_interval_and_its_level() -> None:
    """As the sweep found it."""
    assert told_of(row(8.0)) == {
        "rate_per_s": 8.0, "low": 7.5, "high": 9.0, "method": "circular block bootstrap, 2000 draws",
        "slo": {"ttft_s": 0.5, "itl_s": None, "e2e_s": None, "ratio": 0.9},
    }  # fmt: skip


@pytest.mark.parametrize("told", [row(None), row(8.0, slo=None), {"run_id": "r", "slo": SLO, "figure": ""}])
def test_where_no_rate_kept_a_level_nothing_is_told(told: dict[str, Any]) -> None:
    """Nor where there was no level, or no sweep."""
    assert told_of(told) is None


def test_a_board_is_sorted_by_either_figure() -> None:
    """Less latency is better, and more requests; headings tell the two apart."""
    rows = [
        {"model": name, "ttft_p50_s": ttft, "under_rate": rate} for name, ttft, rate in (("a", 0.1, 2.0), ("b", 0.2, 9.0), ("c", 0.3, None))
    ]
    assert [one["model"] for one in ordered(rows, "ttft")] == ["a", "b", "c"]
    assert [one["model"] for one in ordered(rows, "under-slo")] == ["b", "a", "c"]
    heads = {column.name: column.heading for column in COLUMNS}
    assert (heads["ttft"], heads["under-slo"]) == ("TTFT p50 alone", "Requests/s under its service level")
