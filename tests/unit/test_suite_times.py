"""How long a suite takes: lines through what was measured, and what is reckoned on published rates."""

import pytest

from benchmarks.device_classes import BATCH, CLASSES, DeviceClass, hours
from benchmarks.fitting import Point, fitted, whole

ONE = DeviceClass("one", flop_per_s=1e12, bytes_per_s=1e9, memory_bytes=10**10, source="test")


def point(*, documents: int, s: float = 0.0, flop: float = 0.0) -> Point:
    """A measurement: 700 tokens once, and 30 a document."""
    return Point("m", "t", documents, tokens=700 + 30 * documents, outputs=2 * documents, flop=flop, s=s)


def test_what_a_task_takes_once_is_not_multiplied() -> None:
    """Its examples are read once, however many documents follow."""
    told = whole(point(documents=1), point(documents=4), 1000)
    assert (told["documents"], told["tokens"], told["outputs"]) == (1000, 700 + 30_000, 2000)


def test_seconds_are_taken_apart() -> None:
    """Where they are exactly so many a document, a generated token and an operation, that is found, and nothing is left."""
    given = [(1, 0, 5e9), (4, 90, 6e9), (4, 0, 9e9), (2, 30, 1e9)]
    found = fitted([Point("m", "t", n, 0, outputs, flop, 0.01 * n + 0.002 * outputs + flop / 5e10) for n, outputs, flop in given])
    assert found["s_per_document"] == pytest.approx(0.01)
    assert found["s_per_output"] == pytest.approx(0.002)
    assert 1 / found["s_per_flop"] == pytest.approx(5e10)
    assert found["unexplained_ratio"] == pytest.approx(0, abs=1e-9)


def test_hours_by_hand() -> None:
    """Reading 10^6 tokens with 10^9 parameters is 2 × 10^15 operations; a step reads 2 × 10^9 bytes, which here takes longest."""
    told = hours(ONE, parameters=1e9, prompt_tokens=1e6, output_tokens=100 * BATCH, utilisation=0.5)
    assert told == pytest.approx((2e15 / 1e12 + 100 * 2.0) / 0.5 / 3600)


def test_what_does_not_fit_takes_no_time_at_all() -> None:
    """It is said to be undefined."""
    assert hours(ONE, parameters=5e9, prompt_tokens=1, output_tokens=0, utilisation=0.5) is None


def test_more_takes_longer_and_a_better_device_does_not() -> None:
    """For every class that there is."""
    given = {"parameters": 8e9, "prompt_tokens": 1e7, "output_tokens": 1e6, "utilisation": 0.5}
    for device in CLASSES:
        base = hours(device, **given)
        assert base is not None
        for name in ("parameters", "prompt_tokens", "output_tokens"):
            longer = hours(device, **given | {name: given[name] * 1.1})
            assert longer is not None and longer > base
        assert hours(device, **given | {"utilisation": 0.2}) == pytest.approx(base * 2.5)
