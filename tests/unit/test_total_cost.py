"""Total cost of ownership: what must hold for any machine, rent and load; and what is refused."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import Invalid
from streams.money import breaking_even, carbon, investing, owning, renting, sensitivity, serving
from streams.money.curves import Curve, flat
from streams.money.derivations import NANO, Derivation, Given
from streams.money.ownership import reckoned
from streams.money.prices import Undefined
from streams.money.scenarios import KNOWN, Scenario
from streams.money.sensitivity import Spread

COSTS = ("purchase", "installation", *owning.YEARLY, "running", "kwh", "power", "pue")
amounts = st.integers(1, 10**6)
rates = st.lists(st.integers(0, 50), min_size=1, max_size=24).filter(any)


def machine(**changed: float | Fraction) -> Scenario:
    """A server that somebody might buy, or rent."""
    plain: dict[str, float | Fraction] = {
        "purchase": 250_000, "years": 4, "discount": 0.08, "residual": 0.1, "maintenance": 9000, "staff": 20_000, "power": 6000,
        "idle_power": 1500, "utilisation": 0.5, "pue": 1.3, "kwh": 0.12, "rent": 40, "goodput": 3, "tokens_per_request": 800,
    }  # fmt: skip
    return Scenario.of("a quotation of 2026", **(plain | changed))


def test_present_value_by_hand() -> None:
    """100 bought, 10 a year for two years at 10 %, half of it worth 100 back: 100 + 10/1.1 + 10/1.21 - 50/1.21."""
    told = owning.present_value(Scenario.of("by hand", purchase=100, staff=10, years=2, discount="0.1", residual="0.5"))
    assert told.value == NANO * (100 + 10 / Fraction(11, 10) - 40 / Fraction(121, 100))
    assert told.nano == round(told.value)


def test_power_by_hand() -> None:
    """At half load 1500 + 4500/2 = 3750 W; a year of it at PUE 1.3 and 0.12 USD is 5,124.6 USD."""
    assert owning.power_cost(machine()).usd == pytest.approx(3.75 * 8760 * 1.3 * 0.12)


@given(st.sampled_from(COSTS), amounts)
def test_whatever_costs_more_makes_the_total_no_smaller(name: str, more: int) -> None:
    """No cost lowers the total."""
    before = machine()
    after = before.but("dearer", **{name: before.written(name) + more})
    assert owning.present_value(after).value >= owning.present_value(before).value


@given(st.integers(1, 10), st.fractions(0, Fraction(1, 2), max_denominator=100))
def test_the_years_payments_are_worth_the_total(years: int, discount: Fraction) -> None:
    """Equal yearly payments, discounted, are the present value, exactly."""
    scenario = machine(years=years, discount=discount)
    paid = owning.owned_year(scenario).value
    flows = [Given(f"year {t}", paid if t else Fraction(0), "nUSD", "test") for t in range(years + 1)]
    assert investing.net_present_value(flows, scenario.at("discount")).value == owning.present_value(scenario).value


@given(st.integers(5, 200), st.integers(1, 10**6))
def test_at_break_even_both_cost_the_same(rent: int, purchase: int) -> None:
    """After so many hours capital and running are the rent; at so much use a year owned is a year rented."""
    scenario = machine(rent=rent, purchase=purchase)
    hours = breaking_even.hours_to_break_even(scenario).value
    spent = owning.capital(scenario).value + hours * owning.running_hour(scenario).value
    assert spent == hours * scenario.at("rent").value
    share = breaking_even.utilisation_to_break_even(scenario).value
    if share <= 1:
        # What the machine draws follows its own use, which is left as it was.
        rented = scenario.at("rent").value * scenario.at("hours").value * share
        assert rented == owning.owned_year(scenario).value


def test_owning_that_never_pays_is_said_to_be_so() -> None:
    """It is no number of hours."""
    with pytest.raises(Undefined, match="never pays for itself"):
        breaking_even.hours_to_break_even(machine(rent=1))


def test_spot_and_reserved_by_hand() -> None:
    """Spot pays for what is done again; a reservation pays for the night too, so a used hour at half use costs twice."""
    rented = machine(rent=10, redone=0.1, utilisation=0.5)
    assert renting.spot_year(rented).usd == pytest.approx(10 * 8760 * 0.5 * 1.1)
    assert renting.reserved_year(machine(rent=10, upfront=3000, term=3)).usd == 10 * 8760 + 1000
    assert renting.reserved_hour_used(rented).usd == 20


@given(rates)
def test_under_a_days_load_tokens_are_never_cheaper_than_at_full_load(per_s: list[int]) -> None:
    """What waits for users is paid too; giving replicas back by the hour lies between."""
    scenario, curve = machine(), Curve(tuple(map(Fraction, per_s)))
    hour = owning.owned_hour(scenario)
    full = serving.at_full_load(hour, scenario.but("full", tokens_per_s=3 * 800, utilisation=1)).value
    scaled, peak = (
        serving.scaled_with_load(hour, curve, scenario).value,
        serving.under_load(owning.owned_day(scenario), curve, scenario).value,
    )
    assert full <= scaled <= peak


def test_a_flat_load_at_goodput_costs_what_full_load_does() -> None:
    """One replica at 3 requests a second."""
    scenario = machine()
    full = serving.at_full_load(owning.owned_hour(scenario), scenario.but("full", tokens_per_s=2400, utilisation=1))
    assert serving.under_load(owning.owned_day(scenario), flat(Fraction(3)), scenario).value == full.value


@pytest.mark.parametrize("hours", [8760, 1825, 100])
def test_what_is_paid_each_month_does_not_hang_on_the_hours_that_a_machine_is_on(hours: int) -> None:
    """60,000 USD over five years are 1,000 a month; at 1 USD a million that is 10⁹ tokens; 432·10⁶ a day cost 0.0761 each."""
    scenario = Scenario.of(
        "test", purchase=60_000, years=5, hours=hours, input_price=1, output_price=1, goodput=10, tokens_per_request=1000, rent=10
    )
    found = reckoned(scenario, flat(Fraction(5))).figures
    assert found["per_month"].usd == 1000
    assert found["break_even_tokens_per_month"].value == 10**9
    assert found["per_1m_tokens"].usd == pytest.approx(12_000 / 365 / 432)
    assert found["break_even_hours_per_day"].value == Fraction(12_000, 10 * 365)  # 1,200 rented hours a year cost what the machine does


def test_a_right_answer_costs_the_tokens_of_the_load_that_is_stated() -> None:
    """1 request of 1,000 tokens a second: 0.38 USD a million, so 500 tokens, half right, are 0.00038 USD."""
    scenario = Scenario.of(
        "test", purchase=60_000, goodput=10, tokens_per_request=1000, tokens_per_s=20_000, tokens_per_answer=500, right=0.5
    )
    found = reckoned(scenario, flat(Fraction(1))).figures
    assert found["per_correct_answer"].usd == pytest.approx(12_000 / 365 / 86.4 * 500 / 1e6 / 0.5)
    assert reckoned(scenario).figures["per_correct_answer"].usd == pytest.approx(found["per_correct_answer"].usd / 20)


def test_a_right_answer_costs_all_answers() -> None:
    """A million tokens for 2 USD, 500 an answer, a quarter right: 0.004 USD."""
    million = Derivation("a million tokens", Fraction(2 * NANO), "nUSD/1M tokens", "stated")
    assert serving.per_correct_answer(million, Scenario.of("test", tokens_per_answer=500, right=0.25)).usd == 0.004


def test_paybacks_by_hand() -> None:
    """100 spent, 60 saved a year: after 1.67 years; at 10 % after 1 + (100 - 54.5)/49.6."""
    flows = [Given(str(t), Fraction(value), "nUSD", "test") for t, value in enumerate((-100, 60, 60))]
    rate = Given("discount", Fraction(1, 10), "1/year", "test")
    assert investing.payback(Given("spent", Fraction(100), "nUSD", "t"), flows[1]).value == Fraction(5, 3)
    assert float(investing.discounted_payback(flows, rate).value) == pytest.approx(1 + (100 - 60 / 1.1) / (60 / 1.21))
    with pytest.raises(Undefined, match="never"):
        investing.discounted_payback(flows[:2], rate)


def test_every_figure_opens_down_to_who_states_what() -> None:
    """Each leaf has a unit and a source, each step a formula; what nobody stated says that it is a default."""
    opened = [one for _, one in owning.owned_hour(machine()).opened()]
    stated = [one for one in opened if isinstance(one, Given)]
    assert all(one.formula for one in opened if isinstance(one, Derivation))
    assert {one.source for one in stated} == {"a quotation of 2026", "default"}
    assert {one.name for one in stated} >= {"purchase", "years", "residual", "pue", "kwh"}


@pytest.mark.parametrize(
    ("figure", "parts"),
    [
        ("net_present_value", {"today", "year 4", "rent", "purchase", "residual", "staff", "discount"}),
        ("discounted_payback_years", {"today", "year 1", "rent", "purchase", "discount"}),
        ("return_on_investment", {"gained", "year 4", "rent", "purchase", "residual"}), ("payback_years", {"capital", "rent", "purchase"}),
    ],
)  # fmt: skip
def test_what_buying_saves_opens_down_to_the_rent_that_it_takes_the_place_of(figure: str, parts: set[str]) -> None:
    """No figure stops at a number that is only said to be reckoned."""
    opened = [one for _, one in reckoned(machine()).figures[figure].opened()]
    assert {one.name for one in opened} >= parts
    assert {one.source for one in opened if isinstance(one, Given)} == {"a quotation of 2026", "default"}


def test_a_scenario_is_reckoned_whole() -> None:
    """Its parts add up to the year; what cannot be reckoned says why; under a day's load tokens cost more than at full load."""
    scenario = machine(tokens_per_s=2400, utilisation=1, input_price=0.5, output_price=2, tokens_per_answer=300, right=0.6)
    told = reckoned(scenario, Curve((Fraction(1), Fraction(5))))
    assert sum(one.value for one in told.components) == owning.owned_year(scenario).value
    assert told.figures["per_month"].value == told.figures["per_hour"].value * 730
    assert told.figures["per_1m_tokens"].value > told.figures["per_1m_tokens_at_full_load"].value
    assert not told.undefined
    flows = -owning.capital(scenario).value + scenario.at("years").value * told.figures["saved_per_year"].value
    assert told.figures["net_present_value"].value < flows + scenario.at("purchase").value  # what comes later counts for less
    assert told.figures["payback_years"].value * told.figures["saved_per_year"].value == owning.capital(scenario).value
    bare = reckoned(Scenario.of("test", purchase=100, years=1))
    assert bare.undefined["break_even_hours"] == "rent (USD/hour) is not stated; state it with its source"
    assert [one.name for one in bare.components] == ["capital"]
    assert reckoned(Scenario.of("test", rent=1)).components == ()


