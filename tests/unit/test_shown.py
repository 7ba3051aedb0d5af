"""How figures are shown to people."""

import pytest

from query_api.charts import usd


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "$0.00"),
        (1234.5, "$1,234.50"),
        (2.5, "$2.500"),
        (0.0425, "$0.04250"),
        (0.000002016, "$0.000002016"),
        (1e-9, "$0.000000001"),
    ],
)
def test_dollars_have_four_digits_that_count(value: float | None, text: str) -> None:
    """Small amounts are not rounded to nothing."""
    assert usd(value) == text
