"""The speed of a run's workload: a fold over request and token timings and meter readings, and the figures that follow.

Only the attempt that finished counts, and of it only the requests sent in the steady phase. Times are nanoseconds on one host's
monotonic clock. Latencies are of the requests that succeeded and were sent behind the ramp (window.py):

- TTFT = first token's arrival - send; of any channel. First answer: of the first token that is no reasoning. ITL = a gap between arrivals /
  the tokens that the later one brought, once for each of them; gap = the same once for each arrival.
- TPOT = (last arrival - first arrival) / (output tokens - 1). E2E = last token - send. E2E and TTFT also from when the request should
  have been sent (`_scheduled`), because of coordinated omission.
- prefill = first token's arrival - send - the wait for an engine of our own; decode = last token - first: what serving took, without
  queueing.
- connect and tls: of the requests that a connection was made for.

Rates, what they are rates of, and self-checks: loads.py. The client's health: client.py.
Source: definitions of TTFT, ITL, TPOT and E2E as in vLLM 0.32 `vllm bench serve`; coordinated omission: G. Tene, How NOT to Measure
Latency, 2013.
"""

import bisect
import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.jobs import JobChanged
from schemas.measurements import RequestTimed, ResourceRead, TokensTimed
from schemas.results import Figure, Histogram
from streams.speed.client import client
from streams.speed.energy import energy
from streams.speed.latencies import spread
from streams.speed.loads import UNKNOWN, checks, load, rates
from streams.speed.window import behind_ramp_ns, last_ns, steady_window

FORMULA_VERSION = "performance-3"
# 1, 2 and 5 of every decade from 10 µs to 100 s.
BOUNDS_NS = (*(step * 10**power for power in range(4, 11) for step in (1, 2, 5)), 10**11)
OURS = frozenset({"engine", "chunks"})  # what counts the tokens of an engine here; chunks: before it was said
HISTOGRAMS = ("ttft", "itl", "e2e")
Tokens = dict[tuple[int, int, int], TokensTimed]
Sequences = Mapping[tuple[int, int], Sequence[tuple[int, int]]]


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

    def digest(self, *, elsewhere: bool = False) -> str:
        """A name of exactly these inputs, and of whether no engine of ours answered."""
        attempt = self.chosen()
        ids = [event.event_id for event in (*attempt.requests.values(), *attempt.tokens.values(), *self.chosen_readings().values())]
        return hashlib.sha256("\n".join([FORMULA_VERSION, *(["elsewhere"] if elsewhere else []), *sorted(ids)]).encode()).hexdigest()

    def summary(self, *, elsewhere: bool = False) -> tuple[tuple[Figure, ...], tuple[Histogram, ...]]:
        """The figures and histograms. `elsewhere`: no engine of ours answered; newer requests say so themselves."""
        attempt = self.chosen()
        steady = [request for _, request in sorted(attempt.requests.items()) if request.phase == "steady"]
        good = [request for request in steady if request.status == "ok"]
        window = steady_window(steady, good)
        arrivals = _sequences(attempt.tokens, {request.request_index for request in good})
        by_request = {request: arrived for (request, _), arrived in arrivals.items()}
        from_ns = behind_ramp_ns(steady, good) if good else 0
        measured = [request for request in good if request.sent_ns >= from_ns]
        samples = latencies(measured, arrivals)
        why = UNKNOWN if good and all(request.counted_by == "none" for request in good) else "nothing was measured"
        figures = [
            Figure(metric="requests", value=len(steady), n=len(steady), unit="1"),
            Figure(metric="errors", value=len(steady) - len(good), n=len(steady), unit="1"),
            *_errors(steady),
            *_tokens(good),
            *rates(good, window, by_request),
            *client(steady),
            *itertools.chain.from_iterable(spread(name, values, why=why) for name, values in samples.items()),
        ]
        figures += load(steady, window, {figure.metric: figure for figure in figures}) + checks(steady, good, window, by_request)
        figures += energy(
            self.chosen_readings().values(), window, boot_id=steady[0].clock.boot_id if steady else "",
            output_tokens=next(figure.n for figure in figures if figure.metric == "output_tokens_per_s"),
            elsewhere=elsewhere or any(request.counted_by not in OURS for request in steady),
        )  # fmt: skip
        return tuple(figures), tuple(_histogram(name, samples[name]) for name in HISTOGRAMS)


