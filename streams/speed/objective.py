"""A load held to its service level: of all times, so great a share is to be at most so long.

- Each limit is held by itself: of TTFT and E2E the share is of the requests, of ITL that of the intervals between tokens. `ttft_p95=0.5` is
  the same as that 95 % of the TTFTs are at most 0.5 s. A request that failed has kept no limit, one that was
  answered whole none of the times that it does not have.
- Goodput: the requests a second that each kept all limits. Of a request's intervals the same share is to be within the limit.

Source: Y. Zhong et al., DistServe, OSDI 2024, section 2 (SLO attainment and goodput).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.requests import Objective
from schemas.results import Figure
from streams.errors import Invalid
from streams.speed.columns import ABSENT, Numbers
from streams.speed.timings import Arrivals, Requests
from streams.speed.window import Window
from streams.statistics.intervals import percentiles

LIMITS: Final = ("ttft", "itl", "e2e")
LEAST, MOST = 0.5, 0.999


@dataclass(frozen=True, slots=True)
class Held:
    """Requests beside a service level: of each limit, how many times of each request are within, and how many there are; shape [requests].

    `good`: whether a request kept all of them; `last_ns`: when it ended. `times`: all that were measured, in ns.
    """

    within: Mapping[str, Numbers]
    there: Mapping[str, Numbers]
    good: NDArray[np.bool_]
    last_ns: Numbers
    times: Mapping[str, Numbers]

    def share(self, name: str, chosen: Numbers | None = None) -> float | None:
        """The share of the times that are within that limit, of all requests or of those chosen; None where there is no time."""
        within, there = self.within[name], self.there[name]
        if chosen is not None:
            within, there = within[chosen], there[chosen]
        return float(within.sum() / count) if (count := int(there.sum())) else None


def limits(slo: Objective) -> dict[str, int]:
    """Its limits in ns, by name."""
    return {name: limit for name in LIMITS if (limit := getattr(slo, f"{name}_ns")) is not None}


def check(slo: Objective, *, output_tokens: int) -> None:
    """Raises: Invalid, where it says nothing, or nothing that can be held to."""
    if not limits(slo):
        raise Invalid("the service level has no limit: give ttft_ns, itl_ns or e2e_ns (--slo ttft_p95=0.5)", code="slo")
    if not LEAST <= slo.ratio <= MOST:
        raise Invalid(f"a service level of {slo.ratio:g} of the times: give a ratio from {LEAST} to {MOST}, as 0.95 for a p95", code="slo")
    if slo.itl_ns is not None and output_tokens < 2:
        raise Invalid("an answer of one token has no interval between tokens: ask for more output_tokens, or leave out the limit of ITL",
                      code="slo")  # fmt: skip


def held(requests: Requests, arrivals: Arrivals, *, slo: Objective) -> Held:
    """The requests beside the service level, in their order."""
    within, there = dict[str, Numbers](), dict[str, Numbers]()
    ok = good = requests.are("status", "ok")
    times = _times(requests, arrivals)
    for name, most in limits(slo).items():
        place, took = times[name]
        within[name] = np.bincount(place[took <= most], minlength=len(requests))
        counted = np.bincount(place, minlength=len(requests))
        # A request that failed, or that was answered whole, has missed once what it never measured.
        there[name] = np.where((counted == 0) & (~ok | requests.came_whole), 1, counted)
        good = good & (within[name] >= (slo.ratio if name == "itl" else 1.0) * there[name])
    return Held(within, there, good, requests.last_ns, {name: took for name, (_, took) in times.items()})


def _times(requests: Requests, arrivals: Arrivals) -> dict[str, tuple[Numbers, Numbers]]:
    """What was measured: the place of the request, and the time in ns; nothing of a request that failed."""
    ok = np.flatnonzero(requests.are("status", "ok"))
    first = ok[requests.column("first_byte_ns")[ok] != ABSENT]
    request, gap = arrivals.of(requests[ok]).intervals
    return {
        "ttft": (first, requests.column("first_byte_ns")[first] - requests.sent_ns[first]),
        "itl": (requests.places(request), gap),
        "e2e": (ok, requests.took_ns[ok]),
    }


def levels(held: Held, window: Window | None, *, slo: Objective) -> list[Figure]:
    """The share within each limit, and the goodput."""
    shares = [
        Figure(metric=f"slo_{name}_ratio", value=held.share(name), n=int(held.there[name].sum()), unit="1",
               why_undefined=None if held.there[name].sum() else f"no {name} was measured")
        for name in limits(slo)
    ]  # fmt: skip
    inside = int((held.good & _inside(held, window)).sum()) if window else 0
    goodput = Figure(metric="goodput_per_s", value=inside / window.s if window else None, n=inside, unit="1/s",
                     why_undefined=None if window else "the load ended before a steady state")  # fmt: skip
    return [*shares, goodput]


def _inside(held: Held, window: Window) -> NDArray[np.bool_]:
    return (held.last_ns > window.start_ns) & (held.last_ns <= window.end_ns)


def missed(held: Held, *, slo: Objective) -> str | None:
    """Which limits were not kept, in words; None where all were."""
    told = [_missed(held, name, limit, slo.ratio) for name, limit in limits(slo).items()]
    return "; ".join(filter(None, told)) or None


def _missed(held: Held, name: str, limit: int, ratio: float) -> str | None:
    share, label = held.share(name), f"{name}_p{100 * ratio:g}"
    if share is None:
        return f"{label} is not known: no {name} was measured"
    if share >= ratio:
        return None
    told = f"{100 * share:.3g} % are within {limit / 1e9:g} s"
    if failed := int(held.there[name].sum()) - len(held.times[name]):
        return f"{label} was missed: {told}, for {failed} requests failed"
    return f"{label} is {percentiles(held.times[name], [100 * ratio])[0] / 1e9:.3g} s: {told}"
