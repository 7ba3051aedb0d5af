"""Loads held to what the server of known delays saw: a trace at its times, and sweeps to its capacity and to a service level."""

import asyncio
import itertools
import statistics
from collections.abc import Iterator

import pytest

from gpu_agent.workloads.load import Target, load
from schemas.jobs import JobChanged
from schemas.measurements import RequestTimed, ResourceRead, TokensTimed
from schemas.requests import Objective, Traced, Workload
from streams.speed.performance import Speed
from tests.attempts import attempted
from tests.delays.record import Sent
from tests.delays.running import Server, known_delays

pytestmark = [pytest.mark.integration, pytest.mark.slow]


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
    assert min(late) >= 0 and statistics.median(late) < 500e6


def test_a_share_of_the_prompts_is_found_in_a_servers_cache(server: Server) -> None:
    """Of prompts that share half of their words a server that keeps blocks has nearly half, and none of another attempt's."""
    server.forget()
    workload = Workload(requests=8, url=server.url, warmup_requests=0, input_tokens=400, shared_prefix_ratio=0.5, output_tokens=1)
    for attempt in (1, 2):
        told = list(load(workload, Target("known?ttft_ms=2&blocks=8", f"run/perf/{attempt}"), seed=1))
        first, *others = sorted(told, key=lambda one: one.planned.index)
        assert first.cached_tokens == 0
        assert all(0.4 <= (one.cached_tokens or 0) / one.prompt_tokens <= 0.6 for one in others)


def test_what_the_client_gives_up_the_server_does_not_finish(server: Server) -> None:
    """Half of the answers, which would take a second, after a fifth of it; the others are whole."""
    server.forget()
    shares = {"warmup_requests": 0, "output_tokens": 11, "cancel_ratio": 0.5, "cancel_after_s": 0.2}
    workload = Workload.model_validate({"profile": "concurrent", "concurrency": 4, "requests": 16, "url": server.url} | shares)
    told = sorted(load(workload, Target("known?ttft_ms=50&itl_ms=95", "m"), seed=1), key=lambda one: one.planned.index)
    given_up, true = [one for one in told if one.cancelled], {int(one.request_id): one for one in server.record()}
    assert [one.planned.index for one in given_up] == [one.planned.index for one in told if one.planned.cancel_after_s] and 2 < len(
        given_up
    ) < 14
    assert all(one.error is None and one.ended_ns - one.begun_ns >= 0.2e9 for one in given_up)
    # A server that is late with its bytes learns no sooner that nobody reads them.
    assert all(sum(true[one.planned.index].tokens) < 11 for one in given_up)
    assert all(sum(true[one.planned.index].tokens) == one.output_tokens == 11 for one in told if not one.cancelled)


def swept(server: Server, model: str, *, slo: Objective | None = None, **told: object) -> Speed:
    """An agent's sweep of that server, by the events of its log."""
    server.forget()
    workload = Workload.model_validate({"profile": "sweep", "url": server.url, "output_tokens": 4, "burstiness": 1000.0} | told)
    events = asyncio.run(attempted(workload, model, slo=slo))
    speed = Speed(next(event.job_id for event in events if isinstance(event, RequestTimed)))
    for event in events:
        if isinstance(event, RequestTimed | TokensTimed | ResourceRead | JobChanged):
            speed.add(event)
    assert speed.complete
    return speed


def test_a_sweep_says_of_each_step_what_the_server_did(server: Server) -> None:
    """Four places of 100 ms each are 40 requests a second at most; what was really served, and how soon, is in the server's own record."""
    slo = Objective(ttft_ns=250_000_000, ratio=0.5)
    speed = swept(server, "known?ttft_ms=70&itl_ms=10&places=4", slo=slo, duration_s=1.5)
    summary, true = speed.summary(slo=slo), {int(one.request_id): one for one in server.record()}
    found = {one.metric: one for one in summary.figures}
    by_step: dict[int, list[Sent]] = {}
    steady = speed.taken().steady
    for index, step in zip(steady.column("request_index").tolist(), steady.column("step").tolist(), strict=True):
        by_step.setdefault(step, []).append(true[index])
    for step in summary.steps:
        told = {one.metric: one.value for one in step.figures}
        real = [one.sent_ns[0] - one.received_ns for one in by_step[step.step]]
        assert told["requests"] == len(real)
        assert min(real) <= (told["ttft_mean"] or 0) <= max(real) + 100e6
        assert told["output_tokens"] == sum(sum(one.tokens) for one in by_step[step.step])
    best = found["slo_rate_per_s"]
    assert best.value is not None and best.low is not None and best.low <= best.value < 2 * 40
    assert found["tokens_not_timed"].value == 0


def test_a_service_level_that_nobody_can_meet_ends_after_one_stream(server: Server) -> None:
    """In words, with the best that was reached."""
    slo = Objective(ttft_ns=20_000_000)
    summary = swept(server, "known?ttft_ms=70&itl_ms=1", slo=slo, duration_s=1.0).summary(slo=slo)
    figure = {one.metric: one for one in summary.figures}["slo_rate_per_s"]
    assert len(summary.steps) == 1 and figure.value is None
    assert "no rate kept it; one stream alone: ttft_p95 is 0." in (figure.why_undefined or "")


def test_a_server_that_breaks_down_under_load_ends_no_sweep(server: Server) -> None:
    """It is a limit that was found, and all that was measured counts."""
    speed = swept(server, "known?ttft_ms=40&itl_ms=1&breaks=70", requests=30, duration_s=5.0)
    verdicts = {step.verdict for step in speed.summary().steps}
    assert "kept" in verdicts and "failed" in verdicts
