"""A slice of `make fuzz`: nothing that nobody would send breaks what takes others' bytes."""

import pytest

from tests.fuzzing import Target, crashes, targets

INPUTS = 150


@pytest.mark.parametrize("target", list(targets()), ids=lambda one: one.name)
def test_mutated_inputs_are_values_or_refusals(target: Target) -> None:
    """Of ours, with what is wrong."""
    assert list(crashes(target, inputs=INPUTS, seed=1)) == []


def test_a_crash_would_be_seen() -> None:
    """What raises anything else is told with its input."""
    found = list(crashes(Target("broken", (b"x",), lambda raw: raw.decode("ascii"), (LookupError,)), inputs=200, seed=1))
    assert found and all(isinstance(error, UnicodeDecodeError) for _, error in found)
