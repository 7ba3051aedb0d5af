"""The speed of a run's workload: a fold over request and token timings and meter readings, and the figures that follow.

Only the attempt that finished counts, and of it only the requests sent in the steady phase. Times are nanoseconds on one host's
monotonic clock. What is measured from where:

- TTFT = first token's arrival - send. ITL = a gap between arrivals / the tokens that the later one brought, once for each of them.
- TPOT = (last arrival - first arrival) / (output tokens - 1). E2E = end - send.
- requests/s, input and output tokens/s: of steady requests, over the time from the first steady send to the last steady end.
- pacing error = |send - schedule|; the client is overloaded where its 99th percentile is above 10 ms and 10 % of the mean gap
  between scheduled sends: the figures then say more about the client than about the model.

Source: definitions of TTFT, ITL, TPOT and E2E as in vLLM 0.32 `vllm bench serve`; the send is measured against its schedule because
of coordinated omission (G. Tene, How NOT to Measure Latency, 2013).
"""

import bisect
import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.jobs import JobChanged
from schemas.measurements import RequestTimed, ResourceRead, TokensTimed
from schemas.results import Figure, Histogram
from streams.statistics.intervals import mean, mean_interval, percentiles

FORMULA_VERSION = "performance-2"
PERCENTILES = (50.0, 95.0, 99.0)
# 1, 2 and 5 of every decade from 10 µs to 100 s.
BOUNDS_NS = (*(step * 10**power for power in range(4, 11) for step in (1, 2, 5)), 10**11)
RATES = ("requests_per_s", "input_tokens_per_s", "output_tokens_per_s")
GRADES = {"nvml-total-energy": "A", "rapl-package": "B"}
Tokens = dict[tuple[int, int, int], TokensTimed]


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

    def digest(self) -> str:
        """A name of exactly these inputs."""
        attempt = self.chosen()
        ids = [event.event_id for event in (*attempt.requests.values(), *attempt.tokens.values(), *self.chosen_readings().values())]
        return hashlib.sha256("\n".join([FORMULA_VERSION, *sorted(ids)]).encode()).hexdigest()

    def summary(self) -> tuple[tuple[Figure, ...], tuple[Histogram, ...]]:
        """The figures and histograms."""
        attempt = self.chosen()
        steady = [request for _, request in sorted(attempt.requests.items()) if request.phase == "steady"]
        good = [request for request in steady if request.status == "ok"]
        samples = {
            "ttft": [request.first_byte_ns - request.sent_ns for request in good if request.first_byte_ns is not None],
            "itl": _gaps(attempt.tokens, {request.request_index for request in good}),
            "tpot": _per_token(attempt.tokens, good),
            "e2e": [request.ended_ns - request.sent_ns for request in good],
        }
        figures = [*_rates(steady, good), *_client(steady), *_energy(self.chosen_readings().values(), good)]
        for name, values in samples.items():
            figures += _spread(name, values)
        histograms = tuple(_histogram(name, samples[name]) for name in ("ttft", "itl", "e2e"))
        return tuple(figures), histograms


def _gaps(tokens: Tokens, wanted: set[int]) -> list[int]:
    """Inter-token latencies of the wanted requests."""
    gaps: list[int] = []
    for arrivals in _sequences(tokens, wanted).values():
        for (before, _), (after, count) in itertools.pairwise(arrivals):
            gaps += [round((after - before) / count)] * count
    return gaps


def _sequences(tokens: Tokens, wanted: set[int]) -> dict[tuple[int, int], list[tuple[int, int]]]:
    sequences: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for (request, sequence, _), event in sorted(tokens.items()):
        if request in wanted:
            arrived = zip(event.arrival_ns, event.tokens_per_arrival, strict=True)
            sequences.setdefault((request, sequence), []).extend(arrived)
    return sequences


def _per_token(tokens: Tokens, good: Sequence[RequestTimed]) -> list[int]:
    counts = {request.request_index: request.output_tokens for request in good}
    sequences = _sequences(tokens, set(counts))
    spans = [(arrivals[-1][0] - arrivals[0][0], counts[request]) for (request, _), arrivals in sequences.items()]
    return [round(span / (count - 1)) for span, count in spans if count > 1]


