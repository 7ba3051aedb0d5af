"""The figures of loads that can be reckoned on paper: their steady windows, what their rates mean, percentiles, energy, and the client."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.jobs import JobChanged
from schemas.measurements import Clock, LoadClient, RequestTimed, ResourceRead, TokensTimed
from schemas.requests import Objective
from schemas.results import Figure
from streams.speed.counters import LONGEST_GAP_NS, grown_uj, integrated_uj
from streams.speed.performance import Speed
from streams.statistics.order import needed, percentile_interval
from tests.pool import STAMP
from tests.runs import run_named

R = run_named("r")
FEW = settings(max_examples=6)  # each is a whole load
JOB = f"{R}/perf"
HEAD: dict[str, Any] = {"occurred_us": 1, "producer": STAMP}
MS = 1_000_000
WRAP_UJ = 262_143_328_850  # a range as the kernel tells it: 262 kJ


def request(index: int, *, sent: float, first: float, last: float, in_flight: int = 1, **told: Any) -> RequestTimed:
    """One steady request of ten tokens, in milliseconds, behind which half a second of other bytes came."""
    usual: dict[str, Any] = {"scheduled_ns": round(sent * MS), "loop": "open", "counted_by": "engine", "status": "ok"} | told
    client = usual.pop("client", {})
    return RequestTimed.model_validate(HEAD | {
        "run_id": R, "job_id": JOB, "attempt": 1, "request_index": index, "phase": "steady", "queued_ns": None, "prompt_tokens": 5,
        "clock": Clock(host="h", boot_id="b", mono_epoch_ns=0, utc_us=0, uncertainty_us=1), "sent_ns": round(sent * MS),
        "first_byte_ns": round(first * MS), "last_token_ns": round(last * MS), "ended_ns": round((last + 500) * MS), "output_tokens": 10,
        "client": LoadClient.model_validate({"lag_ns": 0, "pacing_error_ns": 1000, "in_flight": in_flight} | client),
    } | usual)  # fmt: skip


def tokens(timed: RequestTimed) -> TokensTimed:
    """Its ten tokens, evenly spaced."""
    first, last = timed.first_byte_ns or 0, timed.last_token_ns or 0
    at = tuple(first + (last - first) * n // 9 for n in range(10))
    return TokensTimed(**HEAD, run_id=R, job_id=JOB, attempt=1, request_index=timed.request_index, sequence=0, chunk=0, first_token=0,
                       arrival_ns=at, tokens_per_arrival=(1,) * 10)  # fmt: skip


def figures(requests: Sequence[RequestTimed], readings: Sequence[ResourceRead] = (), *, elsewhere: bool = False) -> dict[str, Figure]:
    """Their figures by name."""
    speed, events = Speed(JOB), list[RequestTimed | TokensTimed | ResourceRead]()
    events += [*requests, *map(tokens, requests), *readings]
    for event in events:
        speed.add(event)
    return {figure.metric: figure for figure in speed.summary(elsewhere=elsewhere).figures}


def constant(rate: float, *, count: int, e2e: float, ttft: float = 100) -> list[RequestTimed]:
    """An open load at a constant rate on a server that takes the same time for each, in milliseconds."""
    gap = 1000 / rate
    return [request(n, sent=n * gap, first=n * gap + ttft, last=n * gap + e2e, in_flight=min(n, int(e2e // gap)) + 1) for n in range(count)]


def closed(places: int, *, count: int, e2e: float) -> list[RequestTimed]:
    """A closed load of so many, a little apart, each of which sends again when it has its answer."""
    return [
        request(n, sent=n // places * e2e + n % places, first=n // places * e2e + n % places + e2e / 2,
                last=(n // places + 1) * e2e + n % places, in_flight=places, loop="closed", counted_by="usage")
        for n in range(count)
    ]  # fmt: skip


def test_a_batch_is_told_from_its_first_sending_to_its_last_token() -> None:
    """Four sent at once, done after 100, 200, 300 and 400 ms: 4 / 0.4 s, ten tokens each, and no capacity, for its tail is in it."""
    sent = [request(n, sent=n / 10, first=50 + n, last=100 * (n + 1), in_flight=n + 1, loop="closed") for n in range(4)]
    told = figures(sent)
    assert told["requests_per_s"].value == pytest.approx(10.0) and told["output_tokens_per_s"].value == pytest.approx(100.0)
    assert (told["requests_per_s"].n, told["ttft_mean"].n, told["whole"].value, told["sending"].value) == (4, 4, 400 * MS, 0.3 * MS)
    assert told["capacity_tokens_per_s"].why_undefined == "it was one batch, and its rates have its tail in them"
    assert told["little_error_ratio"].value == pytest.approx(0.0, abs=0.01)
    # An open load that ends before it is steady is none.
    assert figures([one.model_copy(update={"loop": "open"}) for one in sent])["requests_per_s"].value is None


def queue(rate: float, *, count: int, service: float) -> list[RequestTimed]:
    """An open load on a server that takes one request after the other."""
    free, told = 0.0, list[RequestTimed]()
    for n in range(count):
        sent = n * 1000 / rate
        begun = max(sent, free)
        free = begun + service
        under_way = 1 + sum((one.last_token_ns or 0) > sent * MS for one in told)
        told.append(request(n, sent=sent, first=begun + service / 2, last=free, in_flight=under_way, queued_ns=round((begun - sent) * MS)))
    return told


@given(st.floats(0.5, 50), st.integers(20, 80), st.floats(0.01, 0.45))
@FEW
def test_a_stable_loads_rates_are_what_was_offered(rate: float, count: int, part: float) -> None:
    """Neither the ramp nor the drain is in them, where a request takes less than half of the time of sending."""
    found = figures(constant(rate, count=count, e2e=part * 1000 * count / rate, ttft=0))
    assert found["requests_per_s"].value == pytest.approx(rate, rel=1e-6)
    # An answer of ten tokens has its first at one edge of the window, and its last at the other.
    assert found["output_tokens_per_s"].value == pytest.approx(10 * rate, rel=0.25)
    assert found["capacity_tokens_per_s"].value is None
    assert "below capacity" in (found["capacity_tokens_per_s"].why_undefined or "")


def test_the_load_of_the_issue_is_two_a_second() -> None:
    """Twenty requests at 2/s that take 4.5 s each."""
    found = figures(constant(2.0, count=20, e2e=4500))
    assert found["requests_per_s"].value == pytest.approx(2.0)
    assert found["offered_per_s"].value == pytest.approx(2.0, rel=0.1)
    assert found["in_flight_mean"].value == pytest.approx(9.0, rel=0.05)
    assert (found["little_error_ratio"].value or 0) < 0.05


def test_a_load_that_ends_before_it_is_steady_has_no_rate() -> None:
    """Each takes longer than all of the sending."""
    found = figures(constant(10.0, count=20, e2e=3000))
    assert found["requests_per_s"].value is None
    assert "before a steady state" in (found["requests_per_s"].why_undefined or "")


@given(st.integers(2, 16), st.integers(4, 12), st.floats(50, 900))
@FEW
def test_a_closed_loads_tokens_are_those_of_its_concurrency(places: int, rounds: int, e2e: float) -> None:
    """And no capacity: the server may have places free. Of the few requests in the window one more or less may end at its edge."""
    found, edge = figures(closed(places, count=places * rounds, e2e=e2e)), 1.01 / (places * (rounds - 1))
    assert found["requests_per_s"].value == pytest.approx(places / e2e * 1000, rel=max(0.5 / rounds, edge))
    assert found["concurrent_tokens_per_s"].value == found["output_tokens_per_s"].value
    assert (found["concurrency"].value, found["alone_tokens_per_s"].value) == (places, None)
    assert found["capacity_tokens_per_s"].value is None
    assert (found["capacity_tokens_per_s"].why_undefined or "").startswith(f"a closed load of {places}: whether the server can do more")


@pytest.mark.parametrize("places", [2, 8, 64])
def test_an_engine_that_answers_one_at_a_time_is_full_however_many_ask(places: int) -> None:
    """Its tokens/s are its capacity then."""
    found = figures([one.model_copy(update={"counted_by": "engine"}) for one in closed(places, count=places * 6, e2e=200)])
    assert found["capacity_tokens_per_s"].value == found["output_tokens_per_s"].value
    assert found["concurrent_tokens_per_s"].why_undefined == "the server was full: it is its capacity"


def chats(count: int, turns: int, e2e: Callable[[float], float]) -> list[RequestTimed]:
    """So many chats at once, whose turns are numbered chat after chat; a turn that begins at `t` takes `e2e(t)`, in milliseconds."""
    told, chance = list[RequestTimed](), random.Random(16)
    for chat in range(count):
        at = chat / 100
        for turn in range(turns):
            took = e2e(at) * chance.uniform(0.9, 1.1)
            told.append(request(chat * turns + turn, sent=at, first=at + took / 4, last=at + took, in_flight=count, loop="closed",
                                turn=turn, session=str(chat)))  # fmt: skip
            at += took
    return told


@pytest.mark.parametrize(("count", "turns"), [(20, 10), (40, 20), (8, 50), (10, 40)])
def test_a_server_that_slows_down_is_found_in_chats_too(count: int, turns: int) -> None:
    """Chats are numbered one after another, and are under way together: a trend is one over time, and the figures say so."""
    told = figures(chats(count, turns, lambda at: 100 + at / 10))["steady"]
    assert told.value == 0 and (told.origin or "").startswith("E2E rises")
    assert figures(chats(count, turns, lambda at: 100.0))["steady"].value == 1


def test_latencies_are_in_the_order_of_sending() -> None:
    """However requests are numbered, and each with its own tokens: of two sequences of requests that are equal in time all is equal."""
    told = chats(6, 30, lambda at: 100 + at / 10)
    renumbered = [one.model_copy(update={"request_index": n}) for n, one in enumerate(sorted(told, key=lambda one: one.sent_ns))]
    slo = Objective(ttft_ns=60 * MS, itl_ns=20 * MS, e2e_ns=400 * MS)
    speeds = [Speed(JOB), Speed(JOB)]
    for speed, requests in zip(speeds, (told, renumbered), strict=True):
        for one in requests:
            speed.add(one)
            speed.add(tokens(one))
    assert speeds[0].summary(slo=slo) == speeds[1].summary(slo=slo)


def test_one_at_a_time_is_latency_alone() -> None:
    """One stream's tokens a second: 1 / TPOT; of a server it says nothing of the capacity, an engine of ours can do no more."""
    told = [request(n, sent=n * 300, first=n * 300 + 120, last=n * 300 + 300, loop="closed", counted_by="usage") for n in range(12)]
    ours = figures([one.model_copy(update={"counted_by": "engine"}) for one in told])
    assert ours["capacity_tokens_per_s"].value == pytest.approx(10 / 0.3)
    found = figures(told)
    assert found["alone_tokens_per_s"].value == pytest.approx(9 / 0.18)
    assert found["requests_per_s"].value == pytest.approx(1 / 0.3)
    assert found["capacity_tokens_per_s"].value is None
    assert found["ttft_p50"].value == 120 * MS


