"""Loads held to what the server of known delays saw: a trace at its times, with prompts that begin alike where they should."""

import itertools
import statistics
from collections.abc import Iterator

import pytest

from gpu_agent.workloads.load import Target, load
from schemas.requests import Traced, Workload
from tests.delays.running import Server, known_delays

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The server, for all tests of this file."""
    with known_delays() as started:
        yield started


def test_a_trace_reaches_the_server_at_its_times(server: Server) -> None:
    """In its order, twice as fast, each request with as many tokens as the trace says."""
    gaps_ms = [0, 40, 300, 20, 500, 0, 140, 260, 30, 110, 420, 60] * 2
    trace = tuple(Traced(at_ms=at, input_tokens=20 + n, output_tokens=1 + n % 5) for n, at in enumerate(itertools.accumulate(gaps_ms)))
    workload = Workload(profile="trace", trace=trace, speedup=2.0, url=server.url, warmup_requests=0)
    told = sorted(load(workload, Target("known?ttft_ms=5&itl_ms=1", "m"), seed=1), key=lambda one: one.planned.index)
    true = {int(one.request_id): one for one in server.record()}
    began_ns = told[0].scheduled_ns
    assert [one.scheduled_ns - began_ns for one in told] == [round(one.at_ms / 2 * 1e6) for one in trace]
    assert [sum(true[n].tokens) for n in range(len(trace))] == [one.output_tokens for one in trace]
    late = [true[n].received_ns - one.scheduled_ns for n, one in enumerate(told)]
    assert min(late) >= 0 and statistics.median(late) < 50e6
