"""Bytes are stamped when they came, not when they were read."""

import asyncio
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gpu_agent.workloads.stamped import LONGEST_NS, MOMENT, STAMPS, Stamped, connected, moment_ns

LATE_NS = 30_000_000


@contextmanager
def pair() -> Iterator[tuple[socket.socket, Stamped]]:
    """A server's end of a connection, and ours."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = asyncio.run(connected("127.0.0.1", listening.getsockname()[1]))
        theirs, _ = listening.accept()
        with theirs, ours:
            ours.setblocking(True)
            yield theirs, ours


def wait_ns(duration_ns: int) -> None:
    """As a loop does that is busy with something else."""
    until_ns = time.perf_counter_ns() + duration_ns
    while time.perf_counter_ns() < until_ns:
        pass


def until_stamped(theirs: socket.socket, ours: Stamped) -> None:
    """Until the kernel stamps: it begins a little after the first socket that asks for it."""
    deadline_ns = time.perf_counter_ns() + 20 * 10**9
    while time.perf_counter_ns() < deadline_ns:
        theirs.send(b"?")
        wait_ns(LATE_NS // 10)
        before_ns = time.perf_counter_ns()
        if ours.recv(1) and ours.came_ns < before_ns:
            return


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel stamps nothing here")
@pytest.mark.parametrize("into", [False, True])
def test_what_waited_to_be_read_came_when_it_came(into: bool) -> None:
    """Read 30 ms late, by either way to read; of two pieces read at once the stamp is the last one's."""
    with pair() as (theirs, ours):
        until_stamped(theirs, ours)
        for _ in range(2):
            began_ns = time.perf_counter_ns()
            theirs.send(b"one")
            sent_ns = time.perf_counter_ns()
            wait_ns(LATE_NS)
            buffer = bytearray(3)
            assert (ours.recv_into(buffer) and bytes(buffer) if into else ours.recv(3)) == b"one"
            assert began_ns <= ours.came_ns <= sent_ns + LATE_NS // 2
        theirs.send(b"a")
        wait_ns(LATE_NS)
        between_ns = time.perf_counter_ns()
        theirs.send(b"b")
        assert ours.recv(2) == b"ab" and ours.came_ns >= between_ns


@pytest.mark.parametrize("ago_ns", [None, -5_000_000_000, 2 * LONGEST_NS])
def test_without_a_stamp_that_can_be_bytes_came_when_they_were_read(ago_ns: int | None) -> None:
    """None at all, one of the future, or one before the clock was set."""
    stamp = MOMENT.pack(*divmod(time.time_ns() - (ago_ns or 0), 10**9))
    before_ns = time.perf_counter_ns()
    assert before_ns <= moment_ns([] if ago_ns is None else [(socket.SOL_SOCKET, STAMPS, stamp)]) <= time.perf_counter_ns()


def test_of_a_name_the_address_that_answers_is_taken_and_none_says_why() -> None:
    """As where a name has an address of each family and a server listens on one."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with asyncio.run(connected("localhost", port)) as made:
            assert made.getpeername() == ("127.0.0.1", port)
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(connected("127.0.0.1", port))
