"""The speed of a run's workload: a fold over request and token timings and meter readings, and the figures that follow.

Only the attempt that finished counts, and of it only the requests sent in the steady phase. The figures of a load are measured.py's; those
of a sweep's steps too, and what they come to sweeping.py's; energy is energy.py's.
"""

import bisect
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from schemas.jobs import JobChanged
from schemas.measurements import RequestTimed, ResourceRead, TokensTimed
from schemas.requests import Objective
from schemas.results import Figure, Histogram, LoadStep
from streams.speed.energy import energy
from streams.speed.measured import Tokens, measured
from streams.speed.sweeping import best_of, steps_of, swept

FORMULA_VERSION = "performance-4"
# 1, 2 and 5 of every decade from 10 µs to 100 s.
BOUNDS_NS = (*(step * 10**power for power in range(4, 11) for step in (1, 2, 5)), 10**11)
OURS = frozenset({"engine", "chunks"})  # what counts the tokens of an engine here; chunks: before it was said
HISTOGRAMS = ("ttft", "itl", "e2e")


@dataclass(frozen=True, slots=True)
class Summary:
    """What a workload came to: of a sweep the figures are those of its best step."""

    figures: tuple[Figure, ...]
    histograms: tuple[Histogram, ...]
    steps: tuple[LoadStep, ...] = ()


@dataclass(slots=True)
class Attempt:
    """What one attempt of a workload's job measured."""

    requests: dict[int, RequestTimed] = field(default_factory=dict)
    tokens: Tokens = field(default_factory=dict)
    readings: dict[str, ResourceRead] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finished:
    """The attempt that finished, and how much its agent says to have published."""

    attempt: int
    counts: Mapping[str, int]


@dataclass(slots=True)
class Speed:
    """What is known of a workload job. `job_id` names it in readings; `readings` are those that name no attempt: any may be theirs."""

    job_id: str
    attempts: dict[int, Attempt] = field(default_factory=dict)
    readings: dict[str, ResourceRead] = field(default_factory=dict)
    finished: Finished | None = None
    latest_us: int = 0

    def add(self, event: RequestTimed | TokensTimed | ResourceRead | JobChanged) -> None:
        """Folds an event in; the first of an id counts."""
        match event:
            case RequestTimed():
                self._attempt(event.attempt).requests.setdefault(event.request_index, event)
            case TokensTimed():
                self._attempt(event.attempt).tokens.setdefault((event.request_index, event.sequence, event.chunk), event)
            case ResourceRead():
                self._read(event)
            case JobChanged(state="finished") if self.finished is None or event.attempt < self.finished.attempt:
                self.finished = Finished(event.attempt, event.counts)
        self.latest_us = max(self.latest_us, event.occurred_us)

    def _attempt(self, attempt: int) -> Attempt:
        return self.attempts.setdefault(attempt, Attempt())

    def _read(self, event: ResourceRead) -> None:
        """A reading is that attempt's which was active."""
        mine = [attempt for job_id, attempt in zip(event.jobs_active, event.attempts, strict=False) if job_id == self.job_id]
        for readings in [self._attempt(attempt).readings for attempt in mine] or [self.readings]:
            readings.setdefault(event.event_id, event)

    @property
    def complete(self) -> bool:
        """The job has finished, and all that its agent says to have published is here."""
        if self.finished is None:
            return False
        attempt, counts = self.attempts.get(self.finished.attempt, Attempt()), self.finished.counts
        here = {"requests": len(attempt.requests), "token_timings": len(attempt.tokens), "readings": len(self.chosen_readings())}
        return all(here[name] >= counts.get(name, 0) for name in here)

    def chosen(self) -> Attempt:
        """The finished attempt; before that the newest."""
        number = self.finished.attempt if self.finished else max(self.attempts, default=0)
        return self.attempts.get(number, Attempt())

    def chosen_readings(self) -> Mapping[str, ResourceRead]:
        """Its readings, by their ids."""
        return self.readings | self.chosen().readings

    def digest(self, *, elsewhere: bool = False, slo: Objective | None = None) -> str:
        """A name of exactly these inputs, of whether no engine of ours answered, and of what they are held to."""
        attempt, more = self.chosen(), ["elsewhere"] if elsewhere else []
        more += [slo.model_dump_json()] if slo else []
        ids = [event.event_id for event in (*attempt.requests.values(), *attempt.tokens.values(), *self.chosen_readings().values())]
        return hashlib.sha256("\n".join([FORMULA_VERSION, *more, *sorted(ids)]).encode()).hexdigest()

    def summary(self, *, elsewhere: bool = False, slo: Objective | None = None) -> Summary:
        """What came of it. `elsewhere`: no engine of ours answered; newer requests say so themselves. `slo`: what it is held to."""
        attempt = self.chosen()
        steady = [request for _, request in sorted(attempt.requests.items()) if request.phase == "steady"]
        whole = measured(steady, attempt.tokens, slo=slo)
        steps = steps_of(steady, attempt.tokens, slo=slo)
        best = best_of(steps, slo=slo)
        told = best.load if best else whole
        figures = [*told.figures, *energy(
            self.chosen_readings().values(), told.window, boot_id=steady[0].clock.boot_id if steady else "",
            output_tokens=told.figure("output_tokens_per_s").n,
            elsewhere=elsewhere or any(request.counted_by not in OURS for request in steady),
        )]  # fmt: skip
        return Summary(
            figures=swept(whole, figures, steps, slo=slo) if best else tuple(figures),
            histograms=tuple(_histogram(name, told.samples[name]) for name in HISTOGRAMS),
            steps=tuple(one.told() for one in steps),
        )


def _histogram(name: str, values: Iterable[int]) -> Histogram:
    counts = [0] * (len(BOUNDS_NS) + 1)
    for value in values:
        counts[bisect.bisect_left(BOUNDS_NS, value)] += 1
    return Histogram(metric=name, unit="ns", bounds=BOUNDS_NS, counts=tuple(counts))