def test_an_open_load_beyond_capacity_tells_the_capacity_and_the_queue_is_no_work() -> None:
    """20 a second are offered to a server that does 10: 10 are served, and half of the service is prefill, however long the queue."""
    found = figures(queue(20.0, count=100, service=100))
    assert found["requests_per_s"].value == pytest.approx(10.0, rel=0.02)
    assert found["offered_per_s"].value == pytest.approx(20.0, rel=0.05)
    assert found["capacity_tokens_per_s"].value == pytest.approx(100.0, rel=0.05)
    assert (found["prefill_mean"].value, found["decode_mean"].value) == pytest.approx((50 * MS, 50 * MS))
    assert (found["ttft_mean"].value or 0) > 20 * (found["prefill_mean"].value or 0)


def test_a_request_ends_with_its_last_token_and_counts_from_when_it_was_due() -> None:
    """What the server says after it, usage and the end, is no part of it; a late sending is."""
    told = [
        request(n, sent=n * 1000 + 40, first=n * 1000 + 140, last=n * 1000 + 340, scheduled_ns=n * 1000 * MS, connect_ns=3 * MS,
                tls_ns=9 * MS, first_answer_ns=(n * 1000 + 240) * MS) for n in range(11)
    ]  # fmt: skip
    found = {name: figure.value for name, figure in figures(told).items()}
    assert (found["e2e_mean"], found["e2e_scheduled_mean"]) == (300 * MS, 340 * MS)
    assert (found["ttft_p50"], found["ttft_scheduled_p50"], found["first_answer_p50"]) == (100 * MS, 140 * MS, 200 * MS)
    assert (found["connect_mean"], found["tls_mean"]) == (3 * MS, 9 * MS)