def latencies(good: Sequence[RequestTimed], arrivals: Sequences) -> dict[str, list[int]]:
    """Every latency of these requests, in ns, in the order of their numbers."""
    first = [request for request in good if request.first_byte_ns is not None]
    ours = [
        (request, (request.first_byte_ns or 0) - request.sent_ns - request.queued_ns) for request in first if request.queued_ns is not None
    ]
    wanted = {request.request_index for request in good}
    mine = {key: arrived for key, arrived in arrivals.items() if key[0] in wanted}
    return {
        "ttft": [(request.first_byte_ns or 0) - request.sent_ns for request in first],
        "ttft_scheduled": [(request.first_byte_ns or 0) - request.scheduled_ns for request in first],
        "first_answer": [request.first_answer_ns - request.sent_ns for request in good if request.first_answer_ns is not None],
        "itl": _gaps(mine, each=True),
        "gap": _gaps(mine, each=False),
        "tpot": _per_token(mine, good),
        "e2e": [last_ns(request) - request.sent_ns for request in good],
        "e2e_scheduled": [last_ns(request) - request.scheduled_ns for request in good],
        "queued": [request.queued_ns for request in good if request.queued_ns is not None],
        "prefill": [took for _, took in ours],
        "decode": [last_ns(request) - (request.first_byte_ns or 0) for request, _ in ours],
        "connect": [request.connect_ns for request in good if request.connect_ns is not None],
        "tls": [request.tls_ns for request in good if request.tls_ns is not None],
    }


def _errors(steady: Sequence[RequestTimed]) -> list[Figure]:
    """How many requests failed, by kind: what stands before the colon."""
    kinds = Counter((request.error_kind or "unknown").partition(":")[0] for request in steady if request.status != "ok")
    return [Figure(metric=f"errors:{kind}", value=n, n=len(steady), unit="1") for kind, n in sorted(kinds.items())]


def _tokens(good: Sequence[RequestTimed]) -> list[Figure]:
    """How many tokens there were in all; those that nothing tells of are undefined."""
    counted: dict[str, list[int | None]] = {
        "input_tokens": [request.prompt_tokens if request.counted_by != "none" else None for request in good],
        "output_tokens": [request.output_tokens if request.counted_by != "none" else None for request in good],
        "cached_tokens": [request.cached_tokens for request in good],
        "reasoning_tokens": [request.reasoning_tokens for request in good],
    }
    return [
        Figure(metric=name, value=sum(told) if told else None, n=len(told), unit="tokens", why_undefined=None if told else UNKNOWN)
        for name, values in counted.items() for told in [[value for value in values if value is not None]]
    ]  # fmt: skip


def _sequences(tokens: Tokens, wanted: set[int]) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Arrivals of the wanted requests, by request and sequence."""
    sequences: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for (request, sequence, _), event in sorted(tokens.items()):
        if request in wanted:
            arrived = zip(event.arrival_ns, event.tokens_per_arrival, strict=True)
            sequences.setdefault((request, sequence), []).extend(arrived)
    return sequences


def _gaps(sequences: Sequences, *, each: bool) -> list[int]:
    """Inter-token latencies, once for each token; or the gaps between arrivals, once for each arrival."""
    gaps: list[int] = []
    for arrivals in sequences.values():
        for (before, _), (after, count) in itertools.pairwise(arrivals):
            gaps += [round((after - before) / count)] * count if each else [after - before]
    return gaps


def _per_token(sequences: Sequences, good: Sequence[RequestTimed]) -> list[int]:
    counts = {request.request_index: request.output_tokens for request in good}
    spans = [(arrivals[-1][0] - arrivals[0][0], counts[request]) for (request, _), arrivals in sequences.items()]
    return [round(span / (count - 1)) for span, count in spans if count > 1]


def _histogram(name: str, values: Iterable[int]) -> Histogram:
    counts = [0] * (len(BOUNDS_NS) + 1)
    for value in values:
        counts[bisect.bisect_left(BOUNDS_NS, value)] += 1
    return Histogram(metric=name, unit="ns", bounds=BOUNDS_NS, counts=tuple(counts))
