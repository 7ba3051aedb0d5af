"""A requirement's traffic out of a trace of real requests: its 24th parts stand for the hours of a day."""

from collections.abc import Sequence
from typing import Any

from schemas.requests import Traced
from streams.deciding.curves import HOURS
from streams.errors import Invalid

MS = 1000


def traffic_of(trace: Sequence[Traced]) -> dict[str, Any]:
    """Traffic as people write it: the rate of each part, and the mean tokens of a request and of an answer.

    However long the trace is, the replicas are for its busiest part, and a month's tokens for its mean.
    Raises: Invalid for a trace that has no length.
    """
    length_ms = max((one.at_ms for one in trace), default=0.0)
    if length_ms <= 0:
        raise Invalid(f"the trace has {len(trace)} requests, all at one moment; traffic needs some from which a rate follows", code="trace")
    counts = [0] * HOURS
    for one in trace:
        counts[min(int(one.at_ms / length_ms * HOURS), HOURS - 1)] += 1
    rates = [f"{count / (length_ms / MS / HOURS):.6g}/s" for count in counts]
    read, written = (sum(getattr(one, name) for one in trace) / len(trace) for name in ("input_tokens", "output_tokens"))
    return {"curve": rates, "input": f"{max(1, round(read))} tokens", "output": f"{max(1, round(written))} tokens"}