@pytest.mark.parametrize(("share", "least"), [(0.5, 11), (0.9, 64), (0.95, 130), (0.99, 662)])
def test_a_percentile_needs_what_early_stopping_needs(share: float, least: int) -> None:
    """MLPerf's 64 for p90 and 662 for p99."""
    assert needed(share) == least


def test_a_percentile_that_the_sample_cannot_support_says_what_it_needs() -> None:
    """And is no value."""
    found = figures(constant(10.0, count=140, e2e=50))
    assert found["ttft_p95"].value == 100 * MS
    assert (found["ttft_p99"].value, found["ttft_p99"].why_undefined) == (None, "n/a (needs 662; there are 140)")


@given(st.integers(700, 3000), st.floats(0.5, 0.99))
def test_a_percentiles_interval_holds_it(n: int, share: float) -> None:
    """Between two values of the sample; a smaller worth makes it wider."""
    values = list(range(n))
    low, high = percentile_interval(values, share)
    assert low is not None and low <= share * (n - 1) and (high is None or high >= share * (n - 1) - 1)
    wider, _ = percentile_interval(values, share, size=n / 5)
    assert wider is None or wider <= low


def test_what_is_counted_by_nothing_is_not_known() -> None:
    """Tokens of a server without usage are no zero."""
    told = [
        one.model_copy(update={"counted_by": "none", "output_tokens": 0, "prompt_tokens": 0}) for one in constant(5.0, count=20, e2e=90)
    ]
    speed = Speed(JOB)
    for one in told:
        speed.add(one)
    found = {figure.metric: figure for figure in speed.summary().figures}
    assert found["requests_per_s"].value == pytest.approx(5.0)
    for name in ("output_tokens_per_s", "input_tokens_per_s", "itl_mean"):
        assert found[name].value is None and "no usage" in (found[name].why_undefined or "")


