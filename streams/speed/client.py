"""How well the load generator itself kept up, and whether it was the bottleneck: then the figures say more of it than of the model.

It was, where one of these holds: it dropped a request; it sent an open load at less than 95 % of its rate; its 99th percentile of pacing
error is above 10 ms and above a tenth of the mean gap between scheduled sends; its loop was later than 50 ms in 1 % of the requests' last
seconds; it took more than nine tenths of a core.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from schemas.results import Figure
from streams.speed.columns import Numbers
from streams.speed.timings import Requests
from streams.statistics.intervals import percentiles

LATE_NS: Final = 10_000_000
LAG_NS: Final = 50_000_000
CORE: Final = 0.9
KEPT: Final = 0.95
HICCUP_NS: Final = 100_000_000
FEW: Final = 10  # of fewer requests the last one's lateness is no rate


def client(steady: Requests) -> list[Figure]:
    """Its figures."""
    if not len(steady):
        return []
    n, dropped = len(steady), int(steady.column("dropped").sum())
    pacing = _p99(np.abs(steady.column("pacing_error_ns")))
    queued, lag = _p99(steady.known("client_queued_ns")), _p99(steady.known("loop_lag_ns"))
    cpu = max(steady.reals("cpu_ratio").tolist(), default=None)
    why = _bottleneck(steady, pacing=pacing, lag=lag, cpu=cpu, dropped=dropped)
    unknown = "the client has not told it"
    waited = {f"client_{name}_max": max(steady.known(name).tolist(), default=None) for name in ("unread", "unsent")}
    return [
        Figure(metric="pacing_error_p99", value=pacing, n=n, unit="ns"),
        Figure(metric="client_overloaded", value=float(bool(why)), n=n, unit="1", origin=why),
        Figure(metric="client_queued_p99", value=queued, n=n, unit="ns", why_undefined=None if queued is not None else unknown),
        Figure(metric="client_loop_lag_p99", value=lag, n=n, unit="ns", why_undefined=None if lag is not None else unknown),
        Figure(metric="client_cpu_max_ratio", value=cpu, n=n, unit="1", why_undefined=None if cpu is not None else unknown),
        Figure(metric="client_dropped", value=dropped, n=n, unit="1"),
        *(Figure(metric=name, value=most, n=n, unit="1", why_undefined=None if most is not None else unknown)
          for name, most in waited.items()),
    ]  # fmt: skip


def _p99(values: Numbers) -> float | None:
    return percentiles(values, [99.0])[0] if len(values) else None


def _bottleneck(steady: Requests, *, pacing: float | None, lag: float | None, cpu: float | None, dropped: int) -> str | None:
    """Why the client was the bottleneck; None where it was not."""
    gap_ns = int(np.ptp(steady.column("scheduled_ns"))) / max(1, len(steady) - 1)
    told = [f"{dropped} of {len(steady)} requests could not be sent from here"] if dropped else []
    if slow := _slow(steady):
        told.append(slow)
    return "; ".join([*told, *strained(pacing=pacing, lag=lag, cpu=cpu, gap_ns=gap_ns)]) or None


def strained(*, pacing: float | None, lag: float | None, cpu: float | None, gap_ns: float) -> Iterator[str]:
    """In what it was late, or at its end, though it sent all: 99th percentiles in ns, cores, the mean gap between scheduled sends."""
    if pacing is not None and pacing > LATE_NS and pacing > 0.1 * gap_ns > 0:
        yield f"requests were begun {pacing / 1e6:.0f} ms late"
    if lag is not None and lag > LAG_NS:
        yield f"its loop ran {lag / 1e6:.0f} ms late"
    if cpu is not None and cpu > CORE:
        yield f"it took {cpu:.2f} of a core"


def rates_kept(steady: Requests) -> str | None:
    """Why the load was not the one asked for, and what the client can send; None where it was."""
    dropped = int(steady.column("dropped").sum())
    return f"{dropped} of {len(steady)} requests could not be sent from here" if dropped else _slow(steady)


def _slow(steady: Requests) -> str | None:
    if len(steady) < FEW or steady.are("loop", "closed").any():
        return None
    due = steady.column("scheduled_ns")
    asked_ns, took_ns = int(np.ptp(due)), int(np.ptp(due + steady.column("pacing_error_ns")))
    if asked_ns >= KEPT * took_ns or took_ns - asked_ns < HICCUP_NS:
        return None
    asked, sent = ((len(steady) - 1) / span * 1e9 for span in (max(1, asked_ns), took_ns))
    return f"it was asked to send {asked:.4g} requests/s, and can send {sent:.4g} here"
