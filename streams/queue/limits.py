"""When a run must stop: at its deadline, or when it has had the time or the money that it may take. What it has measured is kept.

The limit of money is found in streams/queue/money.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from schemas.requests import Budget, EvaluationRequested
from streams.errors import Invalid
from streams.queue.bits import count
from streams.queue.leases import Entry
from streams.times import moment


@dataclass(frozen=True, slots=True, order=True)
class Limit:
    """A run ends at `at_us` (UTC), for this reason."""

    at_us: int
    code: Literal["deadline", "budget-time", "budget-usd"]
    said: str


def check(request: EvaluationRequested, *, asked_us: int) -> None:
    """Raises: Invalid, saying what to change, where the request's budget cannot be kept. `asked_us`: when it came."""
    budget = request.budget
    if budget.s is not None and budget.s <= 0:
        raise Invalid(f"budget.s {budget.s:g}: give seconds above 0, or leave it out", code="budget")
    if budget.usd_nano is not None and budget.usd_nano <= 0:
        raise Invalid(f"budget.usd_nano {budget.usd_nano}: give an amount above 0, or leave it out", code="budget")
    if budget.deadline_us is not None and budget.deadline_us <= asked_us:
        told = f"deadline {moment(budget.deadline_us)} lies before the request itself ({moment(asked_us)})"
        raise Invalid(f"{told}; give a later one in microseconds UTC, or leave it out", code="deadline")


def limit_of(budget: Budget, *, started_us: int | None) -> Limit | None:
    """The earliest limit of a run that first ran at `started_us` (None: not yet); None where nothing limits it."""
    limits: list[Limit] = []
    if budget.deadline_us is not None:
        limits.append(Limit(budget.deadline_us, "deadline", f"its deadline, {moment(budget.deadline_us)}, is reached"))
    if budget.s is not None and started_us is not None:
        told = f"the {budget.s:g} s that it may run are over; it first ran at {moment(started_us)}"
        limits.append(Limit(started_us + round(budget.s * 1e6), "budget-time", told))
    return min(limits, default=None)


def stopped(said: str, jobs: Iterable[Entry]) -> str:
    """What a run says that a limit ends: the limit, and how far it has come."""
    known = [(entry, entry.job) for entry in jobs if entry.job]
    finished = sum(entry.over == "finished" for entry, _ in known)
    samples, done = sum(job.count for _, job in known), sum(count(entry.done) for entry, _ in known)
    return f"{said}. {finished} of {len(known)} jobs have finished, {done} of {samples} samples are answered; they are kept"
