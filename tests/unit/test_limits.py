"""Deadlines and budgets: what cannot be kept is refused, what is reached ends the run and keeps what there is."""

from datetime import UTC, datetime

import pytest

from infra.identity import now_us
from query_api.cli.budgets import budget, deadline_us
from schemas.jobs import EnvironmentSeen, JobChanged, Running
from schemas.requests import Budget, EvaluationRequested, ModelRef
from schemas.results import PricePublished
from streams.errors import Invalid
from streams.queue.bits import pack
from streams.queue.leases import Cancel, Release, Step
from streams.queue.limits import check
from tests.pool import RUN, SECOND, STAMP, Told, beat, cancel, changed, job, planned, ran, released
from tests.runs import run_named

R = run_named("r")

DEADLINE = datetime(2026, 12, 1, 18, tzinfo=UTC)
DEADLINE_US = round(DEADLINE.timestamp() * 1e6)


def request(**limits: float) -> EvaluationRequested:
    """A request with a budget."""
    return EvaluationRequested(occurred_us=0, producer=STAMP, run_id=R, model=ModelRef(uri="m"), budget=Budget.model_validate(limits))


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"s": 0}, "budget.s 0: give seconds above 0"),
        ({"usd_nano": -5}, "budget.usd_nano -5"),
        ({"deadline_us": DEADLINE_US}, "deadline 2026-12-01T18:00:00Z lies before the request itself (2026-12-01T18:00:01Z)"),
        ({"deadline_us": -(2**62)}, "µs lies before"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused(limits: dict[str, float], says: str) -> None:
    """With the value, and what to do."""
    with pytest.raises(Invalid) as refused:
        check(request(**limits), asked_us=DEADLINE_US + SECOND)
    assert says in str(refused.value)


def test_a_budget_that_can_be_kept_is_taken() -> None:
    """Any of them, or none."""
    check(request(), asked_us=0)
    check(request(s=0.5, usd_nano=1, deadline_us=2), asked_us=1)


def test_a_run_stops_at_its_deadline_though_it_never_ran() -> None:
    """It says so, with how far it came."""
    told = Told().tell(planned(job("j1", budget=Budget(deadline_us=DEADLINE_US))))
    assert told.decide(DEADLINE_US - 1) == []
    says = "its deadline, 2026-12-01T18:00:00Z, is reached. 0 of 1 jobs have finished, 0 of 4 samples are answered; they are kept"
    assert told.decide(DEADLINE_US) == [Step(RUN, "local", "cancelled", "deadline", says)]


def test_a_run_stops_when_its_time_is_over_and_its_agents_are_told() -> None:
    """The time counts from when the log says that it first ran, whatever the dispatcher's clock said; nothing of it is leased any more."""
    limits = Budget(s=30, deadline_us=DEADLINE_US + 60 * SECOND)
    work, other = job("j1", budget=limits), job("j2", budget=limits)
    told = Told().tell(planned(work), planned(other), beat("a"), beat("b"), released(work))
    assert not [decision for decision in told.decide(2) if isinstance(decision, Step) and decision.state == "cancelled"]
    told.tell(ran("running", occurred_us=DEADLINE_US + 24 * 3600 * SECOND), changed(work, "running", done=pack({0, 2})), at_us=DEADLINE_US)
    told.tell(beat("a", sequence=1), beat("b", sequence=1), at_us=DEADLINE_US + 30 * SECOND)
    told.pool.entries["j1"].leases[1].confirmed_us = DEADLINE_US + 30 * SECOND
    assert [type(decision) for decision in told.decide(DEADLINE_US + 30 * SECOND - 1)] == [Release]
    step, gives_up = told.decide(DEADLINE_US + 30 * SECOND)
    assert isinstance(step, Step) and (step.state, step.reason_code) == ("cancelled", "budget-time")
    assert step.message == (
        "the 30 s that it may run are over; it first ran at 2026-12-01T18:00:00Z. "
        "0 of 2 jobs have finished, 2 of 8 samples are answered; they are kept"
    )
    assert gives_up == cancel(work)
    told.tell(ran("cancelled"), released(work, kind="cancel"), changed(work, "cancelled"))
    assert told.decide(DEADLINE_US + 31 * SECOND) == []


def test_deadlines_and_money_as_people_write_them() -> None:
    """Times with and without a zone, YAML's own times, durations; dollars to the billionth."""
    for told in ("2026-12-01T18:00Z", "2026-12-01 18:00", "2026-12-01T19:00+01:00", DEADLINE, DEADLINE.replace(tzinfo=None)):
        assert deadline_us(told) == DEADLINE_US
    assert deadline_us(DEADLINE.date()) == DEADLINE_US - 18 * 3600 * SECOND
    before = now_us()
    assert before + 5400 * SECOND <= deadline_us("1.5h") <= now_us() + 5400 * SECOND
    assert budget({"s": 60.0, "deadline": None, "usd": 2.1}) == {"s": 60.0, "usd_nano": 2_100_000_000}


@pytest.mark.parametrize("told", [{"deadline": "soon"}, {"deadline": "3 weeks"}, {"usd": "two"}, {"usd": float("inf")}])
def test_what_is_no_time_and_no_money_is_refused(told: dict[str, object]) -> None:
    """Saying how to write it."""
    with pytest.raises(Invalid, match="write a"):
        budget(told)


def priced(amount_nano: int, *, item: str = "cpu_hour", unit: str = "core-hour") -> PricePublished:
    """A price that holds from 1970 on."""
    return PricePublished(
        occurred_us=0, producer=STAMP, item=item, region="any", currency="USD", amount_nano=amount_nano, unit=unit, valid_from_us=0,
        valid_to_us=None, source="test", version="v1",
    )  # fmt: skip


SEEN = EnvironmentSeen(
    occurred_us=0, producer=STAMP, sha="env", packages={}, driver=None, cpu="c", cpu_flags=(), cores=4, memory_bytes=0, devices=(),
    container_digest=None, os="l",
)  # fmt: skip
CENT = Budget(usd_nano=10_000_000)


def reported(state: str, at_s: int, *, name: str = "j1", sequence: int = 0) -> JobChanged:
    """A report of an agent of four cores, at its time."""
    told = changed(job(name), state, sequence=sequence)
    return told.model_copy(update={"occurred_us": at_s * SECOND, "environment_sha": "env"})


def spending(*, price_nano: int | None, clock_s: int = 0) -> Told:
    """A run of two jobs that may cost a cent, of which one has begun at second 100; its agent's clock is that far ahead."""
    works = [job(name, budget=CENT) for name in ("j1", "j2")]
    told = Told().tell(*(planned(work) for work in works), beat("a"), released(works[0]), ran("running"), SEEN)
    told.tell(*([priced(price_nano)] if price_nano else []), reported("loading", 100 + clock_s), at_us=100 * SECOND)
    return told


@pytest.mark.parametrize("clock_s", [0, 24 * 3600, -90])
def test_a_run_stops_when_its_agents_time_has_cost_its_budget(clock_s: int) -> None:
    """Four cores at 0.90 USD an hour are 0.1 cents a second: a cent is ten seconds, whatever was reported last, and by whatever clock."""
    told = spending(price_nano=900_000_000, clock_s=clock_s).tell(reported("running", 104 + clock_s, sequence=1))
    told.tell(beat("a", sequence=1, running=(Running(job_id="j1", attempt=1),)), at_us=105 * SECOND)
    assert told.decide(110 * SECOND - 1) == []
    step, gives_up = told.decide(110 * SECOND)
    assert isinstance(step, Step) and (step.state, step.reason_code) == ("cancelled", "budget-usd")
    assert step.message and step.message.startswith("its budget of 0.01 USD is spent; its agents cost 3.6 USD an hour. 0 of 2 jobs")
    assert gives_up == cancel(job("j1", budget=CENT))


def test_no_money_goes_while_nothing_runs() -> None:
    """What an attempt took stays spent; the clock goes on when the next begins, and a price that was published later counts."""
    told = spending(price_nano=None)
    told.tell(priced(900_000_000), reported("finished", 106, sequence=1), at_us=106 * SECOND)
    assert [type(decision) for decision in told.tell(beat("a", sequence=1), at_us=999 * SECOND).decide(999 * SECOND)] == [Release]
    told.tell(released(job("j2", budget=CENT)), reported("loading", 1000, name="j2"), at_us=1000 * SECOND)
    assert told.decide(1004 * SECOND - 1) == []
    assert [type(decision) for decision in told.decide(1004 * SECOND)] == [Step, Cancel]


def test_what_cannot_be_priced_does_not_run_on_a_budget() -> None:
    """It stops, and says which price is missing."""
    step, _ = spending(price_nano=None).decide(101 * SECOND)
    assert isinstance(step, Step) and step.reason_code == "budget-usd"
    assert step.message and "its budget of 0.01 USD cannot be kept: no price of cpu_hour holds" in step.message
