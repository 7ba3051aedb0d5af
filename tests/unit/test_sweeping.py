"""Sweeps on servers of known capacity: the knee, the highest rate under a service level, and what is said where there is none."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from gpu_agent.workloads.schedule import Planned, schedule
from schemas.measurements import Clock, LoadClient, RequestTimed, TokensTimed
from schemas.requests import Objective, Workload
from schemas.results import Figure
from streams.bounds import MOST_LOAD_REQUESTS
from streams.errors import Invalid
from streams.speed import workloads
from streams.speed.performance import Speed, Summary
from streams.speed.sweeping import MOST_STEPS, Step, following, steps_of
from streams.speed.timings import Taken, Timings
from tests.pool import STAMP
from tests.runs import run_named

R = run_named("r")
JOB = f"{R}/perf"
HEAD: dict[str, Any] = {"occurred_us": 1, "producer": STAMP, "run_id": R, "job_id": JOB, "attempt": 1}
CLOCK = Clock(host="h", boot_id="b", mono_epoch_ns=0, utc_us=0, uncertainty_us=1)
SWEEP = Workload(profile="sweep", duration_s=2.0, warmup_requests=1, output_tokens=2, burstiness=100_000.0)


@dataclass
class Bench:
    """A server with so many places, each of which takes `service_s` for a request of two tokens, the first after half of that.

    `client_s`: what the client takes to send one; `refuses`: it answers nothing at all above that rate.
    """

    places: int = 3
    service_s: float = 0.04
    client_s: float = 0.0
    refuses: float = float("inf")
    speed: Speed = field(default_factory=lambda: Speed(JOB))
    at_ns: int = 0
    sent: int = 0

    @property
    def capacity(self) -> float:
        """Requests a second."""
        return self.places / self.service_s

    def sweep(self, workload: Workload, slo: Objective | None = None) -> list[Step]:
        """Takes every step that the sweep wants."""
        steps = list[Step]()
        while (load := following(workload, steps, slo=slo)) is not None:
            warmup, planned = schedule(load, seed=1, first=self.sent)
            told = [self._timed(planned_, len(steps), load, at) for planned_, at in self._due(planned, load)]
            self.sent += len(warmup) + len(told)
            tokens = [_tokens(one) for one in told if one.status == "ok"]
            for request in told:
                self.speed.add(request)
            for arrived in tokens:
                self.speed.add(arrived)
            taken = _taken([*told, *tokens])
            steps += steps_of(taken.steady, taken.arrivals, slo=slo)
        return steps

    def _due(self, planned: Iterable[Planned], load: Workload) -> list[tuple[Planned, tuple[float, float, float, float]]]:
        """Each request with when it is due, begun, served and ended, in seconds."""
        free, ready, found = [0.0] * self.places, 0.0, []
        for one in planned:
            due = one.at_s if one.at_s is not None else ready
            begun = max(due, ready) if one.at_s is not None else due
            served = max(begun, heapq.heappop(free))
            heapq.heappush(free, served + self.service_s)
            ready = served + self.service_s if one.at_s is None else begun + self.client_s
            if load.duration_s is not None and due >= load.duration_s:
                break
            found.append((one, (due, begun, served, served + self.service_s)))
        return found

    def _timed(self, planned: Planned, step: int, load: Workload, at: tuple[float, float, float, float]) -> RequestTimed:
        due, begun, served, ended = (round(one * 1e9) + step * 10**15 for one in at)
        ok = (load.rate_per_s or 0) <= self.refuses
        client = LoadClient(lag_ns=0, pacing_error_ns=begun - due, in_flight=1 if load.rate_per_s is None else 2)
        return RequestTimed(
            **HEAD, request_index=planned.index, phase="steady", clock=CLOCK, scheduled_ns=due, sent_ns=begun, queued_ns=None,
            first_byte_ns=(served + ended) // 2 if ok else None, ended_ns=ended, last_token_ns=ended if ok else None, client=client,
            status="ok" if ok else "error", error_kind=None if ok else "http-503: the server answers 503", prompt_tokens=5,
            output_tokens=2 if ok else 0, counted_by="usage", loop="closed" if load.rate_per_s is None else "open", step=step,
            step_rate_per_s=load.rate_per_s,
        )  # fmt: skip


def _taken(events: Iterable[RequestTimed | TokensTimed]) -> Taken:
    timings = Timings()
    for event in events:
        timings.add(event)
    return timings.taken()


def _tokens(one: RequestTimed) -> TokensTimed:
    at = (one.first_byte_ns or 0, one.last_token_ns or 0)
    return TokensTimed(
        **HEAD, request_index=one.request_index, sequence=0, chunk=0, first_token=0, arrival_ns=at, tokens_per_arrival=(1, 1)
    )


def figures(summary: Summary) -> dict[str, Figure]:
    """By name."""
    return {one.metric: one for one in summary.figures}


@pytest.mark.parametrize(("places", "service_s"), [(1, 0.02), (3, 0.04), (7, 0.06)])
def test_the_knee_and_the_capacity_are_the_servers(places: int, service_s: float) -> None:
    """Of a load that comes evenly: the knee within 10 % of the capacity, which is known to 2 %; and the cliff is there."""
    bench = Bench(places, service_s)
    steps = bench.sweep(SWEEP)
    found = figures(bench.speed.summary())
    knee, capacity, cliff = (found[name] for name in ("knee_rate_per_s", "capacity_requests_per_s", "cliff_rate_per_s"))
    assert knee.value == pytest.approx(bench.capacity, rel=0.1)
    assert knee.low is not None and knee.high is not None and knee.low < bench.capacity < knee.high < 1.25 * knee.low
    assert capacity.value == pytest.approx(bench.capacity, rel=0.02)
    assert cliff.low is not None and cliff.high is not None and 0.9 * bench.capacity <= cliff.low < cliff.high <= 1.3 * bench.capacity
    assert found["alone_e2e_mean"].value == pytest.approx(service_s * 1e9, rel=1e-6)
    assert steps[0].rate is None and steps[0].verdict == "kept"


def test_the_highest_rate_under_a_service_level_is_found() -> None:
    """By Poisson arrivals: between what a long simulation keeps and what it misses, and so in its interval."""
    slo, workload = Objective(ttft_ns=40_000_000, ratio=0.95), SWEEP.model_copy(update={"burstiness": None, "duration_s": 6.0})
    bench = Bench()
    bench.sweep(workload, slo)
    found = figures(bench.speed.summary(slo=slo))["slo_rate_per_s"]
    low, high = (_share(rate, limit_s=0.04) for rate in (0.9 * (found.low or 0), 1.1 * (found.high or 0)))
    assert low >= 0.95 > high
    assert (found.low or 0) <= (found.value or 0) <= (found.high or 0) < 2 * (found.low or 0)
    assert found.origin is not None and "ttft_p95 is" in found.origin


def _share(rate: float, *, limit_s: float) -> float:
    """The share of 15,000 requests at that rate whose first token came in time."""
    bench, load = Bench(), Workload(profile="poisson", rate_per_s=rate, requests=15_000)
    times = [at for _, at in bench._due(schedule(load, seed=99)[1], load)]
    return sum(served + bench.service_s / 2 - begun <= limit_s for _, begun, served, _ in times) / len(times)


def test_every_steps_figures_follow_from_its_requests() -> None:
    """What the agent went by is what the log's fold says; of the best step the run's own figures are, and the totals are of all."""
    slo, bench = Objective(ttft_ns=30_000_000, itl_ns=25_000_000), Bench()
    steps = bench.sweep(SWEEP, slo)
    summary = bench.speed.summary(slo=slo)
    assert summary.steps == tuple(step.told() for step in steps)
    found = figures(summary)
    best = next(step for step in steps if step.rate == found["slo_rate_per_s"].value)
    assert found["ttft_p95"] == best.load.figure("ttft_p95")
    assert found["goodput_per_s"].value == pytest.approx(best.rate, rel=0.03)
    assert found["requests"].value == sum(len(step.load.steady) for step in steps)
    assert len(best.load.samples["ttft"]) >= 130


def test_a_service_level_that_one_stream_misses_is_told_after_one_step() -> None:
    """With the best that was reached."""
    slo, bench = Objective(ttft_ns=15_000_000, ratio=0.9), Bench()
    assert [step.verdict for step in bench.sweep(SWEEP, slo)] == ["missed"]
    found = figures(bench.speed.summary(slo=slo))["slo_rate_per_s"]
    assert found.value is None
    assert found.why_undefined == "no rate kept it; one stream alone: ttft_p90 is 0.02 s: 0 % are within 0.015 s"


def test_a_sweep_that_begins_too_high_goes_down() -> None:
    """To the capacity."""
    bench = Bench()
    rates = [step.rate for step in bench.sweep(SWEEP.model_copy(update={"rate_per_s": 500.0}))]
    assert rates[:4] == [None, 500.0, 250.0, 125.0]
    assert (figures(bench.speed.summary())["knee_rate_per_s"].value or 0) == pytest.approx(75.0, rel=0.1)


def test_a_rate_that_the_client_cannot_send_is_void_and_says_what_it_can() -> None:
    """The limit is the client's: the highest rate has no upper end."""
    slo, bench = Objective(ttft_ns=80_000_000), Bench(places=1000, client_s=0.01)
    steps = bench.sweep(SWEEP, slo)
    void = [step for step in steps if step.verdict == "void"]
    assert void and all("and can send 100 here" in (step.why or "") for step in void)
    found = figures(bench.speed.summary(slo=slo))["slo_rate_per_s"]
    assert found.high is None and found.value == pytest.approx(100.0, rel=0.08)
    assert "can send 100 here" in (found.origin or "")