def test_tornado_puts_what_moves_most_first() -> None:
    """The purchase moves the hour more than the price of power does; at both ends it is the formula's own value."""
    spreads = {"kwh": Spread(0.10, 0.14), "purchase": Spread(200_000, 300_000)}
    bars = sensitivity.tornado(owning.owned_hour, machine(), spreads)
    assert [bar.name for bar in bars] == ["purchase", "kwh"]
    assert bars[0].high == pytest.approx(float(owning.owned_hour(machine(purchase=300_000)).value))


def test_monte_carlo_is_seeded_and_holds_its_middle() -> None:
    """The same seed, the same band; of a uniform input the band is where its percentiles are."""
    spreads = {"purchase": Spread(100_000, 200_000, "uniform")}
    scenario = Scenario.of("test", purchase=150_000, years=1)
    band = sensitivity.monte_carlo(owning.present_value, scenario, spreads, draws=400)
    assert band == sensitivity.monte_carlo(owning.present_value, scenario, spreads, draws=400)
    assert [one / NANO for one in (band.low, band.middle, band.high)] == pytest.approx([105_000, 150_000, 195_000], rel=0.07)
    assert band.undefined_ratio == 0


def test_a_band_says_how_often_there_is_no_break_even() -> None:
    """Where rent may lie below what running costs, some draws have none."""
    scenario = machine(rent=4)
    running = owning.running_hour(scenario).usd
    band = sensitivity.monte_carlo(
        breaking_even.hours_to_break_even, scenario, {"rent": Spread(running / 2, running * 1.5, "uniform")}, draws=200
    )
    assert 0.35 < band.undefined_ratio < 0.65


