"""A load that several processes of this machine send: one process is one core at most, and a client that is short of it measures itself.

Each sends its share of the schedule by the clock that all of them read, and reads its own answers; what they measure is one stream here. A
process that dies ends the load. `python -m gpu_agent.workloads.several` is such a process: its connections are the files that it is told.
"""

import math
import mmap
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait

from gpu_agent.engines.counting import tokens_of
from gpu_agent.workloads.load import Target, load
from gpu_agent.workloads.schedule import places_of
from gpu_agent.workloads.share import COUNT, Share
from gpu_agent.workloads.timed import Timed
from schemas.requests import Workload
from streams.errors import Temporary

# Tokens a second that one process is asked to read at most, and requests of a closed load that it has under way: half of what one was
# accurate at on two cores with the server beside it (18,400 tokens a second, benchmarks/results/truth.json).
TOKENS_PER_S, PLACES = 9_000.0, 128
SOON_NS = 20_000_000
ENDS_S = 10.0


def processes_for(workload: Workload, *, cores: int, asked: int | None = None) -> int:
    """How many processes send the load: as many as were asked for, else as many as it wants, no more than there are cores."""
    if asked is not None:
        return asked
    places = places_of(workload)
    wanted = places / PLACES if places is not None else _tokens_per_s(workload) / TOKENS_PER_S
    return max(1, min(cores, math.ceil(round(wanted, 3))))


def _tokens_per_s(workload: Workload) -> float:
    """The most tokens that the load asks for in a second: at its highest rate, or in a trace's busiest second."""
    if not workload.trace:
        return max(workload.rate_per_s or 0.0, workload.rate_to_per_s or 0.0) * workload.output_tokens
    most, within, first = 0, 0, 0
    for one in workload.trace:
        within += one.output_tokens
        while one.at_ms - workload.trace[first].at_ms >= 1000 * workload.speedup:
            within -= workload.trace[first].output_tokens
            first += 1
        most = max(most, within)
    return float(most)


def several(workload: Workload, target: Target, *, seed: int, first: int = 0, processes: int = 1) -> Generator[Timed, None, None]:
    """Every request of the load as it ends, from as many processes.

    Raises: Permanent or Temporary, where the server refuses a first request, or a process dies.
    """
    processes = min(processes, places_of(workload) or processes)
    if processes == 1:
        yield from load(workload, target, seed=seed, first=first)
        return
    told = pickle.dumps((workload, replace(target, tokens_of=None), target.tokens_of is not None, seed, first))
    with _children(told, processes) as children:
        yield from _merged(children)


class _Child:
    """One of the processes: `timed` brings what it measures, `begins` asks when a phase begins."""

    def __init__(self, number: int, of: int, counts: int, told: bytes) -> None:
        self.number = number
        self.timed, timed = Pipe(duplex=True)
        self.begins, begins = Pipe(duplex=True)
        handed = timed.fileno(), begins.fileno(), counts
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gpu_agent.workloads.several", *map(str, (number, of, *handed))],
            pass_fds=handed,
            stdin=subprocess.DEVNULL,
        )
        timed.close()
        begins.close()
        self.timed.send_bytes(told)

    def end(self) -> None:
        """Ends it, whatever it is doing: it is over when its connections are closed."""
        self.timed.close()
        self.begins.close()
        try:
            self.process.wait(ENDS_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def _children(told: bytes, count: int) -> Iterator[list[_Child]]:
    counts = os.memfd_create("assay-load")
    os.ftruncate(counts, count * COUNT.size)
    children = list[_Child]()
    try:
        for number in range(count):
            children.append(_Child(number, count, counts, told))
        yield children
    finally:
        os.close(counts)
        for child in children:
            child.end()


def _merged(children: Sequence[_Child]) -> Iterator[Timed]:
    """What comes from any of them, until all have sent all; and where all wait to begin a phase, they begin it."""
    sending, ready = list(children), list[_Child]()
    while sending:
        asking = [child for child in sending if child not in ready]
        come = wait([*(child.timed for child in sending), *(child.begins for child in asking)])
        ready += [child for child in asking if child.begins in come and _is_ready(child)]
        for child in [child for child in sending if child.timed in come]:
            if (timed := _received(child)) is not None:
                yield timed
            else:
                sending.remove(child)
        if sending and all(child in ready for child in sending):
            _begin(sending)
            ready.clear()


def _is_ready(child: _Child) -> bool:
    """Whether the process waits to begin; it may have ended instead."""
    try:
        return bool(child.begins.recv_bytes())
    except (EOFError, ConnectionError):
        return False


def _begin(children: Sequence[_Child]) -> None:
    """Tells the processes the moment at which they begin."""
    at_ns = time.perf_counter_ns() + SOON_NS
    for child in children:
        with suppress(ConnectionError):  # one that died is found by what it does not send
            child.begins.send(at_ns)


def _received(child: _Child) -> Timed | None:
    """What the process has measured; None where it has sent all. Raises: what ended it."""
    try:
        value: Timed | Exception | None = child.timed.recv()
    except (EOFError, ConnectionError) as error:
        raise Temporary(f"process {child.number} of the load's died", code="client-died") from error
    if isinstance(value, Exception):
        raise value
    return value


def main(number: int, of: int, timed_file: int, begins_file: int, counts_file: int) -> None:
    """Sends its share, and hands over what it measures; ends with the process that started it."""
    timed, begins = Connection(timed_file), Connection(begins_file)
    workload, target, counted, seed, first = pickle.loads(timed.recv_bytes())  # noqa: S301  # from our own parent
    counts = memoryview(mmap.mmap(counts_file, of * COUNT.size))
    threading.Thread(target=_end_with, args=(timed,), daemon=True).start()

    def begin() -> int:
        begins.send_bytes(b"ready")
        at_ns: int = begins.recv()
        return at_ns

    target = replace(target, tokens_of=tokens_of(target.model) if counted else None)
    try:
        for one in load(workload, target, seed=seed, first=first, share=Share(number, of, begin, counts)):
            timed.send(one)
        timed.send(None)
    except Exception as error:  # noqa: BLE001  a process that only ended would say nothing
        timed.send(error)


def _end_with(parent: Connection) -> None:
    """Waits until nobody is at the other end."""
    try:
        parent.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
