"""The energy that a run took, what it costs and emits, and what a thousand output tokens do: energy, water, carbon.

- run: what the meters counted over all of it, E. It costs E · PUE · price of a kWh and emits E · PUE · g/kWh. It is no part of the
  run's cost, for the price of a rented device's hour has its energy in it.
- a thousand output tokens: the energy e that the chips took for them in the steady window; WUE · e litres of water; and the software
  carbon intensity SCI = (E · I + M) / R, R being those tokens: E · I = e · PUE · g/kWh, and M is what making the devices emitted, each by
  the window's part of its lifetime. Of a processor alone its name stands for the device.

Source: PUE and grid intensity, Strubell et al., Energy and Policy Considerations for Deep Learning in NLP (ACL 2019), section 2; SCI,
ISO/IEC 21031:2024, sections 5 and 6; WUE, ISO/IEC 30134-9:2022.
"""

from fractions import Fraction
from typing import Final

from streams.money.cases import Amount, Case, Prices, made_of, measured_at, metered, speed_of, tokens_of, window_s
from streams.money.prices import NANO, S_PER_HOUR, Undefined

THOUSAND: Final = 1000
MILLION: Final = 10**6
UJ_PER_KWH: Final = 3_600_000 * MILLION
UJ_PER_UWH: Final = 3_600
UJ_EACH: Final = "energy_per_output_token_uj"


def energy(case: Case) -> Amount:
    """What the run took, µJ. Raises: Undefined."""
    spent = case.usage.whole
    return Amount(Fraction(metered(spent)), spent.count, grade=spent.grade)


def _by_energy(case: Case, item: str) -> Amount:
    """Over where the run ran, the sum of energy · PUE · the item's price a kWh, in nano-units."""
    whole, prices, total = energy(case), Prices(), Fraction(0)
    for sha, uj in case.usage.whole.uj.items():
        region = case.usage.environment(sha).region
        pue, rate = case.price("pue", region=region), case.price(item, region=region)
        total += Fraction(uj * pue.amount_nano * rate.amount_nano, UJ_PER_KWH * NANO)
        prices |= {price.event_id: price for price in (pue, rate)}
    return Amount(total, whole.n, tuple(prices.values()), whole.grade)


def energy_cost(case: Case) -> Amount:
    """What that costs, nUSD. Raises: Undefined."""
    return _by_energy(case, "kwh")


def emissions(case: Case) -> Amount:
    """What it emits, µg of CO2e. Raises: Undefined."""
    nano_g = _by_energy(case, "gco2_per_kwh")
    return Amount(nano_g.value / 1000, nano_g.n, nano_g.prices, nano_g.grade)


def _token_uj(case: Case) -> Amount:
    """The energy of a thousand output tokens, µJ."""
    each, n = speed_of(case.run, UJ_EACH)
    grade = next((figure.origin for figure in case.run.speed if figure.metric == UJ_EACH), None)
    return Amount(each * THOUSAND, n, grade=grade)


def token_energy(case: Case) -> Amount:
    """What a thousand output tokens take, µWh. Raises: Undefined."""
    energy = _token_uj(case)
    return Amount(energy.value / UJ_PER_UWH, energy.n, grade=energy.grade)


def _per_token_energy(case: Case, *items: str) -> Amount:
    """A thousand output tokens' energy by the product of these items, of which one is a kWh's; in the last item's unit."""
    energy, region = _token_uj(case), case.usage.environment(measured_at(case)).region
    prices = tuple(case.price(item, region=region) for item in items)
    value = energy.value / UJ_PER_KWH
    for price in prices:
        value *= Fraction(price.amount_nano, NANO)
    return Amount(value, energy.n, prices, energy.grade)


def token_water(case: Case) -> Amount:
    """The water that cools for them, nL. Raises: Undefined."""
    litres = _per_token_energy(case, "wue")
    return Amount(litres.value * NANO, litres.n, litres.prices, litres.grade)


def token_emissions(case: Case) -> Amount:
    """What they emit by their energy, µg of CO2e. Raises: Undefined."""
    grams = _per_token_energy(case, "pue", "gco2_per_kwh")
    return Amount(grams.value * MILLION, grams.n, grams.prices, grams.grade)


def token_embodied(case: Case) -> Amount:
    """Each device's grams by the part of its lifetime that the window took, for a thousand of its output tokens; µg."""
    if case.run.served_elsewhere:
        raise Undefined("a server elsewhere answered; what it was made of is not known here")
    seconds, tokens = window_s(case.run)[0], tokens_of(case.run, "output")
    seen, total, prices = case.usage.environment(measured_at(case)), Fraction(0), Prices()
    for name in made_of(seen):
        made, life = (case.price(f"{kind}:{name}", region=seen.region) for kind in ("embodied_gco2", "lifetime_h"))
        total += Fraction(made.amount_nano, life.amount_nano) * seconds / S_PER_HOUR
        prices |= {price.event_id: price for price in (made, life)}
    return Amount(total / tokens * THOUSAND * MILLION, tokens, tuple(prices.values()))


def token_intensity(case: Case) -> Amount:
    """Both together, the software carbon intensity, µg of CO2e. Raises: Undefined."""
    used, made = token_emissions(case), token_embodied(case)
    return Amount(used.value + made.value, used.n, (*used.prices, *made.prices), used.grade)
