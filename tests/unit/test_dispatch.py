"""Leases and runs: what a dispatcher decides after what it was told."""

from dataclasses import replace

from agents.decided import event_of
from schemas.event import Event
from schemas.jobs import JobError, JobReleased, Running
from schemas.requests import CancellationRequested
from schemas.results import TaskStopped
from schemas.runs import RunChanged
from streams.queue.bits import pack
from streams.queue.dispatch import Pool
from streams.queue.keeping import dumped, loaded, picture
from streams.queue.leases import Abandon, Release, Step, pause_us
from tests.pool import RUN, SECOND, STAMP, Told, beat, cancel, changed, job, planned, ran, released
from tests.runs import run_named

FOR_GOOD = JobError(code="nan-weights", message="layer 1 has NaN", permanent=True)


def said(abandoned: Abandon) -> Event:
    """The event that says so."""
    return event_of(abandoned, pool="default", term=0)


def failed(code: str, message: str) -> Step:
    """The step of a run that fails over its job."""
    return Step(RUN, "local", "failed", code, message)


def test_a_waiting_job_goes_to_a_free_agent_and_its_run_starts() -> None:
    """The first lease of a run says that it runs."""
    told = Told().tell(planned(job("j1")), beat("a"))
    assert told.decide(2) == [Step(RUN, "local", "running"), Release(job("j1"), 1, "a", 1, b"")]


def test_a_silent_agent_loses_its_lease_and_the_next_attempt_keeps_what_is_done() -> None:
    """After the lease, another agent gets the job with the samples that are already there."""
    work = job("j1")
    told = Told().tell(planned(work), beat("a"), beat("b"), released(work), changed(work, "running", done=pack({0, 2})))
    told.tell(RunChanged(occurred_us=0, producer=STAMP, run_id=RUN, state="running"))
    told.tell(beat("b", sequence=1), at_us=9 * SECOND)
    assert told.decide(10 * SECOND) == [Release(work, 2, "b", 1, pack({0, 2}))]


def test_a_heartbeat_that_names_the_attempt_keeps_the_lease() -> None:
    """As long as the holder says that it is at it, nobody else gets it."""
    work = job("j1")
    told = Told().tell(planned(work), beat("a"), beat("b"), released(work))
    told.tell(beat("a", sequence=1, running=(Running(job_id="j1", attempt=1),)), beat("b", sequence=1), at_us=9 * SECOND)
    assert not [decision for decision in told.decide(10 * SECOND) if isinstance(decision, Release)]


def test_an_agent_that_speaks_again_before_another_was_found_keeps_its_lease() -> None:
    """It was silent for long and its job waited; as nobody had taken it, it goes on."""
    work = job("j1")
    told = Told().tell(planned(work), beat("a"), released(work), ran("running"))
    assert told.decide(10 * SECOND) == []
    assert waiting_jobs(told.pool) == {"j1"}
    told.tell(beat("a", sequence=1, running=(Running(job_id="j1", attempt=1),)), beat("b"), at_us=11 * SECOND)
    assert told.decide(11 * SECOND) == []
    assert waiting_jobs(told.pool) == set()


def test_a_new_incarnation_has_lost_what_the_old_one_held() -> None:
    """An agent that was started again gets its job again at once, as the next attempt."""
    work = job("j1")
    told = Told().tell(planned(work), beat("a"), released(work), beat("a", incarnation=2))
    assert Release(work, 2, "a", 2, b"") in told.decide(2)


def test_a_temporary_failure_is_tried_again_after_a_pause_and_only_so_often() -> None:
    """Three attempts, then the job and its run have failed, with the last reason."""
    work, error = job("j1"), JobError(code="out-of-memory", message="no room", permanent=False)
    told = Told().tell(planned(work), beat("a"), released(work), changed(work, "failed", error=error), at_us=SECOND)
    assert not told.decide(SECOND + pause_us(1) - 1)
    assert Release(work, 2, "a", 1, b"") in told.decide(SECOND + pause_us(1))
    for attempt in (2, 3):
        told.tell(released(work, attempt=attempt), changed(work, "failed", attempt=attempt, error=error), at_us=SECOND)
    (abandoned,) = told.decide(SECOND + 1)
    assert isinstance(abandoned, Abandon) and abandoned.attempt == 3
    assert told.tell(said(abandoned)).decide(SECOND + 1) == [failed("out-of-memory", "3 attempts failed, the last: no room")]