def test_a_whole_sweep_sends_no_more_than_a_load_may() -> None:
    """Whatever its steps' duration: each ends with its share."""
    bench = Bench()
    steps = bench.sweep(SWEEP.model_copy(update={"duration_s": 0.5}))
    for taken in ([], steps[:3]):
        load = following(SWEEP.model_copy(update={"duration_s": 600_000.0}), taken, slo=None)
        assert load is not None and MOST_STEPS * (load.requests or 0) <= MOST_LOAD_REQUESTS


def test_a_server_that_answers_nothing_above_a_rate_has_its_limit_there() -> None:
    """A step that failed is one that was not kept."""
    bench = Bench(refuses=45.0)
    steps = bench.sweep(SWEEP)
    assert {step.verdict for step in steps} == {"kept", "failed"}
    why = next(step.why for step in steps if step.verdict == "failed")
    assert why is not None and why.endswith("requests failed, the first by http-503: the server answers 503")
    assert max(step.rate or 0 for step in steps if step.verdict == "kept") == pytest.approx(45.0, rel=0.05)
    assert figures(bench.speed.summary())["capacity_requests_per_s"].why_undefined == "no step saturated the server"


@pytest.mark.parametrize(
    ("told", "slo", "says"),
    [
        ({}, Objective(), "the service level has no limit"),
        ({}, Objective(ttft_ns=1, ratio=0.2), "a service level of 0.2 of the times: give a ratio from 0.5 to 0.999"),
        ({"output_tokens": 1}, Objective(itl_ns=5), "an answer of one token has no interval"),
        ({"requests": 100}, Objective(ttft_ns=5), "each step of the sweep would send 100 requests, and a p95 needs 260"),
        ({"rate_per_s": -1.0}, None, "begins at a rate_per_s above 0"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_when_it_is_planned(told: dict[str, Any], slo: Objective | None, says: str) -> None:
    """With what to do."""
    with pytest.raises(Invalid, match=says):
        workloads.check(SWEEP.model_copy(update=told), engine="transformers", slo=slo)