@pytest.mark.parametrize("shape", ["uniform", "triangular", "normal", "lognormal"])
def test_drawn_inputs_have_their_stated_spread(shape: sensitivity.Shape) -> None:
    """Between the ends, or with nine in ten between them."""
    scenario = Scenario.of("test", purchase=150, years=1)
    band = sensitivity.monte_carlo(owning.present_value, scenario, {"purchase": Spread(100, 200, shape)}, draws=500)
    assert 100 * NANO * 0.93 < band.low < band.middle < band.high < 200 * NANO * 1.07


@pytest.mark.parametrize(
    ("name", "spread"),
    [
        ("utilisation", Spread(0.8, 1, "normal")), ("pue", Spread(1.05, 1.5, "lognormal")), ("discount", Spread(0.02, 0.5, "lognormal")),
        ("residual", Spread(0, 0.2, "normal")), ("years", Spread(3, 5)), ("purchase", Spread(1, 1e30, "lognormal")),
    ],
)  # fmt: skip
def test_a_draw_is_within_what_its_input_may_be(name: str, spread: Spread) -> None:
    """A normal use between 80 % and 100 % reaches beyond 1, and is 1 there; years are whole."""
    band = sensitivity.monte_carlo(lambda one: Derivation(name, one.written(name), "1", "as drawn"), machine(), {name: spread}, draws=200)
    known = KNOWN[name]
    assert known.least <= band.low <= band.middle <= band.high and (known.most is None or band.high <= known.most)
    sensitivity.monte_carlo(owning.present_value, machine(), {name: spread}, draws=50)