def test_a_permanent_failure_is_not_tried_again() -> None:
    """What would fail the same way ends the run at once."""
    work, error = job("j1"), FOR_GOOD
    told = Told().tell(planned(work), planned(job("j2")), beat("a"), released(work), changed(work, "failed", error=error))
    assert told.decide(2) == [Abandon(work, 1, error)]
    assert told.tell(said(Abandon(work, 1, error))).decide(2) == [failed(error.code, error.message)]


def test_a_run_whose_job_has_failed_for_good_fails_also_where_who_said_so_is_gone() -> None:
    """What one dispatcher wrote of the job is all that the next needs: also one that began with a snapshot, and where why is not told."""
    work, error = job("j1"), FOR_GOOD
    told = Told().tell(planned(work), beat("a"), released(work), changed(work, "failed", error=error), said(Abandon(work, 1, error)))
    told.pool = loaded(dumped(picture(told.pool)), Pool("default"))
    assert told.decide(2) == [failed(error.code, error.message)]
    unsaid = Told().tell(planned(work), changed(work, "failed").model_copy(update={"final": True}))
    assert [(one.state, one.reason_code) for one in unsaid.decide(2) if isinstance(one, Step)] == [("failed", "job-failed")]


def test_a_job_that_is_not_wanted_any_more_fails_no_run() -> None:
    """It failed for good before its task was known well enough; and one that nobody planned is nobody's."""
    work, other = job(f"{RUN}/t/0/0"), job(f"{RUN}/u/0/0")
    told = Told().tell(planned(work), planned(other), ran("running"), said(Abandon(work, 1, FOR_GOOD)), known("t"))
    assert told.tell(said(Abandon(job(f"{RUN}/v/0/0"), 1, FOR_GOOD))).decide(2) == []
    assert told.tell(said(Abandon(other, 1, FOR_GOOD))).decide(2) == [failed(FOR_GOOD.code, FOR_GOOD.message)]


def test_a_cancelled_run_gives_its_leases_back() -> None:
    """The run is cancelled and the agent is told; nothing of it is leased again."""
    work = job("j1")
    asked = CancellationRequested(occurred_us=0, producer=STAMP, run_id=RUN, by="me")
    told = Told().tell(planned(work), planned(job("j2")), beat("a"), beat("b"), released(work), asked)
    assert told.decide(2) == [Step(RUN, "local", "cancelled", "cancelled", "cancelled by me"), cancel(work)]
    told.tell(RunChanged(occurred_us=0, producer=STAMP, run_id=RUN, state="cancelled"), released(work, kind="cancel"))
    assert told.decide(3) == []


def test_a_release_behind_a_higher_mark_is_void() -> None:
    """A deposed dispatcher's late release changes nothing."""
    work = job("j1")
    mark = JobReleased(occurred_us=0, producer=STAMP, pool="default", term=7, kind="mark")
    told = Told().takes(3, 7).tell(planned(work), mark, released(work, term=3))
    assert told.pool.entries["j1"].lease is None


def test_what_is_decided_depends_on_how_the_newest_incarnation_came_and_not_on_its_number() -> None:
    """An agent whose clock went back is the newest when its first heartbeat lies later in the log; the one before is not heard any more."""
    work = job("j1")
    told = Told().tell(planned(work), beat("a", incarnation=9), released(work, incarnation=9), beat("a", incarnation=4))
    told.tell(beat("a", incarnation=9, sequence=8, running=(Running(job_id="j1", attempt=1),)))
    assert Release(work, 2, "a", 4, b"") in told.decide(2)


