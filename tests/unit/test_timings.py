"""Timings as columns: they come back as they were, in whatever order they came, and nothing that a producer may send breaks them."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.jobs import JobChanged
from schemas.measurements import RequestTimed, ResourceRead, TokensTimed
from schemas.requests import Objective
from streams.settling.used import Used
from streams.speed import timings
from streams.speed.columns import ABSENT, FARTHEST, event_ids, id_bytes, real
from streams.speed.performance import Speed
from streams.speed.timings import CLIENT, TIMES, Timings
from tests.unit.test_speed import ALONE, HEAD, JOB, MS, R, constant, meter, read, request, tokens

Event = RequestTimed | TokensTimed | ResourceRead
LOAD: list[Event] = [
    event for one in constant(10.0, count=30, e2e=250) for event in (one, tokens(one))
] + [read(at, meter(at)) for at in range(0, 4000, 250)]  # fmt: skip


def held(events: Sequence[Event]) -> Timings:
    """What an attempt holds of these events."""
    told = Timings()
    for event in events:
        told.add(event)
    return told


def speed(events: Sequence[Event]) -> Speed:
    """The same as a workload's."""
    told = Speed(JOB)
    for event in events:
        told.add(event)
    return told


@given(st.permutations(LOAD), st.integers(0, len(LOAD)))
def test_the_order_and_what_comes_twice_change_nothing(events: list[Event], again: int) -> None:
    """Not the figures, not what stands in a snapshot as seen by whoever compares two."""
    told = [*events, *events[:again]]
    assert timings.canonical(held(told)) == timings.canonical(held(LOAD))
    assert speed(told).summary() == speed(LOAD).summary()


@given(st.permutations(LOAD), st.integers(0, len(LOAD)))
def test_a_snapshot_in_the_middle_changes_nothing(events: list[Event], cut: int) -> None:
    """What came before it and comes again is known."""
    before = held(events[:cut])
    after = timings.loaded(json.loads(json.dumps(timings.dumped(before))))
    for event in [*events[max(0, cut - 3) : cut], *events[cut:]]:
        after.add(event)
    assert timings.canonical(after) == timings.canonical(held(LOAD))
    assert after.known == held(LOAD).known


EXTREMES = st.sampled_from([-(2**63), -1, 0, 1, 2**63 - 1])


@given(
    st.lists(st.fixed_dictionaries({name: EXTREMES for name in TIMES if name != "step"}), min_size=2, max_size=4),
    st.lists(EXTREMES, max_size=8),
)
def test_no_number_breaks_a_summary(rows: list[dict[str, int]], arrivals: list[int]) -> None:
    """Of whatever whole numbers a record can hold a figure may be nonsense; it is none of the other runs' business."""
    base = ALONE[0].model_dump()
    client = base["client"] | {name: rows[0]["sent_ns"] for name in ("pacing_error_ns", "in_flight", "loop_lag_ns")}
    requests = [RequestTimed.model_validate(base | row | {"client": client, "event_id": ""}) for row in rows]
    chunks = [
        TokensTimed(**HEAD, run_id=R, job_id=JOB, attempt=1, request_index=one.request_index, sequence=one.sent_ns, chunk=one.ended_ns,
                    first_token=0, arrival_ns=tuple(arrivals), tokens_per_arrival=(2**63 - 1, -5, 1, 0) * 2) for one in requests
    ]  # fmt: skip
    with np.errstate(all="ignore"):
        speed([*requests, *chunks, read(0, 2**62), read(2**40, -(2**62))]).summary(slo=Objective(ttft_ns=1, itl_ns=1, e2e_ns=1))


def test_more_tokens_than_memory_holds_have_no_latency_each() -> None:
    """Sixteen thousand million tokens, as a server told in its usage: all else is there."""
    arrived = [
        TokensTimed(**HEAD, run_id=R, job_id=JOB, attempt=1, request_index=0, sequence=0, chunk=chunk, first_token=0,
                    arrival_ns=tuple(range(4)), tokens_per_arrival=(10**9,) * 4) for chunk in range(4)
    ]  # fmt: skip
    found = {figure.metric: figure for figure in speed([ALONE[0], *arrived]).summary(slo=Objective(itl_ns=1)).figures}
    assert found["itl_mean"].why_undefined == "the times of 15,000,000,000 tokens are told: at most 40,000,000 are reckoned with"
    assert (found["gap_mean"].n, found["e2e_mean"].n) == (15, 1) and found["slo_itl_ratio"].value is None


