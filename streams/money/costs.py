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
- energy: what the meters counted over the whole run, E. It costs E · PUE · price of a kWh and emits E · PUE · g/kWh. It is no part of the
  run's cost, for the price of a rented device's hour has its energy in it.
- a thousand output tokens: the energy e that the chips took for them in the steady window; WUE · e litres of water; and the software
  carbon intensity SCI = (E · I + M) / R, R being those tokens: E · I = e · PUE · g/kWh, and M is what making the devices emitted, each by
  the window's part of its lifetime. Of a processor alone its name stands for the device.

Source: cost as device-seconds a token, Pope et al., Efficiently Scaling Transformer Inference (MLSys 2023), section 2; energy and emissions
by PUE and grid intensity, Strubell et al., Energy and Policy Considerations for Deep Learning in NLP (ACL 2019), section 2; SCI, ISO/IEC
21031:2024, sections 5 and 6; WUE, ISO/IEC 30134-9:2022.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from types import MappingProxyType
from typing import Final

from schemas.jobs import EnvironmentSeen
from schemas.results import Figure, PricePublished
from schemas.runs import PlannedTask
from schemas.settled import AttemptUsed, RunSettled
from streams.money.prices import NANO, S_PER_HOUR, AgentHour, PriceBook, Undefined, agent_hour
from streams.planning import is_perf, task_of
from streams.settling.attempts import unfolded
from streams.speed.sensors import known_of, together

FORMULA_VERSION: Final = "cost-5"
THOUSAND: Final = 1000
MILLION: Final = 10**6
UJ_PER_KWH: Final = 3_600_000 * MILLION
UJ_PER_UWH: Final = 3_600
UJ_EACH: Final = "energy_per_output_token_uj"
Prices = dict[str, PricePublished]  # by event id
# The main metrics of lm-eval 0.4.13's tasks whose mean is the share of right answers.
COUNTING: Final = frozenset({"acc", "acc_norm", "acc_mutual_info", "exact_match", "em", "exact", "accuracy", "pass@1", "pass_at_1"})


@dataclass(frozen=True, slots=True)
class Amount:
    """An exact value, how many things it rests on, and the prices in it. `grade` is the energy's."""

    value: Fraction
    n: int
    prices: tuple[PricePublished, ...] = ()
    grade: str | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What some attempts took: of each environment, in the order in which they were met, how long (µs) and how much energy (µJ).

    `unmetered`: why the energy is not known; `grade` is that of the worst meter.
    """

    count: int
    us: Mapping[str | None, int]
    uj: Mapping[str | None, int]
    unmetered: str | None
    grade: str


@dataclass(frozen=True)
class Usage:
    """What a run used: the same under every version of the price book, and counted once. Its attempts are told one by one."""

    run: RunSettled
    environments: Mapping[str, EnvironmentSeen]

    @cached_property
    def whole(self) -> Spent:
        """By all of its attempts. Raises: Undefined, where its result does not tell them."""
        if self.run.attempts_untold:
            raise Undefined(self.run.attempts_untold)
        return _spent(self.run, self.run.attempts)

    @cached_property
    def answering(self) -> tuple[Spent, int]:
        """By the attempts of the tasks that count right answers, and how many were right. Raises: Undefined."""
        plan = self.run.plan
        counting = [planned for planned in (plan.tasks if plan else ()) if planned.main_metric in COUNTING]
        if self.run.attempts_untold:
            raise Undefined(self.run.attempts_untold)
        if not counting:
            raise Undefined("no task of the run counts right answers")
        right = sum(_right(self.run, planned) for planned in counting)
        if right == 0:
            raise Undefined("no answer was correct")
        names = {planned.task for planned in counting}
        return _spent(self.run, [one for one in self.run.attempts if not is_perf(one.job_id) and task_of(one.job_id) in names]), right

    @cached_property
    def began_us(self) -> int:
        """When the first attempt began: the time whose prices hold for the whole run."""
        return min((attempt.first_us for attempt in self.run.attempts), default=0)

    def environment(self, sha: str | None) -> EnvironmentSeen:
        """Where an attempt ran. Raises: Undefined."""
        found = self.environments.get(sha or "")
        if found is None:
            raise Undefined(f"environment {sha} has not been seen, so its devices are not known")
        return found

    def versions(self, book: PriceBook) -> tuple[str, ...]:
        """The versions of the book whose prices may make a difference to the run: no other has one that holds for it."""
        named = {one.environment_sha or "" for one in self.run.attempts}
        seen = [self.environments[sha] for sha in named if sha in self.environments]
        uri = self.run.plan.model.uri if self.run.plan else ""
        items = {"cpu_hour", "kwh", "pue", "wue", "gco2_per_kwh", f"api_input_token:{uri}", f"api_output_token:{uri}"}
        items |= {f"gpu_hour:{device.name}" for one in seen for device in one.devices}
        items |= {f"{kind}:{name}" for one in seen for name in made_of(one) for kind in ("embodied_gco2", "lifetime_h")}
        return book.versions_of(items, regions={one.region for one in seen}, at_us=self.began_us)


def _spent(run: RunSettled, attempts: Sequence[AttemptUsed]) -> Spent:
    us, uj = dict[str | None, int](), dict[str | None, int]()
    for one in attempts:
        us[one.environment_sha] = us.get(one.environment_sha, 0) + one.last_us - one.first_us
        uj[one.environment_sha] = uj.get(one.environment_sha, 0) + (one.energy_uj or 0)
    grade = together(known for one in attempts for known in known_of(one.energy_grade)) or ""
    return Spent(len(attempts), us, uj, _unmetered(run, attempts), grade)


def _unmetered(run: RunSettled, attempts: Sequence[AttemptUsed]) -> str | None:
    """Why the energy of attempts is not known; None where each was metered: half of a run's energy is not its energy."""
    if run.served_elsewhere:
        return "a server elsewhere answered; its energy is not metered here"
    if all(one.energy_uj is None for one in attempts):
        return "no meter here"
    missing = next((one for one in attempts if one.energy_uj is None), None)
    return f"no meter where {missing.job_id} ran, on {missing.agent_id}" if missing else None


