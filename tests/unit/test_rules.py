"""Loads held to MLPerf's rules: what early stopping says of a percentile, which rules were kept, and that it is no result of MLPerf's."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from query_api.cli.grids import cells_of
from query_api.cli.measuring import labels_of, preset_of, workload_of
from query_api.reading.ruled import ruled
from schemas.requests import Objective
from streams.external.loads import load_of
from streams.external.writing import written
from streams.speed.performance import Speed
from streams.speed.rules import LABEL, NO_RESULT, SCENARIOS, Check, checks, said
from streams.statistics.order import early_stopped
from tests.unit.test_speed import JOB, tokens
from tests.unit.test_swept_views import OPTIONS
from tests.unit.test_written_loads import answered, job

S = 1e9
GOOD: dict[str, float | None] = {
    "sending": 600 * S, "whole": 601 * S, "requests": 700, "errors": 0, "e2e_p90_early_stopped": 2e8, "ttft_p99_early_stopped": 3e8,
    "tpot_p99_early_stopped": 2e7,
}  # fmt: skip


@pytest.mark.parametrize(("n", "share"), [(64, 0.9), (100, 0.9), (662, 0.99), (1000, 0.99), (5000, 0.9)])
def test_early_stopping_passes_over_as_many_as_chance_allows(n: int, share: float) -> None:
    """By its definition: the most t of n with P(t or fewer of n beyond) of 1 % at most; then the t-th of the greatest is told."""
    t = max(t for t in range(1, n) if binom.cdf(t, n, 1 - share) <= 0.01)
    assert early_stopped(np.arange(n), share) == n - t
    assert early_stopped(np.arange({0.9: 63, 0.99: 661}[share]), share) is None


def test_what_early_stopping_says_holds_in_99_of_100() -> None:
    """The true p90 of uniform values is 0.9: what is told is hardly ever below it, and comes nearer with more values."""
    draw = np.random.default_rng(1)
    told = {n: [early_stopped(np.sort(draw.integers(0, 10**6, n)), 0.9) or 0 for _ in range(1000)] for n in (64, 1000)}
    assert all(np.mean(np.array(values) >= 900_000) >= 0.98 for values in told.values())
    assert np.mean(told[1000]) < np.mean(told[64])


@pytest.mark.parametrize(
    ("scenario", "changed", "broken"),
    [
        ("single-stream", {}, set()),
        ("single-stream", {"sending": 599 * S}, {"duration"}),
        ("single-stream", {"requests": 63, "e2e_p90_early_stopped": None}, {"samples", "early stopping, E2E p90"}),
        ("server", {}, set()),
        ("server", {"requests": 661}, {"samples"}),
        ("server", {"ttft_p99_early_stopped": 6e8}, {"early stopping, TTFT p99"}),
        ("server", {"errors": 2}, {"errors"}),
        ("offline", {"requests": 24_576}, set()),
        ("offline", {"sending": 0.0, "requests": 24_575}, {"samples"}),
        ("offline", {"whole": 10 * S, "requests": 24_576}, {"duration"}),
    ],
)
def test_each_scenario_has_its_rules(scenario: str, changed: dict[str, float | None], broken: set[str]) -> None:
    """600 s, so many samples, no failure, and early stopping's percentile beneath the service level."""
    slo = Objective(ttft_ns=500_000_000, itl_ns=30_000_000, ratio=0.99)
    assert {one.rule for one in checks(scenario, GOOD | changed, slo=slo) if one.kept is False} == broken


def test_without_a_service_level_a_latency_is_told_and_held_to_nothing() -> None:
    """Null is neither kept nor broken."""
    found = {one.rule: one for one in checks("server", GOOD, slo=None)}
    assert found["early stopping, TTFT p99"] == Check("early stopping, TTFT p99", None, "300.0 ms at most, of 99 % confidence")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_preset_asks_for_its_scenario_and_says_so(scenario: str) -> None:
    """Its request is labelled, and so all that is told of its run says that it is no result of MLPerf's."""
    preset = f"mlperf-{scenario}"
    labels = labels_of(preset)
    (cell,) = cells_of(preset_of(preset, OPTIONS | {"repeat": None}))
    told = workload_of(cell)
    assert labels == {LABEL: scenario} and said(labels)[0].startswith(f"{NO_RESULT} (scenario {scenario})")
    assert (told["profile"], told.get("duration_s"), told.get("requests")) == {
        "single-stream": ("single", 600.0, None), "server": ("poisson", 600.0, None), "offline": ("concurrent", None, 24_576),
    }[scenario]  # fmt: skip
    figures: dict[str, dict[str, Any]] = {name: {"value": value} for name, value in GOOD.items()}
    beside = ruled(figures, labels=labels, slo=None)
    assert beside is not None and beside["note"] == NO_RESULT and len(beside["checks"]) >= 3
    assert labels_of("smoke") == labels_of(None) == {} and ruled(figures, labels={}, slo=None) is None and said({}) == ()


@pytest.mark.parametrize("form", ["aiperf", "guidellm"])
def test_what_is_written_for_others_says_it_too(form: str) -> None:
    """In its note."""
    speed = Speed(JOB)
    for one in answered():
        speed.add(one)
        speed.add(tokens(one))
    document = written(load_of(speed.taken(), job(), release="1", remarks=said({LABEL: "server"})), form)
    assert "Not an MLPerf result (scenario server)" in str(document)
