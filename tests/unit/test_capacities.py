"""Boards tell what a server can take under a service level, and what so many at a time bring, beside its latency alone, and say which."""

from typing import Any

import pytest

from query_api.pages.leaderboard import COLUMNS, ordered
from query_api.reading.capacities import told_of
from query_api.reading.runs import queries
from schemas.requests import Objective
from schemas.results import Figure

SLO = Objective(ttft_ns=500_000_000, ratio=0.9).model_dump_json()


def row(value: float | None, *, slo: str | None = SLO) -> dict[str, Any]:
    """A run's newest figures, as ClickHouse has them."""
    figure = Figure(metric="slo_rate_per_s", value=value, low=7.5, high=9.0, n=3, method="circular block bootstrap, 2000 draws")
    return {"run_id": "r", "slo": slo, "figures": [figure.model_dump_json()]}


def test_the_highest_rate_is_told_with_its_interval_and_its_level() -> None:
    """As the sweep found it."""
    assert told_of(row(8.0))["under_slo"] == {
        "rate_per_s": 8.0, "low": 7.5, "high": 9.0, "method": "circular block bootstrap, 2000 draws",
        "slo": {"ttft_s": 0.5, "itl_s": None, "e2e_s": None, "ratio": 0.9},
    }  # fmt: skip


@pytest.mark.parametrize("told", [row(None), row(8.0, slo=None), {"run_id": "r", "slo": SLO, "figures": []}])
def test_where_no_rate_kept_a_level_nothing_is_told(told: dict[str, Any]) -> None:
    """Nor where there was no level, or no sweep."""
    assert told_of(told) == {"under_slo": None, "at_concurrency": None}


@pytest.mark.parametrize(("tokens", "told"), [(625.0, {"tokens_per_s": 625.0, "concurrency": 8}), (None, None)])
def test_what_a_closed_load_brought_is_told_with_how_many_it_was_of(tokens: float | None, told: dict[str, Any] | None) -> None:
    """And never without."""
    figures = [Figure(metric="concurrent_tokens_per_s", value=tokens, n=9), Figure(metric="concurrency", value=8.0, n=9)]
    assert told_of({"run_id": "r", "slo": None, "figures": [one.model_dump_json() for one in figures]})["at_concurrency"] == told
    assert told_of({"run_id": "r", "slo": None, "figures": [figures[0].model_dump_json()]})["at_concurrency"] is None


def test_a_board_is_sorted_by_either_figure() -> None:
    """Less latency is better, and more requests; headings tell the two apart."""
    rows = [
        {"model": name, "ttft_p50_s": ttft, "under_rate": rate} for name, ttft, rate in (("a", 0.1, 2.0), ("b", 0.2, 9.0), ("c", 0.3, None))
    ]
    assert [one["model"] for one in ordered(rows, "ttft")] == ["a", "b", "c"]
    assert [one["model"] for one in ordered(rows, "under-slo")] == ["b", "a", "c"]
    heads = {column.name: column.heading for column in COLUMNS}
    assert (heads["ttft"], heads["under-slo"]) == ("TTFT p50 alone", "Requests/s under its service level")


@pytest.mark.parametrize("name", ["performance", "levels", "beside_latency"])
def test_the_tenth_version_of_a_formula_comes_after_the_ninth(name: str) -> None:
    """As texts it would come after the first, and figures of the ninth would stand for a run that both have reckoned."""
    assert queries()[name].count("length(formula_version), formula_version") == queries()[name].count(" formula_version")
