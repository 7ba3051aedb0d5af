"""The planted world that decisions are held to: measurements lie about its truth, and its figures are what they say."""

import numpy as np
import pytest

from benchmarks.decide import ece, told_of
from benchmarks.planted import TASKS, planted


def test_measurements_lie_about_the_truth() -> None:
    """Runs within their error, and scores about the true quality; more of both come nearer."""
    world = planted(3, models=6, devices=3)
    key = world.truth[0].key
    for _ in range(30):
        world.run(key)
    own, true = world.measured[key].figures["goodput_per_s"], world.truth[0].figures["goodput_per_s"].value
    assert own.n == 31
    assert own.value == pytest.approx(true, rel=5 * own.stderr / own.value)
    world.read(TASKS[0], 20_000, world.models[:1])
    share = float(np.nanmean(world.scores[TASKS[0]][0]))
    assert share == pytest.approx(world.truth[0].figures[f"quality:{TASKS[0]}"].value, abs=0.015)
    assert np.isnan(world.scores[TASKS[0]][1]).sum() == 20_000


def test_calibration_by_hand() -> None:
    """Ten times 0.75 said and 7 right: 0.05; said as it came: 0."""
    assert ece(np.full(10, 0.75), np.array([1.0] * 7 + [0.0] * 3)) == pytest.approx(0.05)
    assert ece(np.array([1.0, 0.0]), np.array([1.0, 0.0])) == 0


def test_a_world_is_the_same_whenever_it_is_planted() -> None:
    """And what is said of it too; somebody is chosen whose chances are chances."""
    told = [told_of(planted(seed, models=8, devices=4)) for seed in (1, 2, 3, 4)]
    assert told == [told_of(planted(seed, models=8, devices=4)) for seed in (1, 2, 3, 4)]
    known = [one for one in told if one]
    assert known
    assert all(0 < one.confidence <= 1 and one.regret >= 0 and (one.regret == 0 or not one.right) for one in known)
