"""Did it help: shares of decisions with intervals, by hand; and costs as people state them."""

import asyncio
import csv
import io
from typing import Any, cast

import pytest

from infra.kafka import Log
from query_api.drawing.calculating import as_csv, break_even, rows, tornado
from query_api.pages.calculating import told_by as costs_told
from query_api.pages.recommending import told_by
from query_api.producing.deciding import report
from query_api.routes.calculations import told as answered
from schemas.decisions import DecisionRecorded, OutcomeReported
from streams.deciding.outcomes import Decided, confident, saved
from streams.errors import Invalid
from streams.money.calculating import calculated
from streams.money.reading import calculation_of
from streams.money.scenarios import is_dated
from streams.statistics.intervals import wilson
from streams.trust.visibility import Seen
from tests.in_memory import CODEC, InMemory
from tests.pool import STAMP

LENOVO: dict[str, Any] = {
    "source": "Lenovo Press LP2368, 2026", "inputs": {"purchase": "250141.80 USD", "running": 6.37, "rent": 98.32, "years": 5}
}  # fmt: skip


def test_the_share_of_sure_decisions_and_what_they_saved() -> None:
    """Three of four were sure; two outcomes, one of them dearer than before; what nobody said counts for nothing."""
    made = [Decided(0.9, 1000, 600), Decided(0.8, 1000, 1200), Decided(0.95, None, 5), Decided(0.5, 0, 5), Decided(None, None, None)]
    sure, helped = confident(made), saved(made)
    assert (sure.value, sure.n) == (0.75, 4)
    assert (sure.low, sure.high) == wilson(0.75, 4)
    assert helped.value == pytest.approx(0.1)
    assert helped.n == 2
    assert helped.low is not None and helped.high is not None and helped.low < 0.1 < helped.high
    nobody = saved([])
    assert (nobody.value, nobody.n) == (None, 0) and "assay decisions outcome" in (nobody.why_undefined or "")


def test_the_last_report_of_an_outcome_holds_whatever_revision_others_gave_theirs() -> None:
    """The same again is nothing; what follows a huge revision has a number that the wire can carry."""

    async def reported() -> list[tuple[int, int | None]]:
        log = InMemory()
        log.write(DecisionRecorded(
            occurred_us=0, producer=STAMP, decision_id="d", recommendation_id=None, candidate=None, chosen="x", by="me", stated_ratio=None,
            confidence=None,
        ))  # fmt: skip
        one = OutcomeReported(occurred_us=0, producer=STAMP, decision_id="d", revision=0, by="me", before_usd_nano=None, after_usd_nano=5)
        said = [await report(cast(Log, log), one, seen=Seen()), await report(cast(Log, log), one, seen=Seen())]
        log.write(OutcomeReported.model_validate(dict(one) | {"event_id": "", "revision": 2**63 - 1, "after_usd_nano": 1}))
        said += [await report(cast(Log, log), one, seen=Seen()), await report(cast(Log, log), one, seen=Seen())]
        for event in said:
            assert CODEC.decode(CODEC.encode(event), OutcomeReported) == event
        return [(event.revision, event.after_usd_nano) for event in said]

    assert asyncio.run(reported()) == [(0, 5), (0, 5), (2, 5), (2, 5)]


def test_a_calculation_comes_to_the_published_figures_and_opens_them() -> None:
    """2,720 hours and 12.08 USD an hour; down to who states each input. Source: Lenovo Press LP2368 (2026)."""
    found = answered(calculated(calculation_of(LENOVO | {"spread": "10 %"}))).model_dump()
    assert found["usd_per_hour"] == pytest.approx(12.08, rel=1e-3)
    assert found["break_even_hours"] == pytest.approx(2720, rel=1e-3)
    one = next(figure for figure in found["figures"] if figure["figure"] == "break_even_hours")
    assert {part["source"] for part in one["opened"] if part["name"] in ("purchase", "rent")} == {"Lenovo Press LP2368, 2026"}
    assert {part["source"] for part in one["opened"] if part["name"] == "installation"} == {"default"}
    hangs = next(each for each in found["sensitivity"] if each["figure"] == "break_even_hours")
    assert hangs["low"] < 2720 < hangs["high"]
    bars, band = tornado(hangs)
    assert {bar.name for bar in bars} == {"purchase", "rent", "running"}
    assert 0 <= band.low <= band.point <= band.high <= 100
    chart = break_even(found)
    assert chart is not None and chart.owned[0] < chart.owned[1] < 100