@dataclass(frozen=True, slots=True)
class Case:
    """A run under the price book as of a version."""

    usage: Usage
    book: PriceBook
    version: str

    @property
    def run(self) -> RunSettled:
        """The run."""
        return self.usage.run

    def hour(self, sha: str | None) -> AgentHour:
        """What an hour of an agent in that environment costs. Raises: Undefined."""
        seen, at_us = self.usage.environment(sha), self.usage.began_us
        return agent_hour(seen.devices, seen.cores, book=self.book, at_us=at_us, region=seen.region, version=self.version)

    def price(self, item: str, *, region: str) -> PricePublished:
        """The price of an item that holds for the run. Raises: Undefined."""
        return self.book.at(item, at_us=self.usage.began_us, region=region, version=self.version)


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
    return Amount(Fraction(_metered(spent), right), right, grade=spent.grade)


def _right(run: RunSettled, planned: PlannedTask) -> int:
    figure = next((task.figure for task in run.tasks if task.task == planned.task), None)
    if figure is None or figure.value is None:
        raise Undefined(f"{planned.task} has no {planned.main_metric}")
    return round(figure.value * figure.n)


def _speed(run: RunSettled, metric: str) -> tuple[Fraction, int]:
    """A figure of the run's speed, and what it rests on. Raises: Undefined."""
    if not run.speed:
        raise Undefined("no speed was measured; ask for a workload")
    figure = next((figure for figure in run.speed if figure.metric == metric), None)
    if figure is None or figure.value is None:
        raise Undefined(f"{metric}: {figure.why_undefined if figure else 'was not measured'}")
    return Fraction(figure.value), figure.n


def _tokens(run: RunSettled, side: str) -> int:
    _, tokens = _speed(run, f"{side}_tokens_per_s")
    if tokens == 0:
        raise Undefined(f"the workload has no {side} token")
    return tokens


def _window(case: Case) -> Amount:
    """What the workload's steady window costs."""
    seconds, requests = _window_s(case.run)
    hour = case.hour(_measured_at(case))
    return Amount(hour.second_usd_nano * seconds, requests, hour.prices)


def _window_s(run: RunSettled) -> tuple[Fraction, int]:
    """How long the workload's steady window was, and its requests. Raises: Undefined."""
    per_s, requests = _speed(run, "requests_per_s")
    return requests / per_s, requests


def _measured_at(case: Case) -> str | None:
    """In which environment the workload ran. Raises: Undefined."""
    perf = [one for one in case.run.attempts if is_perf(one.job_id) and one.finished]
    if not perf:
        raise Undefined("the report that the workload has finished is missing")
    return min(perf, key=lambda one: (one.job_id, one.agent_id, one.attempt)).environment_sha


def _prefill_share(run: RunSettled) -> Fraction:
    (prefill, _), (decode, _) = _speed(run, "prefill_mean"), _speed(run, "decode_mean")
    if prefill <= 0 or decode <= 0:
        raise Undefined("each answer came all at once, so that prefill and decode cannot be told apart")
    return prefill / (prefill + decode)


def _input_tokens(case: Case) -> Amount:
    if case.run.served_elsewhere:
        return _billed(case, "input")
    tokens, window = _tokens(case.run, "input"), _window(case)
    return Amount(window.value * _prefill_share(case.run) / tokens * MILLION, tokens, window.prices)


def _output_tokens(case: Case) -> Amount:
    if case.run.served_elsewhere:
        return _billed(case, "output")
    tokens, window = _tokens(case.run, "output"), _window(case)
    return Amount(window.value * (1 - _prefill_share(case.run)) / tokens * MILLION, tokens, window.prices)


def _all_tokens(case: Case) -> Amount:
    read, written = _tokens(case.run, "input"), _tokens(case.run, "output")
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
    return Amount(Fraction(price.amount_nano), _tokens(case.run, side), (price,))


