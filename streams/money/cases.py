"""What a run used, under the prices of a time: what every figure of money, energy and emissions is reckoned from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Final

from schemas.jobs import EnvironmentSeen
from schemas.results import PricePublished
from schemas.runs import PlannedTask
from schemas.settled import AttemptUsed, RunSettled
from streams.money.prices import AgentHour, PriceBook, Undefined, agent_hour
from streams.planning import is_perf, task_of
from streams.speed.sensors import known_of, together

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


def made_of(seen: EnvironmentSeen) -> tuple[str, ...]:
    """What of a machine was made and wears: its devices by name, or the processor alone."""
    return tuple(device.name for device in seen.devices) or (seen.cpu,)


def _right(run: RunSettled, planned: PlannedTask) -> int:
    figure = next((task.figure for task in run.tasks if task.task == planned.task), None)
    if figure is None or figure.value is None:
        raise Undefined(f"{planned.task} has no {planned.main_metric}")
    return round(figure.value * figure.n)


def speed_of(run: RunSettled, metric: str) -> tuple[Fraction, int]:
    """A figure of the run's speed, and what it rests on. Raises: Undefined."""
    if not run.speed:
        raise Undefined("no speed was measured; ask for a workload")
    figure = next((figure for figure in run.speed if figure.metric == metric), None)
    if figure is None or figure.value is None:
        raise Undefined(f"{metric}: {figure.why_undefined if figure else 'was not measured'}")
    return Fraction(figure.value), figure.n


def tokens_of(run: RunSettled, side: str) -> int:
    """The workload's `input` or `output` tokens. Raises: Undefined."""
    _, tokens = speed_of(run, f"{side}_tokens_per_s")
    if tokens == 0:
        raise Undefined(f"the workload has no {side} token")
    return tokens


def window_s(run: RunSettled) -> tuple[Fraction, int]:
    """How long the workload's steady window was, and its requests. Raises: Undefined."""
    per_s, requests = speed_of(run, "requests_per_s")
    return requests / per_s, requests


def measured_at(case: Case) -> str | None:
    """In which environment the workload ran. Raises: Undefined."""
    perf = [one for one in case.run.attempts if is_perf(one.job_id) and one.finished]
    if not perf:
        raise Undefined("the report that the workload has finished is missing")
    return min(perf, key=lambda one: (one.job_id, one.agent_id, one.attempt)).environment_sha


def metered(spent: Spent) -> int:
    """The energy of attempts, µJ. Raises: Undefined where one was not metered."""
    if spent.unmetered:
        raise Undefined(spent.unmetered)
    return sum(spent.uj.values())
