"""The figures of one load: of all requests of a workload, or of one step of a sweep.

Times are nanoseconds on one host's monotonic clock. Latencies are of the requests that succeeded and were sent behind the ramp (window.py):

- TTFT = first token's arrival - send; of any channel. First answer: of the first token that is no reasoning. ITL = a gap between arrivals /
  the tokens that the later one brought, once for each of them; gap = the same once for each arrival.
- TPOT = (last arrival - first arrival) / (output tokens - 1). E2E = last token - send. E2E and TTFT also from when the request should
  have been sent (`_scheduled`), because of coordinated omission.
- prefill = first token's arrival - send - the wait for an engine of our own; decode = last token - first: what serving took, without
  queueing.
- connect and tls: of the requests that a connection was made for.

Rates, what they are rates of, and self-checks: loads.py. The client's health: client.py. Service levels: objective.py.
Source: definitions of TTFT, ITL, TPOT and E2E as in vLLM 0.32 `vllm bench serve`; coordinated omission: G. Tene, How NOT to Measure
Latency, 2013.
"""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.measurements import RequestTimed, TokensTimed
from schemas.requests import Objective
from schemas.results import Figure
from streams.speed.client import client
from streams.speed.latencies import spread
from streams.speed.loads import UNKNOWN, checks, load, rates
from streams.speed.objective import Held, held, levels
from streams.speed.window import Window, behind_ramp_ns, last_ns, steady_window

Tokens = dict[tuple[int, int, int], TokensTimed]  # by request, sequence and chunk
Sequences = Mapping[tuple[int, int], Sequence[tuple[int, int]]]  # request and sequence → when so many tokens came


@dataclass(frozen=True, slots=True)
class Measured:
    """A load as it was measured. `samples`: its latencies, in ns; `held`: its requests behind the ramp, beside the service level."""

    steady: Sequence[RequestTimed]
    good: Sequence[RequestTimed]
    window: Window | None
    samples: Mapping[str, Sequence[int]]
    held: Held
    figures: Sequence[Figure]

    def figure(self, metric: str) -> Figure:
        """Its figure of that name. Raises: StopIteration where there is none."""
        return next(one for one in self.figures if one.metric == metric)


def measured(steady: Sequence[RequestTimed], tokens: Tokens, *, slo: Objective | None = None) -> Measured:
    """The figures of steady requests, which are in their order; the tokens of others are passed over."""
    good, wrong = ([request for request in steady if request.status == status] for status in ("ok", "error"))
    window, from_ns = steady_window(steady, good), behind_ramp_ns(steady, good) if good else 0
    arrivals = _sequences(tokens, {request.request_index for request in good})
    by_request = {request: arrived for (request, _), arrived in arrivals.items()}
    samples = _latencies([request for request in good if request.sent_ns >= from_ns], arrivals)
    beside = held(
        [request for request in steady if request.sent_ns >= from_ns and request.status != "cancelled"], arrivals, slo=slo or Objective()
    )
    why = UNKNOWN if good and all(request.counted_by == "none" for request in good) else "nothing was measured"
    figures = [
        Figure(metric="requests", value=len(steady), n=len(steady), unit="1"),
        Figure(metric="errors", value=len(wrong), n=len(steady), unit="1"),
        Figure(metric="cancelled", value=len(steady) - len(good) - len(wrong), n=len(steady), unit="1"),
        *_errors(wrong, n=len(steady)),
        *_tokens(good),
        *rates(good, window, by_request),
        *client(steady),
        *itertools.chain.from_iterable(spread(name, values, why=why) for name, values in samples.items()),
    ]
    figures += load(steady, window, {figure.metric: figure for figure in figures}) + checks(steady, good, window, by_request)
    figures += levels(beside, window, slo=slo) if slo else []
    return Measured(steady, good, window, samples, beside, figures)


def _latencies(good: Sequence[RequestTimed], arrivals: Sequences) -> dict[str, list[int]]:
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


def _errors(wrong: Sequence[RequestTimed], *, n: int) -> list[Figure]:
    """How many requests failed, by kind: what stands before the colon."""
    kinds = Counter((request.error_kind or "unknown").partition(":")[0] for request in wrong)
    return [Figure(metric=f"errors:{kind}", value=count, n=n, unit="1") for kind, count in sorted(kinds.items())]


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
