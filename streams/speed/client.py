"""How well the load generator itself kept up, and whether it was the bottleneck: then the figures say more of it than of the model.

It was, where one of these holds: it dropped a request; it sent an open load at less than 95 % of its rate; its 99th percentile of pacing
error is above 10 ms and above a tenth of the mean gap between scheduled sends; its loop was later than 50 ms in 1 % of the requests' last
seconds; it took more than nine tenths of a core.
"""

from collections.abc import Sequence
from typing import Final

from schemas.measurements import RequestTimed
from schemas.results import Figure
from streams.statistics.intervals import percentiles

LATE_NS: Final = 10_000_000
LAG_NS: Final = 50_000_000
CORE: Final = 0.9
KEPT: Final = 0.95
HICCUP_NS: Final = 100_000_000
FEW: Final = 10  # of fewer requests the last one's lateness is no rate


def client(steady: Sequence[RequestTimed]) -> list[Figure]:
    """Its figures."""
    if not steady:
        return []
    n, dropped = len(steady), sum(request.client.dropped for request in steady)
    pacing = _p99([abs(request.client.pacing_error_ns) for request in steady])
    queued = _p99([request.client.queued_ns for request in steady if request.client.queued_ns is not None])
    lag = _p99([request.client.loop_lag_ns for request in steady if request.client.loop_lag_ns is not None])
    cpu = max((request.client.cpu_ratio for request in steady if request.client.cpu_ratio is not None), default=None)
    why = _bottleneck(steady, pacing=pacing, lag=lag, cpu=cpu, dropped=dropped)
    unknown = "the client has not told it"
    return [
        Figure(metric="pacing_error_p99", value=pacing, n=n, unit="ns"),
        Figure(metric="client_overloaded", value=float(bool(why)), n=n, unit="1", origin=why),
        Figure(metric="client_queued_p99", value=queued, n=n, unit="ns", why_undefined=None if queued is not None else unknown),
        Figure(metric="client_loop_lag_p99", value=lag, n=n, unit="ns", why_undefined=None if lag is not None else unknown),
        Figure(metric="client_cpu_max_ratio", value=cpu, n=n, unit="1", why_undefined=None if cpu is not None else unknown),
        Figure(metric="client_dropped", value=dropped, n=n, unit="1"),
    ]


def _p99(values: Sequence[int]) -> float | None:
    return percentiles(values, [99.0])[0] if values else None


def _bottleneck(steady: Sequence[RequestTimed], *, pacing: float | None, lag: float | None, cpu: float | None, dropped: int) -> str | None:
    """Why the client was the bottleneck; None where it was not."""
    schedule = sorted(request.scheduled_ns for request in steady)
    gap_ns = (schedule[-1] - schedule[0]) / max(1, len(schedule) - 1)
    told = [f"{dropped} of {len(steady)} requests could not be sent from here"] if dropped else []
    if slow := _slow(steady):
        told.append(slow)
    if pacing is not None and pacing > LATE_NS and pacing > 0.1 * gap_ns > 0:
        told.append(f"requests were begun {pacing / 1e6:.0f} ms late")
    if lag is not None and lag > LAG_NS:
        told.append(f"its loop ran {lag / 1e6:.0f} ms late")
    if cpu is not None and cpu > CORE:
        told.append(f"it took {cpu:.2f} of a core")
    return "; ".join(told) or None


def rates_kept(steady: Sequence[RequestTimed]) -> str | None:
    """Why the load was not the one asked for, and what the client can send; None where it was."""
    dropped = sum(request.client.dropped for request in steady)
    return f"{dropped} of {len(steady)} requests could not be sent from here" if dropped else _slow(steady)


def _slow(steady: Sequence[RequestTimed]) -> str | None:
    if len(steady) < FEW or any(request.loop == "closed" for request in steady):
        return None
    due = [request.scheduled_ns for request in steady]
    begun = [request.scheduled_ns + request.client.pacing_error_ns for request in steady]
    asked_ns, took_ns = max(due) - min(due), max(begun) - min(begun)
    if asked_ns >= KEPT * took_ns or took_ns - asked_ns < HICCUP_NS:
        return None
    asked, sent = ((len(steady) - 1) / span * 1e9 for span in (max(1, asked_ns), took_ns))
    return f"it was asked to send {asked:.4g} requests/s, and can send {sent:.4g} here"
