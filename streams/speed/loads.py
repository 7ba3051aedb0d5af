"""What a load was to the server: rates of the steady window, what was offered, and whether the figures are latency alone or capacity.

- requests/s, input tokens/s: of the requests that ended in the window; output tokens/s: of the tokens that came in it. Below saturation
  these are the load that was offered, and say nothing of the model.
- *Alone*: no two requests were under way together. Tokens/s of one stream alone: 1 / mean TPOT.
- *Capacity*: the server had more than it could do: an open load, as a sweep's last steps are, of which the window's endings are less than
  95 % of its sendings, and of which more are under way at its end than at its start, by more than chance lets; or a closed load of an
  engine of ours, which answers one request at a time.
- *At concurrency N*: what a closed load of N brought of a server, which may have had places free. No figure of that load can tell.
- Self-checks: Little's law, |L - λ·W| / L with L the mean number under way in the window, λ its endings a second and W the mean time of
  those that ended; and the tokens that arrived beside those that were counted.

Source: J. D. C. Little, Oper. Res. 9 (1961) 383-387.
"""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from schemas.results import Figure
from streams.speed.timings import Arrivals, Requests
from streams.speed.window import Window, is_batch, overlapping

RATES: Final = ("requests_per_s", "input_tokens_per_s", "output_tokens_per_s")
SERVED: Final = 0.95
CHANCE: Final = 1.5  # standard deviations of the difference of two Poisson counts
UNKNOWN: Final = "the server told no usage, and no tokenizer of the model is here"
WHOLE: Final = "answers came whole, not as a stream: nothing tells when their tokens came"
ONCE: Final = "the tokens of each answer came at once, or were one: they have no rate"
NOT_SEVERAL: Final = "it was no closed load of several at a time"
FULL: Final = "the server was full: it is its capacity"
SHORT: Final = "the load ended before a steady state: send more requests, or for longer"


def rates(good: Requests, window: Window | None, arrivals: Arrivals) -> list[Figure]:
    """Requests, input and output tokens a second; n is what was counted, so that n / value is the window."""
    if window is None:
        why = SHORT if len(good) else "no steady request has succeeded"
        return [Figure(metric=name, value=None, n=0, why_undefined=why) for name in RATES]
    ended = good[window.holds(good.last_ns)]
    came = int(arrivals.tokens[window.holds(arrivals.ns)].sum())
    known = not good.are("counted_by", "none").any()
    counted = (len(ended), int(ended.column("prompt_tokens").sum()) if known else None, came if known else None)
    return [
        Figure(metric=name, value=None if n is None else n / window.s, n=n or 0, unit="1/s" if name == RATES[0] else "tokens/s",
               why_undefined=UNKNOWN if n is None else None)
        for name, n in zip(RATES, counted, strict=True)
    ]  # fmt: skip


def load(steady: Requests, window: Window | None, figures: Mapping[str, Figure]) -> list[Figure]:
    """What was offered, and tokens/s told apart as one stream alone, as what so many at a time bring, and as capacity."""
    if window is None:
        names = ("offered_per_s", "alone_tokens_per_s", "concurrent_tokens_per_s", "capacity_tokens_per_s")
        return [Figure(metric=name, value=None, n=0, why_undefined=SHORT) for name in names]
    offered = int(window.holds(steady.sent_ns).sum()) / window.s
    tpot, tokens = figures.get("tpot_mean"), figures["output_tokens_per_s"]
    alone = 1e9 / tpot.value if tpot and tpot.value and not overlapping(steady) else None
    why = None if alone else "requests were under way together" if overlapping(steady) else WHOLE if steady.came_whole.any() else ONCE
    below, many = _below(steady, window, offered), _concurrency(steady)
    return [
        Figure(metric="offered_per_s", value=offered, n=len(steady), unit="1/s"),
        Figure(metric="alone_tokens_per_s", value=alone, n=tpot.n if tpot and alone else 0, unit="tokens/s", why_undefined=why),
        Figure(metric="concurrent_tokens_per_s", value=tokens.value if many and below else None, n=tokens.n if many and below else 0,
               unit="tokens/s", why_undefined=(tokens.why_undefined if below else FULL) if many else NOT_SEVERAL),
        *([Figure(metric="concurrency", value=many, n=len(steady), unit="1")] if many else []),
        Figure(metric="capacity_tokens_per_s", value=None if below else tokens.value, n=0 if below else tokens.n, unit="tokens/s",
               why_undefined=below or tokens.why_undefined),
    ]  # fmt: skip


def _below(steady: Requests, window: Window, offered: float) -> str | None:
    """Why its rate is no capacity; None where it is."""
    if is_batch(steady):
        return "it was one batch, and its rates have its tail in them"
    if saturated(steady, window):
        return None
    if many := _concurrency(steady):
        return f"a closed load of {many}: whether the server can do more is not known; a sweep (--sweep) finds its capacity"
    return f"the load was below capacity: {offered:.3g} requests/s were offered, and served"


def _concurrency(steady: Requests) -> int | None:
    """How many at a time a closed load had under way; None of any other, of a batch, and of one at a time."""
    if not steady.are("loop", "closed").all() or not overlapping(steady) or is_batch(steady):
        return None
    return int(steady.column("in_flight").max())


def lasting(steady: Requests) -> list[Figure]:
    """From the first sending to the last one, and to the last token, in ns."""
    if not len(steady):
        return []
    first = int(steady.sent_ns.min())
    ends = {"sending": steady.sent_ns, "whole": steady.last_ns}
    return [Figure(metric=name, value=int(at_ns.max()) - first, n=len(steady), unit="ns") for name, at_ns in ends.items()]


def saturated(steady: Requests, window: Window) -> bool:
    """Whether the server surely had more than it could do."""
    if steady.are("loop", "closed").all():
        # An engine of ours answers one request at a time, and one at a time keeps it busy.
        return bool(steady.are("counted_by", "engine").all())
    if not overlapping(steady):
        return False
    sent, ended = (int(window.holds(at_ns).sum()) for at_ns in (steady.sent_ns, steady.last_ns))
    before, after = _under_way(steady, window.start_ns), _under_way(steady, window.end_ns)
    return ended < SERVED * sent and after - before > CHANCE * math.sqrt(before + after)


def _under_way(requests: Requests, at_ns: int) -> int:
    return int(((requests.sent_ns <= at_ns) & (at_ns < requests.last_ns)).sum())


def checks(steady: Requests, good: Requests, window: Window | None, arrivals: Arrivals) -> list[Figure]:
    """How far Little's law and the counts of tokens are from holding: 0 is right."""
    came, told = int(arrivals.tokens.sum()), int(good.column("output_tokens").sum())
    lost = Figure(metric="tokens_not_timed", value=told - came, n=told, unit="1")
    ended = steady[window.holds(steady.last_ns)] if window else steady[:0]
    if window is None or not len(ended):
        return [lost, Figure(metric="little_error_ratio", value=None, n=0, unit="1", why_undefined=SHORT)]
    spent = np.minimum(steady.last_ns, window.end_ns) - np.maximum(steady.sent_ns, window.start_ns)
    under_way = int(np.maximum(0, spent).sum()) / (window.end_ns - window.start_ns)
    flow = len(ended) / window.s * int(ended.took_ns.sum()) / len(ended) / 1e9
    return [
        lost,
        Figure(metric="in_flight_mean", value=under_way, n=len(ended), unit="1"),
        Figure(metric="little_error_ratio", value=abs(under_way - flow) / under_way if under_way else None, n=len(ended), unit="1",
               why_undefined=None if under_way else "nothing was under way"),
    ]  # fmt: skip