def test_errors_are_counted_by_kind_and_are_in_no_latency() -> None:
    """The kind is what stands before the colon."""
    told = constant(10.0, count=20, e2e=50)
    told[3:5] = [one.model_copy(update={"status": "error", "error_kind": "http-429: the server answers 429"}) for one in told[3:5]]
    found = figures(told)
    assert (found["errors"].value, found["errors:http-429"].value) == (2, 2)
    assert (found["output_tokens"].value, found["reasoning_tokens"].value) == (180, None)
    assert found["ttft_mean"].n == 18


def test_what_the_client_gave_up_is_neither_an_error_nor_in_a_latency() -> None:
    """It was under way all the same: the others' rates are as they would be."""
    told = constant(10.0, count=40, e2e=50)
    told[5:15] = [
        one.model_copy(update={"status": "cancelled", "last_token_ns": None, "ended_ns": one.sent_ns + 20 * MS}) for one in told[5:15]
    ]
    found = figures(told)
    assert (found["requests"].value, found["errors"].value, found["cancelled"].value) == (40, 0, 10)
    assert found["ttft_mean"].n == 30
    assert found["offered_per_s"].value == pytest.approx(10.0, rel=0.05)
    assert found["capacity_tokens_per_s"].value is None


def test_a_client_that_sends_less_than_its_rate_says_what_it_can() -> None:
    """Of 40 a second that were asked for it sends 20."""
    told = [
        one.model_copy(update={"client": one.client.model_copy(update={"pacing_error_ns": n * 25 * MS})})
        for n, one in enumerate(constant(40.0, count=60, e2e=50))
    ]
    assert "it was asked to send 40 requests/s, and can send 20 here" in (figures(told)["client_overloaded"].origin or "")