@pytest.mark.parametrize("count", [65_535, 65_536, 100_000])
def test_a_whole_answer_has_all_of_its_tokens(count: int) -> None:
    """However many came at once: one answer a second."""
    told = list[Event]()
    for n in range(12):
        whole = request(n, sent=1000 * n, first=0, last=1000 * n + 900, output_tokens=count, counted_by="usage", loop="closed")
        told.append(whole.model_copy(update={"first_byte_ns": None}))
        told.append(TokensTimed(**HEAD, run_id=R, job_id=JOB, attempt=1, request_index=n, sequence=0, chunk=0, first_token=0,
                                arrival_ns=(whole.last_token_ns or 0,), tokens_per_arrival=(count,)))  # fmt: skip
    found = {figure.metric: figure.value for figure in speed(told).summary().figures}
    assert (found["output_tokens_per_s"], found["tokens_not_timed"]) == (count, 0)


def test_what_is_held_of_a_request_is_a_row() -> None:
    """A request and its hundred tokens take 1.5 kB, not the 11 kB of its events."""
    one = ALONE[0]
    arrived = tokens(one).model_copy(update={"first_ns": 0, "gaps": bytes([1]) + bytes(99)})
    told = held([one, arrived])
    sizes = [len(rows.ids) + 8 * len(rows.numbers) for rows in (told.requests, told.chunks)]
    assert sum(sizes) + 8 * len(told.arrived_ns) + 4 * len(told.tokens) < 1650
    assert told.requests.names[: len(TIMES)] == TIMES and set(CLIENT) < set(told.requests.names)


@pytest.mark.parametrize("text", ["6b0e3f6e-8f3a-5d64-9a3c-2f3a4c1f7a10", "", "not an id", "zz0e3f6e-8f3a-5d64-9a3c-2f3a4c1f7a10"])
def test_an_id_is_sixteen_bytes(text: str) -> None:
    """A UUID comes back as it was."""
    (back,) = event_ids(id_bytes(text))
    assert len(id_bytes(text)) == 16 and id_bytes(back) == id_bytes(text) and (back == text or text.count("-") < 4 or "z" in text)


def test_what_is_not_told_is_absent() -> None:
    """No number that an event can have: the nearest is a clock's that ran 36 years."""
    assert ABSENT < -FARTHEST and real(None) == ABSENT != real(-0.0)
    told = held([request(0, sent=0, first=1, last=2)]).taken().requests
    assert told.known("queued_ns").tolist() == [] and told.last_ns.tolist() == [2 * MS]


def test_an_answer_of_one_token_misses_no_limit_between_tokens() -> None:
    """Whether or not its first came in time."""
    told = constant(10.0, count=30, e2e=250)
    told[15] = request(15, sent=1500, first=2000, last=2000, output_tokens=1, in_flight=3)
    arrived = [tokens(one) for one in told]
    arrived[15] = arrived[15].model_copy(update={"first_ns": 2000 * MS, "gaps": b""})
    slo = Objective(ttft_ns=200 * MS, itl_ns=MS)
    found = {figure.metric: figure for figure in speed([*told, *arrived]).summary(slo=slo).figures}
    assert found["slo_itl_ratio"].n == 9 * (found["slo_ttft_ratio"].n - 1) > 0


def test_readings_of_no_attempt_count_for_the_one_that_finished() -> None:
    """As agents told them before readings named attempts."""
    told = speed([*ALONE, *map(tokens, ALONE), *[read(at, meter(at)).model_copy(update={"attempts": ()}) for at in range(0, 6001, 500)]])
    told.add(JobChanged(**HEAD, pool="p", run_id=R, job_id=JOB, attempt=1, agent_id="a", incarnation=1, state="finished",
                        counts={"requests": 5, "token_timings": 5, "readings": 13}))  # fmt: skip
    assert told.complete
    found: dict[str, Any] = {figure.metric: figure.value for figure in told.summary().figures}
    assert found["energy_uj"] == pytest.approx(4000 * 20_000)


@pytest.mark.parametrize(
    ("power_w", "kept"), [(None, None), (0.0, 0), (312.5, 312_500_000), (1e6, 10**12), (-0.5, None), (1.1e6, None), (-1.7e308, None)]
)
def test_a_power_that_no_device_draws_is_not_known(power_w: float | None, kept: int | None) -> None:
    """Neither in what a load used, nor in what its attempts did; no other reading is lost with it."""
    told = read(0, 0).model_copy(update={"energy_uj": None, "power_w": power_w, "idle_w": power_w, "sensor": "nvml-device"})
    columns = held([told]).taken().readings[0]
    assert {int(columns.column(name)[0]) for name in ("power_uw", "idle_uw")} == {ABSENT if kept is None else kept}
    used = Used()
    used.read(told)
    assert [one.shown for counters in used.counters.values() for one in counters.values()] == ([] if kept is None else [kept])
