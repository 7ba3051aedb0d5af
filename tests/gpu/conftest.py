"""Tests that need an NVIDIA GPU, and nvidia-smi beside it: where these are not here each fails, and says what lacks."""

import pytest

from benchmarks import cards


@pytest.fixture(autouse=True, scope="session")
def card() -> None:
    """There is a card."""
    if why := cards.lacking():
        pytest.fail(why, pytrace=False)
