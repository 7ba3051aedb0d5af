"""All that a scenario comes to, figure by figure: what has a value with its derivation, what has none with the reason."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from streams.money import breaking_even, hosting, owning, renting, serving, switching
from streams.money.curves import Curve
from streams.money.derivations import Derivation, Given
from streams.money.prices import Undefined
from streams.money.scenarios import Scenario

Formula = Callable[[Scenario], Derivation]


@dataclass(frozen=True, slots=True)
class Reckoned:
    """Figures by name, and why others have no value. `components` are the parts of a year of owning that are not 0."""

    figures: Mapping[str, Derivation]
    undefined: Mapping[str, str]
    components: tuple[Given | Derivation, ...]


def owned_million(scenario: Scenario) -> Derivation:
    """A million tokens of an owned machine at full load, in nUSD."""
    return serving.at_full_load(owning.owned_hour(scenario), scenario)


def owned_against_hosted(scenario: Scenario) -> Derivation:
    """Above how many tokens a month an owned machine's bill is less than a hosted API's."""
    return breaking_even.tokens_against_hosted(owning.owned_month(scenario), scenario)


def owned_right_answer(scenario: Scenario) -> Derivation:
    """What a right answer of an owned machine costs, at full load, in nUSD."""
    return serving.per_correct_answer(owned_million(scenario), scenario)


FORMULAS: Final[Mapping[str, Formula]] = MappingProxyType({
    "per_hour": owning.owned_hour, "per_month": owning.owned_month, "total": owning.present_value,
    "per_1m_tokens_at_full_load": owned_million,
    "rent_per_year_on_demand": renting.on_demand_year, "rent_per_year_reserved": renting.reserved_year,
    "break_even_hours": breaking_even.hours_to_break_even, "break_even_utilisation": breaking_even.utilisation_to_break_even,
    "break_even_hours_per_day": breaking_even.daily_hours_to_break_even, "hosted_per_1m_tokens": hosting.blended,
    "break_even_tokens_per_month": owned_against_hosted, "per_correct_answer": owned_right_answer, "saved_per_year": switching.saved_year,
    "net_present_value": switching.net_present_value, "payback_years": switching.payback,
    "discounted_payback_years": switching.discounted_payback, "return_on_investment": switching.return_on_investment,
})  # fmt: skip


def formulas_of(curve: Curve | None) -> dict[str, Formula]:
    """Every formula; under a day's curve also what a million tokens then cost, owned, and a right answer costs what those tokens do."""
    if curve is None:
        return dict(FORMULAS)

    def loaded(scenario: Scenario) -> Derivation:
        return serving.under_load(owning.owned_day(scenario), curve, scenario)

    return {**FORMULAS, "per_1m_tokens": loaded, "per_correct_answer": lambda one: serving.per_correct_answer(loaded(one), one)}


def reckoned(scenario: Scenario, curve: Curve | None = None) -> Reckoned:
    """All of it; under a day's curve also what a million tokens then cost, owned."""
    formulas = formulas_of(curve)
    figures, undefined = dict[str, Derivation](), dict[str, str]()
    for name, formula in formulas.items():
        try:
            figures[name] = formula(scenario)
        except Undefined as error:
            undefined[name] = str(error)
    return Reckoned(figures, undefined, _components(scenario))


def _components(scenario: Scenario) -> tuple[Given | Derivation, ...]:
    """The parts of a year: capital spread over the years less what comes back, and each running cost. None without a purchase."""
    try:
        year = owning.owned_year(scenario)
    except Undefined:
        return ()
    running = owning.running_year(scenario)
    spread = Derivation("capital", year.value - running.value, "nUSD/year", "owning a year - running", (year, running))
    return tuple(one for one in (spread, *running.inputs) if one.value)
