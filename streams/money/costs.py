"""What a run cost, and what its speed makes tokens cost: the figures that follow from what was used and from the price book.

Money is reckoned exactly, in fractions of a nano-USD, and rounded once, at the end of each figure, half to even. The prices are those that
held when the run's first attempt began. A figure that cannot be reckoned says why.

- run: over all attempts, (last report - first report) · the price of an hour of the agent / 3600 s.
- tokens: the workload's steady window costs W = window · the agent's price. Prefill has the share s = mean prefill / (mean prefill + mean
  decode) of the time that serving a request took, without the time that it waited for its turn; decode has the rest. A million input tokens
  cost W · s / input tokens · 10⁶, a million output tokens W · (1 - s) / output tokens · 10⁶; what was read and what was written thus cost
  W together. Without a split, a million tokens cost W / (input + output) · 10⁶.
- correct answer: what the attempts of the tasks that count right answers cost, and what their meters counted, / the right answers; those
  guessed right are among them.
- energy, water and emissions: emitting.py.

Source: cost as device-seconds a token, Pope et al., Efficiently Scaling Transformer Inference (MLSys 2023), section 2.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from schemas.jobs import EnvironmentSeen
from schemas.results import Figure, PricePublished
from schemas.settled import RunSettled
from streams.money import emitting
from streams.money.cases import Amount, Case, Prices, Spent, Usage, measured_at, metered, speed_of, tokens_of, window_s
from streams.money.prices import PriceBook, Undefined
from streams.settling.attempts import unfolded

FORMULA_VERSION: Final = "cost-5"
MILLION: Final = 10**6


@dataclass(frozen=True, slots=True)
class Summary:
    """A run's figures under one version of the price book; `digest` names exactly what they rest on."""

    price_version: str
    figures: tuple[Figure, ...]
    digest: str
    latest_us: int


def summaries(
    run: RunSettled, book: PriceBook, environments: Mapping[str, EnvironmentSeen], *, since: Collection[str] = ()
) -> Iterator[Summary]:
    """A summary for each version of the price book whose prices make another one than the versions before it; the oldest first.

    `since`: versions that have new prices; where there are some, only what these may have changed is given: the oldest of them, and newer
    ones. None for a run that has no attempt: it has used nothing. Each is given once it is reckoned: many versions of a long run take
    seconds.
    Raises: Invalid, where the attempts cannot be read.
    """
    usage, said = Usage(unfolded(run), environments), set[tuple[str, ...]]()
    if usage.run.plan is None or not (usage.run.attempts or usage.run.attempts_untold):
        return
    versions = usage.versions(book)
    least = min(map(book.age, since)) if since else None
    first = sum(book.age(version) < least for version in versions) if least else 0
    # No later version uses the same prices as one before the last: what it took the place of does not come back.
    for number, version in enumerate(versions[max(first - 1, 0) :], start=max(first - 1, 0)):
        figures, prices = reckoned(Case(usage, book, version))
        used = tuple(sorted(price.event_id for price in prices))
        if number >= first and used not in said:
            latest_us = max([run.occurred_us, *(price.occurred_us for price in prices)])
            yield Summary(version, figures, _digest(run, figures, used), latest_us)
        said.add(used)


def _digest(run: RunSettled, figures: Iterable[Figure], used: Iterable[str]) -> str:
    told = [FORMULA_VERSION, *(figure.model_dump_json() for figure in figures), *used, run.inputs_digest]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def reckoned(case: Case) -> tuple[tuple[Figure, ...], tuple[PricePublished, ...]]:
    """Every figure, and the prices that they rest on."""
    figures, prices = list[Figure](), Prices()
    for metric, (unit, reckon) in METRICS.items():
        try:
            amount = reckon(case)
        except Undefined as error:
            figures.append(Figure(metric=metric, value=None, n=0, unit=unit, why_undefined=str(error)))
            continue
        origin = amount.grade or ", ".join(f"{price.item} ({price.version})" for price in amount.prices)
        figures.append(Figure(metric=metric, value=float(round(amount.value)), n=amount.n, unit=unit, origin=origin))
        prices |= {price.event_id: price for price in amount.prices}
    return tuple(figures), tuple(prices.values())


