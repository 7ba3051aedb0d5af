"""Drives a workload: sends each request at its time and notes when every token came. It runs in the engine's own process.

An engine that answers one request at a time gets them through a queue: what is sent while it is busy waits, and the wait is measured.
"""

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from gpu_agent.engines.failures import told_of
from gpu_agent.workloads.schedule import Planned, schedule
from schemas.requests import Workload
from streams.errors import Permanent, Temporary

Stream = Callable[[Planned], Iterator[int]]
MANY = 64


@dataclass(slots=True)
class Timed:
    """What was measured of one request; times are this process's `perf_counter_ns`."""

    planned: Planned
    scheduled_ns: int
    sent_ns: int = 0
    queued_ns: int = 0
    ended_ns: int = 0
    arrivals: list[tuple[int, int]] = field(default_factory=list)
    in_flight: int = 0
    error: str | None = None
    permanent: bool = False


def drive(workload: Workload, stream: Stream, *, seed: int, at_once: int) -> Iterator[Timed]:
    """Every request as it ends. `at_once`: how many the engine can answer side by side.

    Raises: Permanent or Temporary, as the last request failed, where none at all succeeded.
    """
    warmup, steady = schedule(workload, seed=seed)
    for planned in warmup:
        timed = Timed(planned, scheduled_ns=time.perf_counter_ns())
        timed.sent_ns = timed.scheduled_ns
        yield _run(timed, stream)
    succeeded, last = 0, None
    for timed in _Load(workload, stream, at_once=at_once).run(steady):
        succeeded, last = succeeded + (timed.error is None), timed
        yield timed
        if succeeded == 0 and timed.planned.index > workload.warmup_requests + 2:
            break
    if last is not None and succeeded == 0:
        raise (Permanent if last.permanent else Temporary)(f"no request succeeds: {last.error}", code="workload-fails")


class _Load:
    """The steady phase: one thread that sends by the schedule, and threads that answer."""

    def __init__(self, workload: Workload, stream: Stream, *, at_once: int) -> None:
        closed = {"single": 1, "concurrent": workload.concurrency or 1}.get(workload.profile)
        self._closed = closed is not None
        self._deadline_s = workload.duration_s if self._closed else None
        self._stream = stream
        self._sent: queue.SimpleQueue[Timed | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[Timed] = queue.SimpleQueue()
        self._workers = min(at_once, MANY)
        self._places = threading.Semaphore(closed or 1)
        self._count = itertools.count()
        self._in_flight = 0
        self._lock = threading.Lock()
        self._all_sent = threading.Event()

    def run(self, steady: Iterator[Planned]) -> Iterator[Timed]:
        """Every request as it ends."""
        sender = threading.Thread(target=self._send, args=(steady,), daemon=True)
        workers = [threading.Thread(target=self._work, daemon=True) for _ in range(self._workers)]
        for thread in (sender, *workers):
            thread.start()
        given = 0
        while not (self._all_sent.is_set() and given == self._total):
            try:
                timed = self._ended.get(timeout=0.05)
            except queue.Empty:
                continue
            given += 1
            yield timed

    def _send(self, steady: Iterator[Planned]) -> None:
        started, total = time.perf_counter_ns(), 0
        for planned in steady:
            if self._closed:
                self._places.acquire()
            now = time.perf_counter_ns()
            if self._deadline_s is not None and (now - started) / 1e9 >= self._deadline_s:
                break
            due = started + round(planned.at_s * 1e9) if planned.at_s is not None else now
            if due > now:
                time.sleep((due - now) / 1e9)
            with self._lock:
                self._in_flight += 1
                in_flight = self._in_flight
            self._sent.put(Timed(planned, scheduled_ns=due, sent_ns=time.perf_counter_ns(), in_flight=in_flight))
            total += 1
        self._total = total
        self._all_sent.set()
        for _ in range(self._workers):
            self._sent.put(None)

    def _work(self) -> None:
        while (timed := self._sent.get()) is not None:
            _run(timed, self._stream)
            with self._lock:
                self._in_flight -= 1
            if self._closed:
                self._places.release()
            self._ended.put(timed)


def _run(timed: Timed, stream: Stream) -> Timed:
    timed.queued_ns = time.perf_counter_ns() - timed.sent_ns
    try:
        for tokens in stream(timed.planned):
            timed.arrivals.append((time.perf_counter_ns(), tokens))
    except Exception as error:  # noqa: BLE001  an engine's libraries raise what they like, and a thread that ended would be waited for
        told = told_of(error)
        timed.error, timed.permanent = f"{told.code}: {told}", isinstance(told, Permanent)
    timed.ended_ns = time.perf_counter_ns()
    return timed
