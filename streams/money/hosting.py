"""What a hosted API bills: input and output tokens at their prices."""

from fractions import Fraction

from streams.money.derivations import Derivation, Given
from streams.money.scenarios import MILLION, Scenario


def blended(scenario: Scenario) -> Derivation:
    """A million tokens of the mix, in nUSD; `output_share` is how much of all tokens is written."""
    read, written, share = scenario.at("input_price"), scenario.at("output_price"), scenario.at("output_share")
    price = read.value * (1 - share.value) + written.value * share.value
    formula = "input price · (1 - output share) + output price · output share"
    return Derivation("a million tokens, hosted", price, "nUSD/1M tokens", formula, (read, written, share))


def billed(scenario: Scenario, tokens: Fraction, *, per: str = "month") -> Derivation:
    """What so many tokens cost, in nUSD."""
    price, many = blended(scenario), Given("tokens", tokens, f"tokens/{per}", "the load")
    return Derivation(f"hosted API, a {per}", price.value * tokens / MILLION, f"nUSD/{per}", "tokens / 10⁶ · price", (price, many))