def test_an_export_has_every_figure_and_no_formula_of_a_spreadsheet() -> None:
    """What was stated follows; a source that begins as a formula is shown as text."""
    found = answered(calculated(calculation_of(LENOVO | {"source": "=HYPERLINK(2026)"}))).model_dump()
    assert [row[0] for row in rows(found)][: len(found["figures"])] == [one["figure"] for one in found["figures"]]
    assert "'=HYPERLINK(2026)" in as_csv(found) and ",=HYPERLINK" not in as_csv(found)


@pytest.mark.parametrize("name", ["figure", "unit", "formula", "source"])
def test_a_number_in_front_makes_no_text_harmless(name: str) -> None:
    """-2+3 and a command behind it are a formula; a value below zero alone stays the number that it is."""
    hostile = "-2+3+cmd|' /C calc'!A0"
    one = {"figure": "saved", "value": -1.5, "unit": "USD", "formula": "a", "source": "b", "opened": []} | {name: hostile}
    (row,) = list(csv.DictReader(io.StringIO(as_csv({"figures": [one], "undefined": {}}))))
    assert (row[name], row["value"]) == (f"'{hostile}", "-1.5")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"inputs": {}}, "state at least purchase or rent"),
        ({"inputs": {"purchase": "100 CHF"}}, "CHF, which has no rate"),
        ({"inputs": {"purchase": 5, "years": "5 apples"}}, "years has the unit 'apples'; its unit is years"),
        ({"inputs": {"prchase": 5}}, "there is no input 'prchase'"),
        ({"inputs": {"rent": {"value": 2, "source": "a price page"}}}, "without a date"),
        ({"source": ""}, "has no source"),
        ({"spread": "200 %"}, "it is a share, from 0 to 1"),
        ({"spread": 1}, "between 0 % and 100 %"),
        ({"spreads": {"rent": [120, 60]}}, "write the lower end first"),
        ({"spreads": {"rent": {"low": 1, "high": 2, "shape": "flat"}}}, "there are uniform, triangular"),
        ({"curve": {"0-8": "2/s"}}, "the curve has holes"),
        ({"colour": 1}, "no field 'colour'"),
        ({"inputs": {"purchase": 5, "rent": "98.32 USD/day"}}, "rent is an amount each day; write it in USD/hour"),
        ({"inputs": {"purchase": "5 USD/month"}}, "purchase is an amount each month; write it in USD, once"),
        ({"inputs": {"purchase": 5, "kwh": "300 USD/year"}}, "kwh is an amount each year; write it in USD/kWh or USD/MWh"),
        ({"spreads": {"rent": ["1 EUR", "2 EUR"]}}, "EUR, which has no rate"),
        ({"spreads": {"rent": ["1 %", "2 %"]}}, "rent is in %, which has no rate"),
        ({"spread": "0.2 EUR"}, "spread is '0.2 EUR'; it is a share"),
        ({"rates": {"EUR": 0}}, "rates.EUR is 0; write the USD"),
        ({"rates": {"EUR": "1.08 GBP"}}, "rates.EUR is '1.08 GBP'; write the USD"),
        ({"rates": {"USD": 0.5}}, "amounts are in USD"),
    ],
)
def test_a_wrong_calculation_says_what_is_wrong(changed: dict[str, Any], says: str) -> None:
    """With the field, its value and what to write."""
    with pytest.raises(Invalid) as refusal:
        calculated(calculation_of(LENOVO | changed))
    assert says in str(refusal.value)


