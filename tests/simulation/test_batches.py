"""Intervals of means over values that depend on one another cover what they say, as far as their docstring says that they do."""

from collections.abc import Callable

import numpy as np
import pytest

from streams.statistics.batches import Floats, dependent_mean

DRAWS = 120


def waits(draw: np.random.Generator, *, load: float, n: int) -> Floats:
    """Waiting times before service in an M/M/1 queue in its steady state, in units of a service. Source: Lindley's recursion (1952)."""
    steps = draw.exponential(1, n) - draw.exponential(1 / load, n)
    wait, told = draw.exponential(1 / (1 - load)) * (draw.random() < load), np.empty(n)
    for number, step in enumerate(steps):
        told[number] = wait
        wait = max(0.0, wait + step)
    return told


def independent(draw: np.random.Generator) -> Floats:
    """A thousand exponential values."""
    return draw.exponential(1, 1000)


def between_tokens(draw: np.random.Generator) -> Floats:
    """Gaps between the tokens of a hundred requests, each of which has a speed of its own."""
    return np.repeat(draw.normal(1, 0.2, 100), 31) + draw.normal(0, 0.05, 3100)


@pytest.mark.parametrize(
    ("made", "mean", "least"),
    [
        (independent, 1.0, 0.9),
        (between_tokens, 1.0, 0.9),
        (lambda draw: waits(draw, load=0.5, n=2000), 1.0, 0.9),
        (lambda draw: waits(draw, load=0.9, n=2000), 9.0, 0.72),  # five times the queue's memory
    ],
)
def test_the_interval_covers_the_mean(made: Callable[[np.random.Generator], Floats], mean: float, least: float) -> None:
    """Less noise: 120 draws of a share of 0.95 have a standard error of 0.02."""
    draw, covered = np.random.default_rng(7), 0
    for _ in range(DRAWS):
        low, high = dependent_mean(made(draw)).interval or (np.nan, np.nan)
        covered += low <= mean <= high
    assert covered / DRAWS >= least


def test_values_that_depend_on_one_another_are_worth_fewer() -> None:
    """A hundred requests of 31 gaps are worth about a hundred; independent values are worth themselves."""
    draw = np.random.default_rng(7)
    assert 50 < np.median([dependent_mean(between_tokens(draw)).size for _ in range(20)]) < 300
    assert np.median([dependent_mean(independent(draw)).size for _ in range(20)]) == 1000
