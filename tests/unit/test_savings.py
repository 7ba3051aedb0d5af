"""What would save against what runs now: the month under the load, the quality that it costs, and what cannot be known."""

from typing import Any

import pytest

from query_api.pages.rendering import TEMPLATES
from query_api.pages.saving import spans
from query_api.reading.deciding import saving
from query_api.routes.savings import told as as_told
from schemas.event import Event
from schemas.requirements import Allowed, Latency, Requirement, Traffic
from streams.deciding.measured import Field, Priced
from streams.deciding.savings import Savings
from streams.errors import Invalid, NotFound
from tests import measured
from tests.runs import run_named

TASK = measured.planned("gsm8k")
GOOD, BAD = 0.7, 0.5
WANTED: dict[str, Any] = {
    "tasks": {"gsm8k": 1.0}, "latency": Latency(ttft_p95_s=1.0),
    "traffic": Traffic(curve_per_s=(20.0,), input_tokens=800, output_tokens=200),
}  # fmt: skip
PLACES = {"H100": measured.environment("H100"), "L40S": measured.environment("L40S"), "unpriced": measured.environment("unpriced")}
# By name: the model, where, how many requests a second it serves there, and the share of right answers.
RUNS: dict[int, tuple[str, str, float, float]] = {
    1: ("large", "H100", 13.0, GOOD), 2: ("large", "L40S", 7.0, GOOD), 3: ("small", "L40S", 26.0, BAD),
    4: ("large", "unpriced", 40.0, GOOD), 5: ("twin", "L40S", 26.0, GOOD),
}  # fmt: skip


def found(now: int = 1, **more: Any) -> Savings:
    """What would save against one of the runs."""
    return answered(now, **more)[0]


def answered(
    now: int = 1, *, margin: float = 0.01, runs: tuple[int, ...] = tuple(RUNS), prices: Priced | None = None, **more: Any
) -> tuple[Savings, Field]:  # fmt: skip
    """The same, and everybody who was weighed."""
    events: list[Event] = [*PLACES.values()]
    for number in runs:
        model, place, rate, share = RUNS[number]
        values = measured.rights(share, seed=3)
        events += measured.run(number, model, PLACES[place], scores={TASK: values}, speed=measured.load(rate, goodput_per_s=rate))
    return saving(Requirement(**(WANTED | more)), measured.evidence(events), prices or measured.priced(), run_named(now), margin)


def test_what_is_cheaper_and_as_good_is_listed_with_its_month() -> None:
    """24 requests a second at the peak: two H100 at 3 USD an hour, or four L40S, or one L40S of a twin; a month has 730 hours."""
    told = found()
    assert (told.now.hardware, told.replicas) == ("H100", 2)
    assert told.usd_per_month.value == pytest.approx(2 * 3 * 730)
    assert [(one.candidate.model, one.replicas, one.changes) for one in told.found] == [
        ("twin", 1, ("model", "hardware")), ("large", 4, ("hardware",)),
    ]  # fmt: skip
    assert [one.saved_usd_per_month.value for one in told.found] == pytest.approx([(6 - 1) * 730, (6 - 4) * 730])
    assert [one.saved_ratio for one in told.found] == pytest.approx([5 / 6, 2 / 6])
    assert told.unlikely == 1


def test_the_same_weights_lose_nothing_and_a_worse_model_saves_where_that_is_taken() -> None:
    """What shares its documents' draws differs by exactly 0; twenty points less are told with their interval."""
    (_, same) = found().found
    assert same.quality_difference.value == same.quality_difference.low == same.quality_difference.high == 0.0
    assert same.chance > 0.9
    told = {one.candidate.model: one for one in found(margin=0.3).found}
    difference = told["small"].quality_difference
    assert difference.value == pytest.approx(BAD - GOOD, abs=0.01)
    assert difference.low < difference.value < difference.high < -0.1