def _run(case: Case) -> Amount:
    if case.run.served_elsewhere:
        raise Undefined("a server elsewhere answered, and what it bills for a whole run is not known")
    return _occupied(case, case.usage.whole)


def _occupied(case: Case, spent: Spent) -> Amount:
    """What the attempts' time costs."""
    total, prices = Fraction(0), Prices()
    for sha, us in spent.us.items():
        hour = case.hour(sha)
        total += hour.second_usd_nano * Fraction(us, MILLION)
        prices |= {price.event_id: price for price in hour.prices}
    return Amount(total, spent.count, tuple(prices.values()))


def _correct_answer(case: Case) -> Amount:
    spent, right = case.usage.answering
    cost = _occupied(case, spent)
    return Amount(cost.value / right, right, cost.prices)


def _correct_answer_energy(case: Case) -> Amount:
    spent, right = case.usage.answering
    return Amount(Fraction(metered(spent), right), right, grade=spent.grade)


def _window(case: Case) -> Amount:
    """What the workload's steady window costs."""
    seconds, requests = window_s(case.run)
    hour = case.hour(measured_at(case))
    return Amount(hour.second_usd_nano * seconds, requests, hour.prices)


def _prefill_share(run: RunSettled) -> Fraction:
    (prefill, _), (decode, _) = speed_of(run, "prefill_mean"), speed_of(run, "decode_mean")
    if prefill <= 0 or decode <= 0:
        raise Undefined("each answer came all at once, so that prefill and decode cannot be told apart")
    return prefill / (prefill + decode)


def _input_tokens(case: Case) -> Amount:
    if case.run.served_elsewhere:
        return _billed(case, "input")
    tokens, window = tokens_of(case.run, "input"), _window(case)
    return Amount(window.value * _prefill_share(case.run) / tokens * MILLION, tokens, window.prices)


def _output_tokens(case: Case) -> Amount:
    if case.run.served_elsewhere:
        return _billed(case, "output")
    tokens, window = tokens_of(case.run, "output"), _window(case)
    return Amount(window.value * (1 - _prefill_share(case.run)) / tokens * MILLION, tokens, window.prices)


def _all_tokens(case: Case) -> Amount:
    read, written = tokens_of(case.run, "input"), tokens_of(case.run, "output")
    if case.run.served_elsewhere:
        one, other = _billed(case, "input"), _billed(case, "output")
        return Amount((one.value * read + other.value * written) / (read + written), read + written, (*one.prices, *other.prices))
    window = _window(case)
    return Amount(window.value / (read + written) * MILLION, read + written, window.prices)


def _billed(case: Case, side: str) -> Amount:
    """What a server elsewhere bills for a million tokens of the model."""
    plan = case.run.plan
    regions = {case.usage.environment(sha).region for sha in case.usage.whole.us}
    price = case.price(f"api_{side}_token:{plan.model.uri if plan else ''}", region=min(regions))
    return Amount(Fraction(price.amount_nano), tokens_of(case.run, side), (price,))


METRICS: Final[Mapping[str, tuple[str, Callable[[Case], Amount]]]] = MappingProxyType({
    "run_usd_nano": ("nUSD", _run),
    "per_1m_input_tokens_usd_nano": ("nUSD", _input_tokens),
    "per_1m_output_tokens_usd_nano": ("nUSD", _output_tokens),
    "per_1m_tokens_usd_nano": ("nUSD", _all_tokens),
    "per_correct_answer_usd_nano": ("nUSD", _correct_answer),
    "per_correct_answer_uj": ("µJ", _correct_answer_energy),
    "energy_uj": ("µJ", emitting.energy),
    "energy_usd_nano": ("nUSD", emitting.energy_cost),
    "co2e_ug": ("µg", emitting.emissions),
    "per_1k_output_tokens_uwh": ("µWh", emitting.token_energy),
    "per_1k_output_tokens_water_nl": ("nL", emitting.token_water),
    "per_1k_output_tokens_co2e_ug": ("µg", emitting.token_emissions),
    "per_1k_output_tokens_embodied_ug": ("µg", emitting.token_embodied),
    "per_1k_output_tokens_sci_ug": ("µg", emitting.token_intensity),
})  # fmt: skip
