"""The steady window of a load: without the ramp, while places fill up, and without the drain, when no more is sent.

- The ramp lasts as long as 95 % of the requests take (half of the sending at most): until then fewer end than are sent. There is none where
  no two requests were ever under way together.
- The drain begins with the last sending.
- The window lies between two endings of requests: the first one behind the ramp, and the first one behind the last sending. What ends, or
  arrives, after its start and not after its end is counted; so a rate has neither a half request at its edges nor an empty stretch.

Source: the removal of the initial transient, A. M. Law, Simulation Modeling and Analysis (5th ed. 2015), section 9.5.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.measurements import RequestTimed
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

    def holds(self, at_ns: int) -> bool:
        """Whether that moment is counted."""
        return self.start_ns < at_ns <= self.end_ns


def last_ns(request: RequestTimed) -> int:
    """When its last token came; where that is not told, when it ended."""
    return request.last_token_ns if request.last_token_ns is not None else request.ended_ns


def overlapping(requests: Sequence[RequestTimed]) -> bool:
    """Whether two were ever under way together."""
    return any(request.client.in_flight > 1 for request in requests)


def behind_ramp_ns(requests: Sequence[RequestTimed], good: Sequence[RequestTimed]) -> int:
    """When the ramp is over: latencies are of the requests sent from then on. `good`: those that succeeded, one at least."""
    first, last = min(request.sent_ns for request in requests), max(request.sent_ns for request in requests)
    if not overlapping(requests):
        return first
    (most,) = percentiles([last_ns(request) - request.sent_ns for request in good], [95.0])
    return first + round(min(most, (last - first) / 2))


def steady_window(requests: Sequence[RequestTimed], good: Sequence[RequestTimed]) -> Window | None:
    """The window; None where no two requests end in it: the load was too short."""
    if not good:
        return None
    from_ns, last_sent_ns = behind_ramp_ns(requests, good), max(request.sent_ns for request in requests)
    ends = sorted(last_ns(request) for request in good)
    start = next((end for end in ends if end >= from_ns), None)
    end = next((end for end in ends if end > last_sent_ns), ends[-1])
    return Window(start, end) if start is not None and end > start else None