def test_a_currency_with_a_rate_is_a_number_of_dollars() -> None:
    """200 EUR at 1.25; a share in percent."""
    told = {"inputs": {"purchase": "200 EUR", "discount": "5 %"}, "rates": {"EUR": 1.25}, "source": "me, 2026"}
    asked = calculation_of(told)
    assert (float(asked.scenario.written("purchase")), float(asked.scenario.written("discount"))) == (250, 0.05)


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("maintenance", "100 USD/month", 1200), ("staff", "10 EUR/day", 4562.5), ("kwh", "300 USD/MWh", 0.3),
        ("input_price", "0.001 USD/1k tokens", 1), ("input_price", "0.000001 USD/token", 1), ("rent", "2 EUR/hour", 2.5),
    ],
)  # fmt: skip
def test_a_price_is_read_each_what_it_is_told_for(name: str, written: str, value: float) -> None:
    """And is told in the input's own unit."""
    asked = calculation_of({"source": "me, 2026", "inputs": {name: written}, "rates": {"EUR": "1.25 USD"}})
    assert float(asked.scenario.written(name)) == value


def test_ends_of_a_spread_are_in_the_units_that_they_are_written_in() -> None:
    """Percent of a share, and euros of a price."""
    told = {"source": "me, 2026", "inputs": {"rent": "2 EUR", "discount": "5 %"}, "rates": {"EUR": 1.25}}
    spreads = calculation_of(told | {"spreads": {"rent": ["1 EUR", 3], "discount": {"low": "2 %", "high": "8 %"}}}).spreads
    assert {name: (one.low, one.high) for name, one in spreads.items()} == {"rent": (1.25, 3), "discount": (0.02, 0.08)}


def test_forms_tell_what_their_fields_say() -> None:
    """Pairs with weights, names by commas, amounts as they are; what is empty is not asked for."""
    query = {
        "tasks": "gsm8k: 2, mmlu",
        "floors": "",
        "ttft_p95": " 800 ms ",
        "hardware": "L40S, H100",
        "points": "quality: 10",
        "threshold": "",
    }
    assert told_by(query) == {
        "latency": {"ttft_p95": "800 ms"}, "allowed": {"hardware": ["L40S", "H100"]}, "tasks": {"gsm8k": "2", "mmlu": "1"},
        "prefer": {"points": {"quality": "10"}},
    }  # fmt: skip
    for field in ("floors", "rates", "curve"):
        with pytest.raises(Invalid, match=f"{field} has gsm8k without a value"):
            told_by({field: "a: 1, gsm8k"})
    with pytest.raises(Invalid, match="tasks has gsm8k twice"):
        told_by({"tasks": "gsm8k, gsm8k: 2"})
    told = costs_told({"purchase": "5", "rent": "", "spread": "10 %"})
    assert told == {"source": "entered on this page", "inputs": {"purchase": "5"}, "spread": "10 %"}
    with pytest.raises(Invalid, match="purchase is of 'entered on this page', without a date"):
        calculation_of(told)


@pytest.mark.parametrize(
    ("source", "dated"),
    [
        ("my quotes of 2026-11-20", True), ("price list, 2026-11", True), ("me, 2026", True), ("2026 list", True),
        ("(2025), table IV", True),
        ("June 2026, Dell", True), ("EPA eGRID 2023.", True), ("list of 2026: 5 USD", True),
        ("my quotes", False), ("RTX 2080 shop", False), ("RTX 2000 Ada", False), ("quote no. 2012 for 1999 USD", False),
        ("$2000 offer", False), ("LP2225", False), ("2000 EUR from Dell", False), ("order #2024", False), ("2.2026 units", False),
    ],
)  # fmt: skip
def test_a_source_is_dated_by_a_year_and_by_no_other_number(source: str, dated: bool) -> None:
    """A device's, a quotation's and an amount's are none."""
    assert is_dated(source) == dated