def _rates(steady: Sequence[RequestTimed], good: Sequence[RequestTimed]) -> list[Figure]:
    counts = [
        Figure(metric="requests", value=len(steady), n=len(steady), unit="1"),
        Figure(metric="errors", value=len(steady) - len(good), n=len(steady), unit="1"),
    ]
    if not good:
        why = "no steady request has succeeded"
        return counts + [Figure(metric=name, value=None, n=0, why_undefined=why) for name in RATES]
    window_s = (max(request.ended_ns for request in good) - min(request.sent_ns for request in good)) / 1e9
    counted = len(good), sum(request.prompt_tokens for request in good), sum(request.output_tokens for request in good)
    rates = [
        Figure(metric=name, value=n / window_s, n=n, unit="1/s" if name == "requests_per_s" else "tokens/s")
        for name, n in zip(RATES, counted, strict=True)
    ]
    return counts + rates


def _client(steady: Sequence[RequestTimed]) -> list[Figure]:
    if not steady:
        return []
    errors = [abs(request.client.pacing_error_ns) for request in steady]
    (worst,) = percentiles(errors, [99.0])
    schedule = sorted(request.scheduled_ns for request in steady)
    gap_ns = (schedule[-1] - schedule[0]) / max(1, len(schedule) - 1)
    overloaded = worst > 10e6 and worst > 0.1 * gap_ns > 0
    return [
        Figure(metric="pacing_error_p99", value=worst, n=len(steady), unit="ns"),
        Figure(metric="client_overloaded", value=float(overloaded), n=len(steady), unit="1"),
    ]


def _spread(name: str, values: Sequence[int]) -> list[Figure]:
    labels = [f"{name}_mean", *(f"{name}_p{share:.0f}" for share in PERCENTILES)]
    if not values:
        return [Figure(metric=label, value=None, n=0, unit="ns", why_undefined="nothing was measured") for label in labels]
    interval = mean_interval([float(value) for value in values])
    low, high = interval or (None, None)
    first = Figure(metric=labels[0], value=mean([float(v) for v in values]), low=low, high=high, n=len(values), unit="ns")
    rest = percentiles(values, PERCENTILES)
    return [first, *(Figure(metric=label, value=value, n=len(values), unit="ns") for label, value in zip(labels[1:], rest, strict=True))]


def _histogram(name: str, values: Iterable[int]) -> Histogram:
    counts = [0] * (len(BOUNDS_NS) + 1)
    for value in values:
        counts[bisect.bisect_left(BOUNDS_NS, value)] += 1
    return Histogram(metric=name, unit="ns", bounds=BOUNDS_NS, counts=tuple(counts))


def _energy(readings: Iterable[ResourceRead], good: Sequence[RequestTimed]) -> list[Figure]:
    """Energy between the first steady send and the last steady end, from cumulative counters, read between by linear interpolation."""
    names = ("energy_uj", "energy_per_output_token_uj")
    counters: dict[tuple[str, str | None], list[tuple[int, int]]] = {}
    for reading in readings:
        if reading.energy_uj is not None and reading.sensor in GRADES:
            counters.setdefault((reading.sensor, reading.device_uuid), []).append((reading.mono_ns, reading.energy_uj))
    if not counters or not good:
        return [Figure(metric=name, value=None, n=0, unit="µJ", why_undefined="no meter here") for name in names]
    first, last = min(request.sent_ns for request in good), max(request.ended_ns for request in good)
    spent = sum(_counter_at(sorted(points), last) - _counter_at(sorted(points), first) for points in counters.values())
    grade = max(GRADES[sensor] for sensor, _ in counters)
    output = sum(request.output_tokens for request in good)
    points = sum(len(values) for values in counters.values())
    per_token = spent / output if output else None
    return [
        Figure(metric=names[0], value=spent, n=points, unit="µJ", origin=grade),
        Figure(metric=names[1], value=per_token, n=output, unit="µJ", origin=grade),
    ]


def _counter_at(points: Sequence[tuple[int, int]], mono_ns: int) -> float:
    """A counter's value at a time; beyond its readings, the nearest one."""
    after = bisect.bisect_left(points, (mono_ns, 0))
    if after == 0 or after == len(points):
        return float(points[min(after, len(points) - 1)][1])
    (start, low), (end, high) = points[after - 1], points[after]
    return low + (high - low) * (mono_ns - start) / max(1, end - start)