def test_a_dispatcher_whose_clock_was_a_day_ahead_for_one_lease_serves_both_submitters_still() -> None:
    """When a line was served is the log's time: else its owner would wait for a day."""
    work = {who: [job(f"{who}{n}", submitter=who, run=run_named(place)) for n in range(4)] for place, who in enumerate(("me", "you"))}
    told, served = Told().takes(0).tell(*(planned(one) for jobs in work.values() for one in jobs)), []
    for second in range(1, 9):
        told.tell(beat("a", sequence=second), at_us=second * SECOND)
        (lease,) = [one for one in told.decide(second * SECOND) if isinstance(one, Release)]
        served.append(lease.job.submitter)
        ahead_us = 24 * 3600 * SECOND if second == 1 else 0
        said_of = event_of(lease, pool="default", term=0).model_copy(update={"occurred_us": second * SECOND + ahead_us})
        told.tell(said_of, changed(lease.job, "finished"), at_us=second * SECOND)
    assert served == ["me", "you"] * 4


def test_a_run_that_is_over_is_forgotten_and_its_agent_is_told_until_it_lets_go() -> None:
    """Only its name stays, by which whatever comes late is known; the agent is not leased anything before it has let go."""
    work, other = job(f"{RUN}/t/0/0"), job(f"{run_named(2)}/t/0/0", run=run_named(2))
    told = Told().tell(planned(work), planned(other), beat("a"), released(work), ran("running"), ran("failed"))
    pool = told.pool
    assert (set(pool.entries), set(pool.runs), len(pool.over)) == ({other.job_id}, {run_named(2)}, 1)
    assert told.decide(2) == [cancel(work)]
    assert told.tell(released(work, kind="cancel")).decide(2) == []
    told.tell(changed(work, "cancelled"), planned(work), released(work, attempt=2, agent="gone"), changed(work, "running"), at_us=3)
    assert set(pool.entries) == {other.job_id}
    assert Release(other, 1, "a", 1, b"") in told.decide(3)


def test_an_agent_at_a_run_that_was_over_before_anybody_listened_is_told() -> None:
    """A dispatcher that began anew knows of the lease only by the agent's heartbeat, which does not say whose the run was."""
    work = job(f"{RUN}/t/0/0")
    told = Told().tell(ran("planned"), ran("cancelled"), beat("a", running=(Running(job_id=work.job_id, attempt=1),)))
    assert told.decide(2) == [replace(cancel(work), organisation_id="")]  # whose it was is not known any more: nobody's to see


def test_a_run_that_is_not_planned_yet_is_not_begun() -> None:
    """Its job may be read before its plan. One that was rejected first stays so; one that was planned is not rejected later."""
    pool, work = Pool("default"), job("j1")
    told = Told(pool, said={RUN}).tell(planned(work), beat("a"))
    assert told.decide(2) == []
    assert [type(decision) for decision in told.tell(ran("planned"), ran("rejected")).decide(2)] == [Step, Release]
    assert not Told(Pool("default"), said={RUN}).tell(ran("rejected"), ran("planned"), planned(work), beat("a")).decide(2)


def known(task: str) -> TaskStopped:
    """A task is known well enough."""
    return TaskStopped(
        occurred_us=0, producer=STAMP, run_id=RUN, task=task, scorer_version="1", samples=2, planned=4, not_scored=0, half_width=0.1,
        confidence=0.95,
    )  # fmt: skip


def waiting_jobs(pool: Pool) -> set[str]:
    """The jobs that the pool's index says can be leased."""
    return {item.job.job_id for line in pool.shelves.lines.all() for item in line.queue}


def test_the_steps_of_a_private_run_are_private() -> None:
    """So that what they say is told as of a private run, wherever it goes: that it runs, that it failed, that it was cancelled."""
    work = job("j1").model_copy(update={"visibility": "private"})
    asked = CancellationRequested(occurred_us=0, producer=STAMP, run_id=RUN, by="me")
    error = JobError(code="generation", message="a text", permanent=True)
    told = (
        Told().tell(planned(work), beat("a")),
        Told().tell(planned(work), beat("a"), released(work), said(Abandon(work, 1, error))),
        Told().tell(planned(work), asked),
    )
    steps = [one for each in told for one in each.decide(2) if isinstance(one, Step)]
    assert [one.state for one in steps] == ["running", "failed", "cancelled"]
    assert {event_of(one, pool="p", term=1).visibility for one in steps} == {"private"}
