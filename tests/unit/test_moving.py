"""Sliders of a calculation: each begins exactly at what is stated, within what the input may be, and states the rest unchanged."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.drawing.moving import others, sliders
from query_api.pages.calculating import FIELDS, asked_by
from query_api.pages.rendering import TEMPLATES
from streams.money.scenarios import KNOWN, Scenario

LABELS = [field for group in FIELDS.values() for field in group]


@given(st.sampled_from([name for name, _ in LABELS]), st.decimals(0, 10**9, places=6))
def test_a_slider_begins_at_what_is_stated(name: str, number: Decimal) -> None:
    """On one of its steps, as a browser counts them, and its ends are values that the input may have."""
    known = KNOWN[name]
    value = max(number, Decimal(float(known.least)))
    value = min(value, Decimal(float(known.most))) if known.most is not None else value
    for one in sliders(Scenario.of("a quote of 2026", **{name: str(value)}), LABELS):
        low, high, step, stated = (Decimal(text) for text in (one.low, one.high, one.step, one.value))
        assert low <= stated <= high and stated == value
        assert (stated - low) % step == 0 == (high - low) % step
        Scenario.of("moved, 2026", **{name: one.low})
        Scenario.of("moved, 2026", **{name: one.high})


@pytest.mark.parametrize(("stated", "ends"), [("98.32", ("0.32", "196.32", "2")), ("10 %", ("0", "0.2", "0.002")), ("0", None)])
def test_it_reaches_to_twice_what_is_stated(stated: str, ends: tuple[str, str, str] | None) -> None:
    """In steps that people read; of nothing nobody knows how far it could go."""
    name = "headroom" if "%" in stated else "rent"
    found = sliders(asked_by({name: stated, "years": "5", "source": "a quote of 2026"}).scenario, LABELS)
    assert [(one.low, one.high, one.step) for one in found if one.name == name] == ([ends] if ends else [])
    assert [(one.low, one.high, one.step) for one in found if one.name == "years"] == [("1", "10", "1")]


def test_the_form_of_sliders_states_all_that_was_stated() -> None:
    """What has no slider is sent along, so that the address stays the calculation's."""
    asked = {"purchase": "1000", "rent": "2 EUR", "spread": "20 %", "source": "quotes of 2026", "maintenance": "0", "staff": ""}
    found = sliders(asked_by(asked | {"rent": "2"}).scenario, LABELS)
    assert others(asked, found) == {"spread": "20 %", "source": "quotes of 2026", "maintenance": "0"}
    page = TEMPLATES.env.get_template("costs.html").render(
        fields={}, found={"figures": [], "undefined": {}}, sliders=found, others=others(asked, found), asked=asked, tornadoes=[], summary=[]
    )
    assert page.count('type="range"') == 2 and page.count('type="hidden"') == 3
    assert '<input type="range" name="purchase" min="0" max="2000" step="20" value="1000">' in page
