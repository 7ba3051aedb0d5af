"""What open runs have cost so far, and when that reaches their budget: a fold over reports, environments and the price book.

It reckons as `agents.cost` does (money/costs.py): the time of a run's attempts, from their first report to their last, x the price of their
agents' hour when the first began, by the newest version of the price book. What an attempt takes that runs still counts from the log's time
of its first report, for its agent's clock may be a day ahead, or behind. Of a run that is over nothing is kept.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

from schemas.jobs import Device, EnvironmentSeen, JobChanged
from schemas.requests import Budget
from schemas.results import PricePublished
from streams.money.prices import NANO, PriceBook, Undefined, agent_hour
from streams.queue.limits import Limit

Which = tuple[str, str, int]  # job, agent, attempt


@dataclass(slots=True)
class Used:
    """An attempt's first and last report, on its agent's clock, where it runs, and when the first was written to the log."""

    first_us: int
    last_us: int
    environment_sha: str | None
    since_us: int


@dataclass(frozen=True, slots=True)
class Priced:
    """All of an environment that its price depends on."""

    devices: tuple[Device, ...]
    cores: int
    region: str


@dataclass(slots=True)
class Money:
    """The attempts of open runs, every environment, and the price book."""

    runs: dict[str, dict[Which, Used]] = field(default_factory=dict)
    environments: dict[str, Priced] = field(default_factory=dict)
    book: PriceBook = field(default_factory=PriceBook)

    def occupied(self, event: JobChanged, *, written_us: int) -> None:
        """Takes an agent's report in; without an agent it is the dispatcher's, and no time of anybody's."""
        if not event.agent_id:
            return
        at_us, which = event.occurred_us, (event.job_id, event.agent_id, event.attempt)
        known = self.runs.setdefault(event.run_id, {}).setdefault(which, Used(at_us, at_us, event.environment_sha, written_us))
        known.first_us, known.last_us = min(known.first_us, at_us), max(known.last_us, at_us)
        known.environment_sha = known.environment_sha or event.environment_sha

    def fold(self, event: EnvironmentSeen | PricePublished) -> None:
        """Takes an environment or a price in; the first of a hash counts. Raises: Invalid, for a price that cannot be."""
        if isinstance(event, PricePublished):
            self.book.fold(event)
        else:
            self.environments.setdefault(event.sha, Priced(event.devices, event.cores, event.region))

    def forget(self, run_id: str) -> None:
        """The run is over."""
        self.runs.pop(run_id, None)

    def limit(self, budget: Budget, *, run_id: str, running: Collection[Which]) -> Limit | None:
        """When the run's attempts will have cost its budget, those that run going on; None: never, or no limit.

        While attempts run, the cost grows evenly; so the moment is known ahead. What cannot be priced cannot be kept within a budget.
        """
        attempts = self.runs.get(run_id)
        if budget.usd_nano is None or not attempts:
            return None
        began_us = min(attempt.first_us for attempt in attempts.values())
        # At time t the cost is spent + rate * t, in nano-USD and µs; t counts from 1970.
        spent, rate, told = Fraction(0), Fraction(0), f"its budget of {budget.usd_nano / NANO:g} USD"
        for which, attempt in attempts.items():
            seen = self.environments.get(attempt.environment_sha or "")
            if seen is None:
                continue  # it is on its way
            try:
                per_us = self._per_us(seen, at_us=began_us)
            except Undefined as error:
                why = f"{told} cannot be kept: {error}; publish that price, or leave budget.usd_nano out"
                return Limit(attempt.since_us, "budget-usd", why)
            spent += per_us * (-attempt.since_us if which in running else attempt.last_us - attempt.first_us)
            rate += per_us if which in running else 0
        if rate:
            hour_usd = float(rate * 3600 * 10**6 / NANO)
            return Limit(ceil((budget.usd_nano - spent) / rate), "budget-usd", f"{told} is spent; its agents cost {hour_usd:g} USD an hour")
        latest_us = max(attempt.since_us for attempt in attempts.values())
        return Limit(latest_us, "budget-usd", f"{told} is spent") if spent >= budget.usd_nano else None

    def _per_us(self, seen: Priced, *, at_us: int) -> Fraction:
        """Nano-USD a microsecond. Raises: Undefined."""
        return agent_hour(seen.devices, seen.cores, book=self.book, at_us=at_us, region=seen.region).second_usd_nano / 10**6
