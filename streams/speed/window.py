"""The steady window of a load: without the ramp, while places fill up, and without the drain, when no more is sent.

- The ramp lasts as long as 95 % of the requests take (half of the sending at most): until then fewer end than are sent. There is none where
  no two requests were ever under way together.
- The drain begins with the last sending.
- A batch, of which every request was sent before any had ended, is a closed load without a steady state: its window is all of it, from the
  first sending to the last token, the tail too, in which fewer and fewer are under way.
- The window lies between two endings of requests: the first one behind the ramp, and the first one behind the last sending. What ends, or
  arrives, after its start and not after its end is counted; so a rate has neither a half request at its edges nor an empty stretch.

Source: the removal of the initial transient, A. M. Law, Simulation Modeling and Analysis (5th ed. 2015), section 9.5.1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.speed.columns import Numbers
from streams.speed.timings import Requests
from streams.statistics.intervals import percentiles


@dataclass(frozen=True, slots=True)
class Window:
    """From `start_ns` (not within) to `end_ns` (within), on the client's monotonic clock."""

    start_ns: int
    end_ns: int

    @property
    def s(self) -> float:
        """Its length in seconds."""
        return (self.end_ns - self.start_ns) / 1e9

    def holds(self, at_ns: Numbers) -> NDArray[np.bool_]:
        """Which of those moments are counted."""
        return (self.start_ns < at_ns) & (at_ns <= self.end_ns)


def overlapping(requests: Requests) -> bool:
    """Whether two were ever under way together."""
    return bool((requests.column("in_flight") > 1).any())


def is_batch(requests: Requests) -> bool:
    """Whether a closed load was sent all at once."""
    return bool(len(requests) and requests.are("loop", "closed").all() and requests.sent_ns.max() < requests.last_ns.min())


def behind_ramp_ns(requests: Requests, good: Requests) -> int:
    """When the ramp is over: latencies are of the requests sent from then on. `good`: those that succeeded, one at least."""
    first, last = int(requests.sent_ns.min()), int(requests.sent_ns.max())
    if not overlapping(requests) or is_batch(requests):
        return first
    (most,) = percentiles(good.took_ns, [95.0])
    return first + round(min(most, (last - first) / 2))


def steady_window(requests: Requests, good: Requests) -> Window | None:
    """The window; None where no two requests end in it: the load was too short."""
    if not len(good):
        return None
    if is_batch(requests):
        return Window(int(requests.sent_ns.min()) - 1, int(good.last_ns.max()))
    ends = np.sort(good.last_ns)
    start = int(np.searchsorted(ends, behind_ramp_ns(requests, good), side="left"))
    end = min(int(np.searchsorted(ends, requests.sent_ns.max(), side="right")), len(ends) - 1)
    return Window(int(ends[start]), int(ends[end])) if start < len(ends) and ends[end] > ends[start] else None
