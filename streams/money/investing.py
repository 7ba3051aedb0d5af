"""Whether an upgrade or a switch is worth its money: net present value, payback, return, margin."""

from collections.abc import Sequence
from fractions import Fraction

from streams.money.derivations import Derivation, Given
from streams.money.prices import Undefined


def net_present_value(flows: Sequence[Given | Derivation], discount: Given) -> Derivation:
    """Σ flow_t / (1 + d)^t, the first flow being today's, in nUSD; money spent is negative."""
    value = sum((flow.value / (1 + discount.value) ** t for t, flow in enumerate(flows)), Fraction(0))
    return Derivation("net present value", value, "nUSD", "Σ flow_t / (1 + discount)^t", (*flows, discount))


def payback(spent: Given | Derivation, saved: Given | Derivation) -> Derivation:
    """After how many periods savings that are the same in each have paid for what was spent. Raises: Undefined where nothing is saved."""
    if saved.value <= 0:
        raise Undefined("nothing is saved, so what was spent never comes back")
    return Derivation("payback", spent.value / saved.value, "periods", "spent / saved a period", (spent, saved))


def discounted_payback(flows: Sequence[Given | Derivation], discount: Given) -> Derivation:
    """After how many periods discounted flows add up to 0, in the last one linearly. Raises: Undefined where they never do."""
    sofar = Fraction(0)
    for t, flow in enumerate(flows):
        now = flow.value / (1 + discount.value) ** t
        if sofar < 0 <= sofar + now:
            formula = "the time at which Σ flow_t / (1 + discount)^t reaches 0"
            return Derivation("discounted payback", t - 1 - sofar / now, "periods", formula, (*flows, discount))
        sofar += now
    raise Undefined("the discounted savings never add up to what was spent")


def return_on_investment(gained: Given | Derivation, spent: Given | Derivation) -> Derivation:
    """(gained - spent) / spent. Raises: Undefined where nothing was spent."""
    if not spent.value:
        raise Undefined("nothing was spent, so there is no return on it")
    return Derivation("return on investment", (gained.value - spent.value) / spent.value, "1", "(gained - spent) / spent", (gained, spent))


def margin(price: Given | Derivation, cost: Given | Derivation) -> Derivation:
    """The share of a price that is not its cost: 1 - cost / price. Raises: Undefined where the price is 0."""
    if not price.value:
        raise Undefined("a price of 0 has no margin")
    return Derivation("margin", 1 - cost.value / price.value, "1", "1 - cost / price", (cost, price))