def _metered(spent: Spent) -> int:
    """The energy of attempts, µJ. Raises: Undefined where one was not metered."""
    if spent.unmetered:
        raise Undefined(spent.unmetered)
    return sum(spent.uj.values())


def _energy(case: Case) -> Amount:
    spent = case.usage.whole
    return Amount(Fraction(_metered(spent)), spent.count, grade=spent.grade)


def _by_energy(case: Case, item: str) -> Amount:
    """Over where the run ran, the sum of energy · PUE · the item's price a kWh, in nano-units."""
    energy, prices, total = _energy(case), Prices(), Fraction(0)
    for sha, uj in case.usage.whole.uj.items():
        region = case.usage.environment(sha).region
        pue, rate = case.price("pue", region=region), case.price(item, region=region)
        total += Fraction(uj * pue.amount_nano * rate.amount_nano, UJ_PER_KWH * NANO)
        prices |= {price.event_id: price for price in (pue, rate)}
    return Amount(total, energy.n, tuple(prices.values()), energy.grade)


def _energy_cost(case: Case) -> Amount:
    return _by_energy(case, "kwh")


def _emissions(case: Case) -> Amount:
    nano_g = _by_energy(case, "gco2_per_kwh")
    return Amount(nano_g.value / 1000, nano_g.n, nano_g.prices, nano_g.grade)


def made_of(seen: EnvironmentSeen) -> tuple[str, ...]:
    """What of a machine was made and wears: its devices by name, or the processor alone."""
    return tuple(device.name for device in seen.devices) or (seen.cpu,)


def _token_uj(case: Case) -> Amount:
    """The energy of a thousand output tokens, µJ."""
    each, n = _speed(case.run, UJ_EACH)
    grade = next((figure.origin for figure in case.run.speed if figure.metric == UJ_EACH), None)
    return Amount(each * THOUSAND, n, grade=grade)


def _token_energy(case: Case) -> Amount:
    energy = _token_uj(case)
    return Amount(energy.value / UJ_PER_UWH, energy.n, grade=energy.grade)


def _per_token_energy(case: Case, *items: str) -> Amount:
    """A thousand output tokens' energy by the product of these items, of which one is a kWh's; in the last item's unit."""
    energy, region = _token_uj(case), case.usage.environment(_measured_at(case)).region
    prices = tuple(case.price(item, region=region) for item in items)
    value = energy.value / UJ_PER_KWH
    for price in prices:
        value *= Fraction(price.amount_nano, NANO)
    return Amount(value, energy.n, prices, energy.grade)


def _token_water(case: Case) -> Amount:
    litres = _per_token_energy(case, "wue")
    return Amount(litres.value * NANO, litres.n, litres.prices, litres.grade)


def _token_emissions(case: Case) -> Amount:
    grams = _per_token_energy(case, "pue", "gco2_per_kwh")
    return Amount(grams.value * MILLION, grams.n, grams.prices, grams.grade)


def _token_embodied(case: Case) -> Amount:
    """Each device's grams by the part of its lifetime that the window took, for a thousand of its output tokens; µg."""
    if case.run.served_elsewhere:
        raise Undefined("a server elsewhere answered; what it was made of is not known here")
    seconds, tokens = _window_s(case.run)[0], _tokens(case.run, "output")
    seen, total, prices = case.usage.environment(_measured_at(case)), Fraction(0), Prices()
    for name in made_of(seen):
        made, life = (case.price(f"{kind}:{name}", region=seen.region) for kind in ("embodied_gco2", "lifetime_h"))
        total += Fraction(made.amount_nano, life.amount_nano) * seconds / S_PER_HOUR
        prices |= {price.event_id: price for price in (made, life)}
    return Amount(total / tokens * THOUSAND * MILLION, tokens, tuple(prices.values()))


def _token_intensity(case: Case) -> Amount:
    used, made = _token_emissions(case), _token_embodied(case)
    return Amount(used.value + made.value, used.n, (*used.prices, *made.prices), used.grade)


METRICS: Final[Mapping[str, tuple[str, Callable[[Case], Amount]]]] = MappingProxyType({
    "run_usd_nano": ("nUSD", _run),
    "per_1m_input_tokens_usd_nano": ("nUSD", _input_tokens),
    "per_1m_output_tokens_usd_nano": ("nUSD", _output_tokens),
    "per_1m_tokens_usd_nano": ("nUSD", _all_tokens),
    "per_correct_answer_usd_nano": ("nUSD", _correct_answer),
    "per_correct_answer_uj": ("µJ", _correct_answer_energy),
    "energy_uj": ("µJ", _energy),
    "energy_usd_nano": ("nUSD", _energy_cost),
    "co2e_ug": ("µg", _emissions),
    "per_1k_output_tokens_uwh": ("µWh", _token_energy),
    "per_1k_output_tokens_water_nl": ("nL", _token_water),
    "per_1k_output_tokens_co2e_ug": ("µg", _token_emissions),
    "per_1k_output_tokens_embodied_ug": ("µg", _token_embodied),
    "per_1k_output_tokens_sci_ug": ("µg", _token_intensity),
})  # fmt: skip