@pytest.mark.parametrize(
    ("client", "says"),
    [
        ({}, None),
        ({"pacing_error_ns": 40 * MS}, "requests were begun 40 ms late"),
        ({"loop_lag_ns": 80 * MS}, "its loop ran 80 ms late"),
        ({"cpu_ratio": 0.97}, "it took 0.97 of a core"),
        ({"dropped": True}, "20 of 20 requests could not be sent from here"),
    ],
)
def test_a_client_that_was_the_bottleneck_says_so(client: dict[str, Any], says: str | None) -> None:
    """With the reason."""
    told = [one.model_copy(update={"client": one.client.model_copy(update=client)}) for one in constant(10.0, count=20, e2e=50)]
    found = figures(told)["client_overloaded"]
    assert (found.value, found.origin) == (float(says is not None), says)


def read(
    at_ms: int, uj: int, *, boot: str = "b", attempt: int = 1, range_uj: int | None = WRAP_UJ, sensor: str = "rapl-package"
) -> ResourceRead:
    """A package's counter."""
    return ResourceRead(
        **HEAD, agent_id="a", host="h", boot_id=boot, mono_ns=at_ms * MS, device_uuid="intel-rapl:0", scope="device", jobs_active=(JOB,),
        attempts=(attempt,), energy_uj=uj, energy_range_uj=range_uj, method="counter", sensor=sensor, own_cost_ns=1,
    )  # fmt: skip


ALONE = [request(n, sent=n * 1000, first=n * 1000 + 100, last=n * 1000 + 1000, loop="closed") for n in range(5)]  # window: 1000 to 5000 ms
POWER_UJ = 20_000  # 20 W, each millisecond


def meter(at_ms: int, *, start: int = 10**9) -> int:
    """What a counter shows at 20 W."""
    return (start + at_ms * POWER_UJ) % WRAP_UJ


@given(st.integers(0, 120_000_000_000), st.integers(100, 900))
@FEW
def test_a_counter_that_wraps_has_counted_on(before_end_uj: int, step: int) -> None:
    """At whatever moment, it is 80 J; not the −253 kJ of a difference."""
    start = WRAP_UJ - before_end_uj
    readings = [read(at, meter(at, start=start)) for at in range(0, 6001, step)] + [read(6001, meter(6001, start=start))]
    found = figures(ALONE, readings)["energy_uj"]
    assert found.value == pytest.approx(4000 * POWER_UJ)
    assert found.origin == "counter, processor"


@pytest.mark.parametrize(
    "readings",
    [
        [read(at, meter(at) if at < 3000 else at * POWER_UJ) for at in range(0, 6001, 500)],  # set back to 0 in its middle
        [read(at, meter(at), range_uj=None) if at < 3000 else read(at, 0, range_uj=None) for at in range(0, 6001, 500)],
        [read(at, meter(at)) for at in (2000, 3000, 4000, 5000, 6000)],  # begins too late
        [read(at, meter(at)) for at in range(0, 3001, 500)],  # ends too early
        [read(0, meter(0)), read(5500, meter(5500))],  # a gap of more than five seconds
    ],
)
def test_what_was_not_read_is_not_known(readings: list[ResourceRead]) -> None:
    """Half of the energy is not the energy."""
    found = figures(ALONE, readings)["energy_uj"]
    assert found.value is None
    assert "was not read all through" in (found.why_undefined or "")