def test_carbon_by_hand() -> None:
    """1,000 requests of 0.2 Wh at PUE 1.15 on a grid of 475 g/kWh, and an A100's 143 kg over five years for an hour."""
    made = carbon.embodied(
        Given("A100", Fraction(143_000), "g", "LLMCarbon (2023)"), hours=Given("h", Fraction(1), "h", "t"),
        life_hours=Given("life", Fraction(5 * 8760), "h", "t"), share=Given("share", Fraction(1), "1", "t"),
    )  # fmt: skip
    scenario = Scenario.of("IEA 2019", energy=0.2, pue=1.15, grid=475, embodied=made.value, units=1000)
    assert float(made.value) == pytest.approx(3.2648, rel=1e-4)
    assert float(carbon.intensity(scenario).value) == pytest.approx((0.2 * 1.15 * 475 + 143_000 / 43_800) / 1000)


def test_a_grid_without_a_year_is_refused() -> None:
    """Sources differ by year."""
    with pytest.raises(Invalid, match="say of which year"):
        carbon.operational(Scenario.of("the internet", energy=1, grid=475))


@pytest.mark.parametrize(
    ("source", "values", "says"),
    [
        ("", {"purchase": 1}, "has no source"), ("x", {"purchse": 1}, "there is no input 'purchse'"),
        ("x", {"pue": 0.9}, "pue is 0.9; it must be at least 1"), ("x", {"residual": 2}, "at most 1"),
        ("x", {"purchase": "dear"}, "is no number"), ("x", {"purchase": float("nan")}, "is no number"),
    ],
)  # fmt: skip
def test_inputs_that_cannot_be_are_refused(source: str, values: dict[str, float], says: str) -> None:
    """With what is wrong."""
    with pytest.raises(Invalid, match=says):
        Scenario.of(source, **values)


def test_what_must_be_stated_is_asked_for() -> None:
    """There is no default price."""
    with pytest.raises(Undefined, match="is not stated; state it with its source"):
        owning.present_value(Scenario.of("test", years=1))
    with pytest.raises(Invalid, match="whole years"):
        owning.present_value(Scenario.of("test", purchase=1, years=1.5))
    assert all(known.unit for known in KNOWN.values())


def test_a_load_of_nothing_and_a_speed_of_nothing_have_no_price() -> None:
    """They are refused, not infinite."""
    with pytest.raises(Invalid, match="one above 0"):
        Curve((Fraction(0),))
    with pytest.raises(Undefined, match="goodput is 0"):
        serving.replicas(Fraction(1), machine(goodput=0))
