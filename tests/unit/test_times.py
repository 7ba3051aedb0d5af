"""Times that no calendar has, which others may write by Kafka, are shown as microseconds wherever a time is shown."""

import ast
from pathlib import Path
from typing import Any

import pytest

from query_api.cli import access, external, prices
from query_api.pages.rendering import clock, moment
from query_api.reading import external as read_external
from streams.times import day, utc
from streams.times import moment as told_moment

ROOT = Path(__file__).parents[2]
ODD = (2**63 - 1, -(2**63), 10**18)
AT_US = 1_764_460_800_000_000  # 2025-11-30


def test_a_time_is_told_in_utc() -> None:
    """Its date, to the second, or in a form."""
    assert (day(AT_US), told_moment(AT_US), utc(AT_US, "%H:%M")) == ("2025-11-30", "2025-11-30T00:00:00Z", "00:00")
    assert day(-62_135_596_800_000_000) == "0001-01-01"
    assert (moment(AT_US), moment(None), clock(AT_US)) == ("2025-11-30 00:00:00", "–", "00:00:00")


@pytest.mark.parametrize("at_us", ODD)
def test_a_time_that_no_calendar_has_stops_no_page_and_no_command(at_us: int) -> None:
    """One event of it stood on everybody's page."""
    as_told = f"{at_us} µs"
    figure: dict[str, Any] = dict.fromkeys(("stderr", "unit")) | {
        "measured_us": at_us, "source": "s", "filter": "none", "metric": "acc", "form": "", "value": 1.0, "harness_version": "",
        "model": "m", "task": "t",
    }  # fmt: skip
    price = {"item": "pue", "amount_nano": 1, "unit": "1", "currency": "", "region": "any", "valid_from_us": at_us, "valid_to_us": at_us}
    assert read_external._row(figure)["measured"] == as_told
    assert external._row(figure)[-1] == as_told
    assert prices._row(price)[-2:] == (as_told, as_told)
    assert access._day(at_us) == as_told
    assert {moment(at_us), clock(at_us), day(at_us), told_moment(at_us)} == {as_told}


def test_times_are_made_texts_in_one_place() -> None:
    """Who writes `datetime.fromtimestamp` of a time that others told must think of those that no calendar has."""
    held = {"streams/times.py", "streams/external/figures.py", "query_api/cli/budgets.py"}
    files = (file for folder in ("agents", "infra", "query_api", "streams", "schemas") for file in (ROOT / folder).rglob("*.py"))
    found = {
        str(file.relative_to(ROOT))
        for file in files
        if "fromtimestamp" in (text := file.read_text())
        and any(isinstance(node, ast.Attribute) and node.attr == "fromtimestamp" for node in ast.walk(ast.parse(text)))
    }
    assert found == held