def drawn(at_ms: int, watts: float | None, sensor: str, device: str, **told: Any) -> ResourceRead:
    """A reading of a device's power."""
    return ResourceRead(
        **HEAD, agent_id="a", host="h", boot_id="b", mono_ns=at_ms * MS, device_uuid=device, scope="device", jobs_active=(JOB,),
        attempts=(1,), power_w=watts, method="read", sensor=sensor, **({"own_cost_ns": MS} | told),
    )  # fmt: skip


def test_power_is_integrated_where_no_counter_is() -> None:
    """Exactly, where it goes straight from reading to reading: from 10 W at 1 s to 50 W at 5 s are 120 J; the window begins between two."""
    readings = [drawn(at, at / 100, "nvml-device", "g") for at in range(250, 6001, 500)]
    found = figures(ALONE, readings)
    assert found["energy_uj"].value == pytest.approx(120e6)
    assert found["energy_uj"].origin == "integrated, accelerator"
    assert found["energy_per_output_token_uj"].value == pytest.approx(3e6)
    assert found["host_energy_uj"].why_undefined == "no meter of the whole machine"
    assert found["metering_ratio"].value == pytest.approx(8 * 1e-3 / 4)


def test_a_counter_that_was_set_back_is_stood_in_for_by_the_cards_power() -> None:
    """And it is said; a card that tells its energy and its power is counted once."""
    for reset_ms, origin, uj in ((10_000, "counter", 200e6), (3000, "integrated", 120e6)):
        readings = [
            drawn(at, 30.0, "nvml-total-energy", "g", energy_uj=(at - reset_ms * (at >= reset_ms)) * 50_000) for at in range(0, 6001, 500)
        ]
        told = figures(ALONE, readings)["energy_uj"]
        assert told.value == pytest.approx(uj)
        assert told.origin == f"{origin}, accelerator"


