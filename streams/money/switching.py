"""What buying instead of renting on demand saves over the years, as flows of money, and whether that is worth it."""

from fractions import Fraction

from streams.money import investing, owning, renting
from streams.money.derivations import Derivation
from streams.money.scenarios import Scenario


def saved_year(scenario: Scenario) -> Derivation:
    """What a year of owning saves of the rent that it takes the place of, the capital left out; in nUSD."""
    rent, running = renting.on_demand_year(scenario), owning.running_year(scenario)
    return Derivation("saved a year", rent.value - running.value, "nUSD/year", "renting a year, on demand - running", (rent, running))


def flows(scenario: Scenario) -> tuple[Derivation, ...]:
    """Capital out today, what is saved at each year's end, and what the machine is still worth at the last one's; in nUSD."""
    capital, saved, years = owning.capital(scenario), saved_year(scenario), owning.whole_years(scenario)
    residual, purchase = scenario.at("residual"), scenario.at("purchase")
    back = Derivation("worth at the end", residual.value * purchase.value, "nUSD", "residual · purchase", (residual, purchase))
    between = (Derivation(f"year {year}", saved.value, "nUSD", "saved a year", (saved,)) for year in range(1, years))
    last = Derivation(f"year {years}", saved.value + back.value, "nUSD", "saved a year + worth at the end", (saved, back))
    return (Derivation("today", -capital.value, "nUSD", "- capital", (capital,)), *between, last)


def net_present_value(scenario: Scenario) -> Derivation:
    """What buying is worth today against renting, in nUSD; below 0 renting is the better."""
    return investing.net_present_value(flows(scenario), scenario.at("discount"))


def payback(scenario: Scenario) -> Derivation:
    """After how many years what is saved has paid for what was bought. Raises: Undefined where nothing is saved."""
    return investing.payback(owning.capital(scenario), saved_year(scenario))


def discounted_payback(scenario: Scenario) -> Derivation:
    """The same with what comes later counting for less. Raises: Undefined where it never does."""
    return investing.discounted_payback(flows(scenario), scenario.at("discount"))


def return_on_investment(scenario: Scenario) -> Derivation:
    """What comes back over the years beyond what was spent, over that; not discounted. Raises: Undefined where nothing was spent."""
    _, *later = flows(scenario)
    gained = Derivation("gained", sum((flow.value for flow in later), Fraction(0)), "nUSD", "Σ flow_t, t = 1 … years", tuple(later))
    return investing.return_on_investment(gained, owning.capital(scenario))
