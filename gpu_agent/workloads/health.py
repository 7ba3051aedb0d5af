"""How well the load generator itself kept up: how late its loop ran, and how much of a core it took."""

import time
from collections import deque

from gpu_agent.workloads.timer import Timer

EVERY_NS = 10_000_000
KEPT_NS = 1_000_000_000


class Health:
    """Watches one event loop."""

    def __init__(self, timer: Timer) -> None:
        self._timer = timer
        self._lags: deque[tuple[int, int]] = deque()
        self._cpu = (time.perf_counter_ns(), time.process_time_ns())
        self._ratio: float | None = None
        self._due_ns = time.perf_counter_ns()
        self._running = True
        self._beat()

    def _beat(self) -> None:
        """Is asked for every 10 ms; by how much it comes later is the loop's lag."""
        if not self._running:
            return
        now_ns = time.perf_counter_ns()
        self._lags.append((now_ns, now_ns - self._due_ns))
        while now_ns - self._lags[0][0] > KEPT_NS:
            self._lags.popleft()
        since_ns, cpu_ns = self._cpu
        if now_ns - since_ns >= KEPT_NS // 2:
            spent_ns = time.process_time_ns()
            self._ratio, self._cpu = (spent_ns - cpu_ns) / (now_ns - since_ns), (now_ns, spent_ns)
        self._due_ns = now_ns + EVERY_NS
        self._timer.at(self._due_ns, self._beat)

    def lag_ns(self) -> int:
        """The worst lag of the last second."""
        return max((lag for _, lag in self._lags), default=0)

    def cpu_ratio(self) -> float | None:
        """Cores that the process has taken lately; None before half a second."""
        return self._ratio

    def stop(self) -> None:
        """Beats no more."""
        self._running = False