def test_devices_are_added_up_by_their_least_good_grade_and_the_whole_machine_apart() -> None:
    """What is idle is a part of it; cores within a package are none of it."""
    readings = [
        one for at in range(0, 6001, 500) for one in (
            read(at, meter(at)), drawn(at, 30.0, "nvml-device", "g", idle_w=12.0), drawn(at, 130.0, "hwmon-host", "p"),
            read(at, at * 900_000, sensor="rapl-core"),
            read(at, meter(at) // 10, range_uj=None, sensor="rapl-dram").model_copy(update={"idle_w": 0.5}),
        )
    ]  # fmt: skip
    found = figures(ALONE, readings)
    assert found["energy_uj"].value == pytest.approx(80e6 + 8e6 + 120e6)
    assert found["energy_uj"].origin == "integrated, accelerator and processor"
    assert found["host_energy_uj"].value == pytest.approx(520e6)
    assert found["host_energy_uj"].origin == "integrated, host"
    assert found["idle_energy_uj"].why_undefined == "the agent was not idle for two seconds before the job"
    idle = [one if one.sensor != "rapl-package" else one.model_copy(update={"idle_w": 5.0}) for one in readings]
    assert figures(ALONE, idle)["idle_energy_uj"].value == pytest.approx(4 * 17.5e6)


def test_what_is_estimated_says_so() -> None:
    """And makes the whole an estimate."""
    readings = [drawn(at, 65.0, "rated", "processors") for at in range(0, 6001, 500)]
    told = figures(ALONE, readings)["energy_uj"]
    assert told.value == pytest.approx(260e6)
    assert told.origin == "estimated, processor"


def test_a_server_elsewhere_has_no_energy_here() -> None:
    """The meters are the client's, whether the plan says so or the requests themselves."""
    readings = [read(at, meter(at)) for at in range(0, 6001, 500)]
    by_usage = [one.model_copy(update={"counted_by": "usage"}) for one in ALONE]
    for found in (figures(ALONE, readings, elsewhere=True), figures(by_usage, readings)):
        assert found["energy_per_output_token_uj"].value is None
        assert "elsewhere" in (found["energy_uj"].why_undefined or "")


def test_readings_of_an_attempt_that_died_are_not_the_next_ones() -> None:
    """Not those of another host's counter of the same name, nor those of its own past."""
    dead = [read(at, at * 900_000, boot="other", attempt=1) for at in range(0, 6001, 500)]
    dead += [read(at, at, attempt=1) for at in range(0, 900, 300)]
    speed = Speed(JOB)
    again = [one.model_copy(update={"attempt": 2}) for one in ALONE]
    own = [read(at, meter(at), attempt=2) for at in range(900, 6001, 500)] + [read(6000, meter(6000), attempt=2)]
    done = JobChanged(**HEAD, pool="p", run_id=R, job_id=JOB, attempt=2, agent_id="a", incarnation=1, state="finished", counts={})
    for read_ in (*dead, *own):
        speed.add(read_)
    for one in again:
        speed.add(one)
        speed.add(tokens(one).model_copy(update={"attempt": 2}))
    speed.add(done)
    found = {figure.metric: figure.value for figure in speed.summary().figures}
    assert found["energy_uj"] == pytest.approx(4000 * POWER_UJ)
    assert found["energy_per_output_token_uj"] == pytest.approx(4000 * POWER_UJ / 40)


@given(st.integers(0, WRAP_UJ), st.integers(1, 4_000_000_000), st.integers(0, 2_000_000))
def test_what_a_counter_counted_is_right_or_not_known(before_uj: int, took_ns: int, counted_uj: int) -> None:
    """Wrapped or not; a time that goes back, or a long gap, tells nothing."""
    after_uj = (before_uj + counted_uj) % (WRAP_UJ + 1)
    grown = grown_uj((0, before_uj), (took_ns, after_uj), range_uj=WRAP_UJ)
    assert grown is None or abs(grown - counted_uj) <= 1
    assert grown_uj((5, before_uj), (5, after_uj), range_uj=WRAP_UJ) is None
    assert grown_uj((0, before_uj), (6 * 10**9, after_uj), range_uj=WRAP_UJ) is None


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(2, 5 * 10**9), st.floats(0, 1))
def test_a_power_is_added_up_alike_for_a_window_and_for_an_attempt(first_uw: int, last_uw: int, took_ns: int, share: float) -> None:
    """The trapezoid; the parts of a time come to the whole of it, but for what each rounds down."""
    before, after, cut = (7, first_uw), (7 + took_ns, last_uw), 7 + round(share * took_ns)
    whole = integrated_uj(before, after)
    assert whole == (first_uw + last_uw) * took_ns // (2 * 10**9)
    parts = [integrated_uj(before, after, inside=inside) for inside in ((7, cut), (cut, 7 + took_ns))]
    assert None not in parts and 0 <= whole - sum(part or 0 for part in parts) <= 1
    assert integrated_uj((0, 1), (LONGEST_GAP_NS + 1, 1)) is None


def test_answers_that_came_whole_have_an_end_and_say_what_they_have_not() -> None:
    """One arrival each, of all tokens: rates and E2E are there, and no time between tokens, which is not 0; a level of TTFT is not kept."""
    requests = [request(n, sent=n * 100, first=0, last=n * 100 + 80, first_byte_ns=None, counted_by="usage") for n in range(40)]
    speed = Speed(JOB)
    for one in requests:
        speed.add(one)
        speed.add(TokensTimed.model_validate(tokens(one).model_dump(exclude={"event_id"}) | {
            "arrival_ns": (one.last_token_ns,), "tokens_per_arrival": (10,),
        }))  # fmt: skip
    found = {figure.metric: figure for figure in speed.summary(slo=Objective(ttft_ns=10**9)).figures}
    for name in ("ttft_mean", "first_answer_p50", "itl_mean", "gap_mean", "tpot_mean", "ttft_p99_early_stopped", "alone_tokens_per_s"):
        assert found[name].value is None and "answers came whole" in (found[name].why_undefined or "")
    assert (found["e2e_mean"].value, found["tokens_not_timed"].value, found["goodput_per_s"].value) == (80 * MS, 0, 0)
    assert found["output_tokens_per_s"].value == pytest.approx(100)
