"""What the benchmarks of recording reckon with: the least that gaps can take, whole batches, and counters whose truth is known."""

import random
from itertools import pairwise

import pytest

from benchmarks.energy import RANGE_UJ, SCENARIOS, ours
from benchmarks.token_bytes import batch_bytes, least_bytes
from gpu_agent.meters.readings import Reading
from infra.kafka import Outgoing


@pytest.mark.parametrize(("width", "expected"), [(2**16, 2.0), (2**20, 2.5)])
def test_the_least_that_even_chances_take_is_the_logarithm_of_their_number(width: int, expected: float) -> None:
    """Of 65,536 alike gaps two bytes; spacings of 4,000 draws tell it within a fiftieth."""
    chance = random.Random(1)
    assert least_bytes([10**7 + chance.randrange(width) for _ in range(4000)]) == pytest.approx(expected, rel=0.02)


def test_the_least_of_normal_gaps_is_a_normals_entropy() -> None:
    """log2(s √(2πe)) bits: 2.7 bytes of half a millisecond."""
    chance = random.Random(2)
    assert least_bytes([round(chance.gauss(2e7, 5e5)) for _ in range(8000)]) == pytest.approx(2.622, rel=0.01)
    assert least_bytes([7] * 100) == 0


def test_what_goes_together_is_compressed_together() -> None:
    """Ten records that are nearly alike take little more than one."""
    records = [Outgoing("t", b"header " * 30 + bytes([number]), b"key") for number in range(10)]
    assert batch_bytes(records) < 2 * batch_bytes(records[:1]) < 400


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_counters_truth_is_what_we_make_of_it(name: str) -> None:
    """A second apart; where it cannot be read there is no reading."""
    shown, truth = SCENARIOS[name]
    readings: list[Reading] = [
        {"scope": "device", "sensor": "rapl-package", "method": "counter", "device_uuid": "p", "energy_uj": uj, "energy_range_uj": RANGE_UJ,
         "mono_ns": at * 10**9} for at, uj in enumerate(shown) if uj is not None
    ]  # fmt: skip
    assert ours(readings) == truth
    assert all(later is None or 0 <= later < RANGE_UJ for _, later in pairwise(shown))