def test_what_breaks_a_constraint_is_not_listed() -> None:
    """Though it is cheaper."""
    told = found(allowed=Allowed(hardware=("H100", "L40S"), models=("large",)))
    assert [(one.candidate.model, told.unlikely) for one in told.found] == [("large", 2)]
    assert found(now=5).found == ()


@pytest.mark.parametrize(("given", "why"), [
    ({"traffic": None}, "state traffic: rate, input and output"), ({"tasks": {}}, "name the tasks that count"),
    ({"now": 4}, "no price is known for its hardware"), ({"latency": Latency(ttft_p95_s=0.01), "now": 2}, None),
])  # fmt: skip
def test_what_cannot_be_known_says_what_to_do(given: dict[str, Any], why: str | None) -> None:
    """Without a load, a price or a score; a level that nobody keeps leaves nothing to list."""
    if why is None:
        assert found(**given).found == ()
        return
    with pytest.raises(Invalid, match=why):
        found(**given)


def test_a_run_that_nothing_stands_on_is_told() -> None:
    """Unknown, or not completed here."""
    with pytest.raises(NotFound, match="nothing stands on run"):
        found(now=9)


def test_the_page_has_every_figure_with_its_interval_and_draws_them_around_zero() -> None:
    """Without a script: who would take its place, what it saves, what of quality it costs, and the runs behind it."""
    told = as_told(*answered(margin=0.3), (), margin=0.3)
    shown = spans(told)
    page = TEMPLATES.env.get_template("savings.html").render(found=told, asked={"run": run_named(1)}, runs=[], margin="0.01", **shown)
    assert "3 measured alternatives would save" in page
    assert page.count("<tr>") == 1 + 3 and page.count('role="img"') == 2 * 3
    first = told.savings[0].saved_usd_per_month
    assert f"${first.value:,.2f}<small>${first.low:,.2f} – ${first.high:,.2f}</small>" in page
    assert f'href="/runs/{run_named(3)}"' in page and f'<option value="{run_named(1)}" selected>' in page
    (spans_of_saved, zero) = shown["saved"]
    assert zero == 50 and all(zero < one.low <= one.point <= one.high <= 100 for one in spans_of_saved)


def test_the_page_says_where_nothing_would_save() -> None:
    """And how many were cheaper."""
    told = as_told(*answered(now=5), ("gpu_hour:H100 in region any: of 2024-12-30",), margin=0.01)
    page = TEMPLATES.env.get_template("savings.html").render(found=told, asked={"run": run_named(5)}, runs=[], **spans(told))
    assert "Nothing that was measured would save" in page and "<table" not in page and "gpu_hour:H100 in region any: of 2024-12-30" in page


def test_what_runs_now_is_told_as_it_would_be_paid_otherwise() -> None:
    """Spot at a third of the hour with a tenth of the work done again, and a reservation; without that assumption spot is not told."""
    prices = measured.priced()
    for item, amount, unit, currency in (
        ("spot_gpu_hour:H100", 1.0, "device-hour", "USD"), ("reserved_3y_gpu_hour:H100", 1.5, "device-hour", "USD"),
        ("reserved_1y_gpu_hour:L40S", 0.5, "device-hour", "USD"),
    ):  # fmt: skip
        prices.book.fold(measured.price(item, amount, unit=unit, currency=currency))
    before = {one.way: one.usd_per_month for one in answered(prices=prices)[0].otherwise}
    assert before == {"reserved for 3 years": pytest.approx(2 * 1.5 * 730)}
    prices.book.fold(measured.price("spot_redone", 0.1, unit="1", currency=""))
    spot, reserved = answered(prices=prices)[0].otherwise
    assert (spot.way, spot.redone_ratio) == ("spot", 0.1) and spot.usd_per_month == pytest.approx(2 * 1.0 * 1.1 * 730)
    assert reserved.way == "reserved for 3 years" and spot.sources == ("test",)
