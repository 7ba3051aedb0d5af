"""Drives a workload on an engine of our own, in its process: sends each request at its time, and notes when every token came.

An engine that answers one request at a time gets them through a queue: what is sent while it is busy waits, and the wait is measured.
A server elsewhere is driven by load.py; `checked` stands before either.
"""

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing

from gpu_agent.engines.failures import told_of
from gpu_agent.workloads.schedule import Planned, places_of, schedule
from gpu_agent.workloads.timed import Timed
from schemas.requests import Workload
from streams.errors import Permanent, Temporary

Stream = Callable[[Planned], Iterator[int]]
TRIED = 3  # requests of the load that may fail before it is given up, where none has succeeded


def checked(requests: Generator[Timed, None, None]) -> Iterator[Timed]:
    """The requests as they end. Raises: Permanent or Temporary, as the last one failed, where none at all succeeds."""
    succeeded, tried, last = 0, 0, None
    with closing(requests):
        for timed in requests:
            yield timed
            if timed.planned.phase == "warmup":
                continue
            succeeded, tried, last = succeeded + (timed.error is None), tried + 1, timed
            if succeeded == 0 and tried >= TRIED:
                break
    if last is not None and succeeded == 0:
        raise (Permanent if last.permanent else Temporary)(f"no request succeeds: {last.error}", code="workload-fails")


def drive(workload: Workload, stream: Stream, *, seed: int, first: int = 0) -> Generator[Timed, None, None]:
    """Every request as it ends. `first`: the first one's number."""
    (warmup, steady), places = schedule(workload, seed=seed, first=first), places_of(workload)
    yield from _Phase(stream, places=places, deadline_s=None).run(iter(warmup))
    yield from _Phase(stream, places=places, deadline_s=workload.duration_s if places else None).run(steady)


class _Phase:
    """The warm-up, or the steady phase: one thread that sends by the schedule, and one that answers."""

    def __init__(self, stream: Stream, *, places: int | None, deadline_s: float | None) -> None:
        self._closed = places is not None
        self._deadline_s = deadline_s
        self._stream = stream
        self._sent: queue.SimpleQueue[Timed | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[Timed] = queue.SimpleQueue()
        self._places = threading.Semaphore(places or 1)
        self._in_flight = 0
        self._lock = threading.Lock()
        self._all_sent = threading.Event()
        self._total = 0
        self._failed: Exception | None = None

    def run(self, requests: Iterator[Planned]) -> Iterator[Timed]:
        """Every request as it ends. Raises: Permanent or Temporary, where the schedule fails."""
        for work in (lambda: self._send(requests), self._work):
            threading.Thread(target=work, daemon=True).start()
        given = 0
        while not (self._all_sent.is_set() and given == self._total):
            try:
                timed = self._ended.get(timeout=0.05)
            except queue.Empty:
                continue
            given += 1
            yield timed
        if self._failed is not None:
            raise told_of(self._failed) from self._failed

    def _send(self, requests: Iterator[Planned]) -> None:
        try:
            self._send_all(requests)
        except Exception as error:  # noqa: BLE001  requests are drawn as they are sent, and a thread that ended would be waited for
            self._failed = error
        self._all_sent.set()
        self._sent.put(None)

    def _send_all(self, requests: Iterator[Planned]) -> None:
        started = time.perf_counter_ns()
        for planned in requests:
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
            sent_ns = time.perf_counter_ns()
            self._sent.put(Timed(planned, scheduled_ns=due, begun_ns=sent_ns, sent_ns=sent_ns, in_flight=in_flight))
            self._total += 1

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
    if timed.arrivals:
        timed.first_token_ns = timed.first_answer_ns = timed.arrivals[0][0]
        timed.last_token_ns = timed.arrivals[-1][0]
    timed.prompt_tokens, timed.output_tokens = timed.planned.input_tokens, sum(count for _, count in timed.arrivals)
    return timed
