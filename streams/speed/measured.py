"""The figures of one load: of all requests of a workload, or of one step of a sweep.

Times are nanoseconds on one host's monotonic clock. Latencies are of the requests that succeeded and were sent behind the ramp (window.py):

- TTFT = first token's arrival - send; of any channel. First answer: of the first token that is no reasoning. ITL = a gap between arrivals /
  the tokens that the later one brought, once for each of them; gap = the same once for each arrival.
- Of chats TTFT also of their first turns, and of those that have others before them.
- TPOT = (last arrival - first arrival) / (output tokens - 1), where there are two arrivals. E2E = last token - send. E2E and TTFT also
  from when the request should have been sent (`_scheduled`), because of coordinated omission.
- prefill = first token's arrival - send - the wait for an engine of our own; decode = last token - first: what serving took, without
  queueing.
- connect and tls: of the requests that a connection was made for.

Rates, what they are rates of, and self-checks: loads.py. The client's health: client.py. Service levels: objective.py.
Source: definitions of TTFT, ITL, TPOT and E2E as in vLLM 0.32 `vllm bench serve`; coordinated omission: G. Tene, How NOT to Measure
Latency, 2013.
"""

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.requests import Objective
from schemas.results import Figure
from streams.speed import stationary
from streams.speed.client import client
from streams.speed.columns import ABSENT, Numbers
from streams.speed.latencies import early, spread
from streams.speed.loads import UNKNOWN, WHOLE, checks, lasting, load, rates
from streams.speed.objective import Held, held, levels
from streams.speed.timings import Arrivals, Requests
from streams.speed.usage import usage
from streams.speed.window import Window, behind_ramp_ns, is_batch, steady_window

# Latencies that are there where answers come whole too, or have their own reason where they are not.
OF_REQUESTS: Final = frozenset({"e2e", "e2e_scheduled", "queued", "connect", "tls"})
# What MLPerf holds loads to (rules.py).
EARLY: Final = (("e2e", 90.0), ("ttft", 99.0), ("tpot", 99.0))


@dataclass(frozen=True, slots=True)
class Measured:
    """A load as it was measured. `samples`: its latencies, in ns; `held`: its requests behind the ramp, beside the service level."""

    steady: Requests
    good: Requests
    window: Window | None
    samples: Mapping[str, Numbers]
    held: Held
    figures: list[Figure]

    def figure(self, metric: str) -> Figure:
        """Its figure of that name. Raises: StopIteration where there is none."""
        return next(one for one in self.figures if one.metric == metric)


def measured(steady: Requests, arrivals: Arrivals, *, slo: Objective | None = None) -> Measured:
    """The figures of steady requests, which are in the order of their sending; the tokens of others are passed over."""
    good, wrong = (steady[steady.are("status", status)] for status in ("ok", "error"))
    window, from_ns = steady_window(steady, good), behind_ramp_ns(steady, good) if len(good) else 0
    came = arrivals.of(good)
    samples = _latencies(good[good.sent_ns >= from_ns], came)
    beside = held(steady[(steady.sent_ns >= from_ns) & ~steady.are("status", "cancelled")], came, slo=slo or Objective())
    why = UNKNOWN if len(good) and good.are("counted_by", "none").all() else "nothing was measured"
    whole = WHOLE if len(good) and good.came_whole.all() else None
    lacks = {"itl": came.too_many}
    figures = [
        Figure(metric="requests", value=len(steady), n=len(steady), unit="1"),
        Figure(metric="errors", value=len(wrong), n=len(steady), unit="1"),
        Figure(metric="cancelled", value=len(steady) - len(good) - len(wrong), n=len(steady), unit="1"),
        *_errors(wrong, n=len(steady)),
        *_tokens(good),
        *usage(good),
        *_repeated(steady),
        *rates(good, window, came),
        *client(steady),
        *itertools.chain.from_iterable(
            spread(name, values, why=lacks.get(name) or (why if name in OF_REQUESTS or whole is None else whole))
            for name, values in samples.items()
        ),
        *(early(name, samples[name], percent, why=None if name in OF_REQUESTS else whole) for name, percent in EARLY),
        *lasting(steady),
        stationary.steady(samples["e2e"]) if not is_batch(steady) else stationary.of_a_batch(len(good)),
    ]
    figures += load(steady, window, {figure.metric: figure for figure in figures}) + checks(steady, good, window, came)
    figures += levels(beside, window, slo=slo) if slo else []
    return Measured(steady, good, window, samples, beside, figures)


def _latencies(good: Requests, arrivals: Arrivals) -> dict[str, Numbers]:
    """Every latency of these requests, in ns, in the order of their sending."""
    begun = good[good.column("first_byte_ns") != ABSENT]
    first, ours, came = begun.column("first_byte_ns"), begun.column("queued_ns") != ABSENT, arrivals.of(good)
    answered = good[good.column("first_answer_ns") != ABSENT]
    turn = begun.column("turn")
    by_turn = {"ttft_first_turn": turn == 0, "ttft_later_turns": turn > 0} if (turn > 0).any() else {}
    return {
        "ttft": first - begun.sent_ns,
        **{name: (first - begun.sent_ns)[own] for name, own in by_turn.items()},
        "ttft_scheduled": first - begun.column("scheduled_ns"),
        "first_answer": answered.column("first_answer_ns") - answered.sent_ns,
        "itl": came.intervals[1],
        "gap": came.gaps[1],
        "tpot": _per_token(came, good),
        "e2e": good.took_ns,
        "e2e_scheduled": good.last_ns - good.column("scheduled_ns"),
        "queued": good.known("queued_ns"),
        "prefill": (first - begun.sent_ns - begun.column("queued_ns"))[ours],
        "decode": (begun.last_ns - first)[ours],
        "connect": good.known("connect_ns"),
        "tls": good.known("tls_ns"),
    }


def _errors(wrong: Requests, *, n: int) -> list[Figure]:
    """How many requests failed, by kind: what stands before the colon."""
    kinds = Counter((told or "unknown").partition(":")[0] for told in wrong.texts("error_kind"))
    return [Figure(metric=f"errors:{kind}", value=count, n=n, unit="1") for kind, count in sorted(kinds.items())]


def _tokens(good: Requests) -> list[Figure]:
    """How many tokens there were in all; those that nothing tells of are undefined."""
    known = good[~good.are("counted_by", "none")]
    counted = {
        "input_tokens": known.column("prompt_tokens"),
        "output_tokens": known.column("output_tokens"),
        "cached_tokens": good.known("cached_tokens"),
        "reasoning_tokens": good.known("reasoning_tokens"),
    }
    return [
        Figure(metric=name, value=int(told.sum()) if len(told) else None, n=len(told), unit="tokens",
               why_undefined=None if len(told) else UNKNOWN)
        for name, told in counted.items()
    ]  # fmt: skip


def _repeated(steady: Requests) -> list[Figure]:
    """How many requests had a prompt of a data set that was sent before; nothing where no data set was asked with."""
    prompts = steady.known("prompt")
    again = len(prompts) - len(np.unique(prompts))
    return [Figure(metric="prompts_repeated", value=again, n=len(prompts), unit="1")] if len(prompts) else []


def _per_token(arrivals: Arrivals, good: Requests) -> Numbers:
    request, span = arrivals.spans
    counts = good.column("output_tokens")[good.places(request)]
    # Tokens that all came at once tell no time between them.
    several = (counts > 1) & (span > 0)
    return np.rint(span[several] / (counts[several] - 1)).astype(np.int64)
