"""The speed of a run's workload: a fold over request and token timings and meter readings, and the figures that follow.

Only the attempt that finished counts, and of it only the requests sent in the steady phase. The figures of a load are measured.py's; those
of a sweep's steps too, and what they come to sweeping.py's; energy is energy.py's.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from schemas.jobs import JobChanged
from schemas.measurements import RequestTimed, ResourceRead, TokensTimed
from schemas.requests import Objective
from schemas.results import Figure, Histogram, LoadStep
from streams.speed.columns import Numbers
from streams.speed.energy import energy
from streams.speed.measured import measured
from streams.speed.sweeping import best_of, steps_of, swept
from streams.speed.timings import Taken, Timings

FORMULA_VERSION = "performance-10"
# 1, 2 and 5 of every decade from 10 µs to 100 s.
BOUNDS_NS = (*(step * 10**power for power in range(4, 11) for step in (1, 2, 5)), 10**11)
NO_ATTEMPT = -1
OURS = frozenset({"engine", "chunks"})  # what counts the tokens of an engine here; chunks: before it was said
HISTOGRAMS = ("ttft", "itl", "e2e")


@dataclass(frozen=True, slots=True)
class Summary:
    """What a workload came to: of a sweep the figures are those of its best step."""

    figures: tuple[Figure, ...]
    histograms: tuple[Histogram, ...]
    steps: tuple[LoadStep, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """The attempt that finished, and how much its agent says to have published."""

    attempt: int
    counts: Mapping[str, int]


@dataclass(slots=True)
class Speed:
    """What is known of a workload job. `job_id` names it in readings; `unnamed`: readings that name no attempt, which may be of any.

    `latest`: the time of each attempt's latest event, `unnamed` ones under NO_ATTEMPT. `added`: how many events were folded in since it is
    in memory.
    """

    job_id: str
    attempts: dict[int, Timings] = field(default_factory=dict)
    unnamed: Timings = field(default_factory=Timings)
    finished: Finished | None = None
    latest_us: int = 0
    latest: dict[int, int] = field(default_factory=dict)
    added: int = 0

    def add(self, event: RequestTimed | TokensTimed | ResourceRead | JobChanged) -> None:
        """Folds an event in; the first of an id counts."""
        match event:
            case RequestTimed() | TokensTimed():
                self._attempt(event.attempt).add(event)
                self._came(event.attempt, event.occurred_us)
            case ResourceRead():
                self._read(event)
            case JobChanged(state="finished") if self.finished is None or event.attempt < self.finished.attempt:
                self.finished = Finished(event.attempt, event.counts)
                self._came(event.attempt, event.occurred_us)
        self.latest_us, self.added = max(self.latest_us, event.occurred_us), self.added + 1

    def _attempt(self, attempt: int) -> Timings:
        if attempt not in self.attempts:
            self.attempts[attempt] = Timings()
        return self.attempts[attempt]

    def _read(self, event: ResourceRead) -> None:
        """A reading is that attempt's which was active."""
        mine = [attempt for job_id, attempt in zip(event.jobs_active, event.attempts, strict=False) if job_id == self.job_id]
        for timings in [self._attempt(attempt) for attempt in mine] or [self.unnamed]:
            timings.add(event)
        for attempt in mine or [NO_ATTEMPT]:
            self._came(attempt, event.occurred_us)

    def _came(self, attempt: int, at_us: int) -> None:
        self.latest[attempt] = max(self.latest.get(attempt, 0), at_us)

    @property
    def measured_us(self) -> int:
        """The time of the latest event of all that counts: what else is told of other attempts, and whenever, changes nothing of it."""
        return max(self.latest.get(self._number(), 0), self.latest.get(NO_ATTEMPT, 0))

    @property
    def complete(self) -> bool:
        """The job has finished, and all that its agent says to have published is here."""
        if self.finished is None:
            return False
        chosen, counts = self._chosen(), self.finished.counts
        here = {
            "requests": len(chosen.requests), "token_timings": len(chosen.chunks),
            "readings": len(chosen.readings) + len(self.unnamed.readings),
        }  # fmt: skip
        return all(here[name] >= counts.get(name, 0) for name in here)

    def _chosen(self) -> Timings:
        """The finished attempt; before that the newest."""
        return self.attempts.get(self._number(), Timings())

    def _number(self) -> int:
        return self.finished.attempt if self.finished else max(self.attempts, default=0)

    def taken(self) -> Taken:
        """What the attempt that counts has measured: the finished one; before that the newest."""
        return self._chosen().taken(more=self.unnamed)

    def summary(self, *, elsewhere: bool = False, slo: Objective | None = None) -> Summary:
        """What came of it so far (`summary` below)."""
        return summary(self.taken(), elsewhere=elsewhere, slo=slo)


def digest(taken: Taken, *, elsewhere: bool = False, slo: Objective | None = None) -> str:
    """A name of exactly these inputs, of whether no engine of ours answered, and of what they are held to."""
    more = ["elsewhere"] if elsewhere else []
    more += [slo.model_dump_json()] if slo else []
    return hashlib.sha256("\n".join([FORMULA_VERSION, *more, *sorted(taken.event_ids())]).encode()).hexdigest()


def summary(taken: Taken, *, elsewhere: bool = False, slo: Objective | None = None) -> Summary:
    """What came of a workload. `elsewhere`: no engine of ours answered; newer requests say so themselves. `slo`: what it is held to."""
    steady, arrivals = taken.steady, taken.arrivals
    whole = measured(steady, arrivals, slo=slo)
    steps = steps_of(steady, arrivals, slo=slo)
    best = best_of(steps, slo=slo)
    told = best.load if best else whole
    figures = [*told.figures, *energy(
        taken.readings, told.window, boot_id=next(iter(steady[:1].texts("boot_id")), None) or "",
        output_tokens=told.figure("output_tokens_per_s").n,
        elsewhere=elsewhere or any(counted_by not in OURS for counted_by in steady.texts("counted_by")),
    )]  # fmt: skip
    return Summary(
        figures=swept(whole, figures, steps, slo=slo) if best else tuple(figures),
        histograms=tuple(_histogram(name, told.samples[name]) for name in HISTOGRAMS),
        steps=tuple(one.told() for one in steps),
    )


def _histogram(name: str, values: Numbers) -> Histogram:
    counts = np.bincount(np.searchsorted(BOUNDS_NS, values), minlength=len(BOUNDS_NS) + 1)
    return Histogram(metric=name, unit="ns", bounds=BOUNDS_NS, counts=tuple(counts.tolist()))
