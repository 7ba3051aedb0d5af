"""What tokens and answers cost where they are served: at full load, and under a day's load within the service level.

A machine that keeps the service level answers `goodput` requests a second, and no more; at the day's peak there must be enough of them, and
at night they are still there. So a million tokens cost what the replicas cost in a day over the tokens of the day. At full load, which
price pages show, the same machine makes cheaper tokens than any that waits for users.

Source: goodput as throughput within the service level, Zhong et al., DistServe (OSDI 2024), section 2.
"""

import math
from fractions import Fraction

from streams.money.curves import Curve
from streams.money.derivations import Derivation, Given
from streams.money.prices import Undefined
from streams.money.scenarios import HOURS_PER_DAY, MILLION, S_PER_HOUR, Scenario


def at_full_load(hour: Derivation | Given, scenario: Scenario) -> Derivation:
    """A million tokens at `tokens_per_s` for the share `utilisation` of the time, in nUSD. Raises: Undefined where no token is made."""
    speed, used = scenario.at("tokens_per_s"), scenario.at("utilisation")
    if not speed.value * used.value:
        raise Undefined("no token is made: tokens_per_s and utilisation must be above 0")
    price = hour.value / (speed.value * used.value * S_PER_HOUR) * MILLION
    formula = f"an hour / (tokens a second · utilisation · {S_PER_HOUR}) · 10⁶"
    return Derivation("a million tokens at full load", price, "nUSD/1M tokens", formula, (hour, speed, used))


def replicas(per_s: Fraction, scenario: Scenario) -> Derivation:
    """How many replicas a rate of requests needs: rate · (1 + headroom) / goodput, rounded up, and at least one. Raises: Undefined."""
    goodput, headroom = scenario.at("goodput"), scenario.at("headroom")
    if not goodput.value:
        raise Undefined("no request is answered within the service level: goodput is 0, and no number of replicas is enough")
    rate = Given("requests a second", per_s, "requests/s", "the load")
    count = max(1, math.ceil(per_s * (1 + headroom.value) / goodput.value))
    formula = "⌈requests a second · (1 + headroom) / goodput⌉"
    return Derivation("replicas", Fraction(count), "1", formula, (rate, headroom, goodput))


def under_load(day: Derivation | Given, curve: Curve, scenario: Scenario) -> Derivation:
    """A million tokens where the peak's replicas are there all day, in nUSD; `day` is what one of them costs a day."""
    peak, tokens = replicas(curve.peak, scenario), _tokens_of_day(curve, scenario)
    price = day.value * peak.value / tokens.value * MILLION
    formula = "a day · replicas at the peak / tokens of the day · 10⁶"
    return Derivation("a million tokens under the day's load", price, "nUSD/1M tokens", formula, (day, peak, tokens))


def scaled_with_load(hour: Derivation | Given, curve: Curve, scenario: Scenario) -> Derivation:
    """A million tokens where each stretch of the day runs just the replicas that it needs, in nUSD: what can be given back by the hour."""
    each = tuple(replicas(rate, scenario) for rate in curve.per_s)
    value = sum((one.value for one in each), Fraction(0)) * HOURS_PER_DAY / len(each)
    hours = Derivation("replica hours a day", value, "hours/day", "Σ replicas of each stretch of the day · its hours", each)
    tokens = _tokens_of_day(curve, scenario)
    price = hour.value * hours.value / tokens.value * MILLION
    formula = "an hour · replica hours a day / tokens of the day · 10⁶"
    return Derivation("a million tokens under the day's load", price, "nUSD/1M tokens", formula, (hour, hours, tokens))


def _tokens_of_day(curve: Curve, scenario: Scenario) -> Derivation:
    requests = Given("requests of the day", curve.requests, "requests", "the load")
    each = scenario.at("tokens_per_request")
    if not each.value:
        raise Undefined("a request has no token: tokens_per_request must be above 0")
    return Derivation(
        "tokens of the day", requests.value * each.value, "tokens", "requests of the day · tokens a request", (requests, each)
    )


def per_correct_answer(million: Derivation, scenario: Scenario) -> Derivation:
    """What one right answer costs, in nUSD: an answer's tokens at their price over the share that is right. Raises: Undefined for none."""
    tokens, right = scenario.at("tokens_per_answer"), scenario.at("right")
    if not right.value:
        raise Undefined("no answer is right, so a right one has no price")
    cost = million.value * tokens.value / MILLION / right.value
    formula = "a million tokens / 10⁶ · tokens an answer / share that is right"
    return Derivation("a right answer", cost, "nUSD", formula, (million, tokens, right))
