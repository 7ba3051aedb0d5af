"""Who has a pool: terms that dispatchers took, and those that others only name."""

from schemas.jobs import DispatcherBeat, JobReleased
from streams.queue.succession import SILENCE_US, Succession
from tests.pool import STAMP, Told, job, planned, released, took
from tests.world import JOBS

HUGE = 2**63 - 1


def lives(term: int, sequence: int, *, leaving: bool = False) -> DispatcherBeat:
    """A beat."""
    return DispatcherBeat(occurred_us=0, producer=STAMP, pool="default", term=term, sequence=sequence, leaving=leaving)


def mark(term: int) -> JobReleased:
    """What makes releases of lower terms behind it void."""
    return JobReleased(occurred_us=0, producer=STAMP, pool="default", term=term, kind="mark")


def told(*events: JobReleased, begins: tuple[int, ...] = ()) -> Told:
    """A pool that dispatchers took twice, terms 0 and 5, the second where its job topic ended at `begins`; and what was said after."""
    made = Told().takes(0)
    made.pool.fold(took(begins=begins), at=("assay.dispatchers.v1", 0), offset=5, written_us=1, at_us=1)
    made.tell(planned(job("j1")))
    for offset, event in enumerate(events):
        made.pool.fold(event, at=(JOBS, 0), offset=offset, written_us=1, at_us=1)
    return made


def test_a_term_that_nobody_took_voids_nothing() -> None:
    """However large it is: the rightful dispatcher's releases behind it count, and so do those of its successor."""
    for forged in (HUGE, 6, 4):
        lease = told(mark(forged), released(job("j1"), term=5)).pool.entries["j1"].lease
        assert lease and lease.term == 5


def test_a_term_counts_from_where_the_job_topic_ended_when_it_was_taken() -> None:
    """A mark that guessed it lies before that: so whoever folds the log later finds what those found who read on as it was written."""
    lease = told(mark(5), released(job("j1"), term=0), begins=(2,)).pool.entries["j1"].lease
    assert lease and lease.term == 0
    assert told(mark(5), released(job("j1"), term=0), begins=(0,)).pool.entries["j1"].lease is None


def test_a_release_of_a_term_that_nobody_took_leases_nothing_and_cancels_nothing() -> None:
    """Nor does it name a job that nobody has planned."""
    made = told(released(job("j2"), term=HUGE), released(job("j1"), term=5), released(job("j1"), term=HUGE, kind="cancel"))
    lease = made.pool.entries["j1"].lease
    assert set(made.pool.entries) == {"j1"} and lease and not lease.cancelled


def test_a_beat_of_a_term_that_nobody_took_is_nobodys() -> None:
    """The pool stays with who took it, is vacant when that one is silent or leaves, and the next takes it by a higher term."""
    one = Succession()
    one.fold(took(), offset=3, at_us=1)
    one.fold(lives(HUGE, HUGE), offset=0, at_us=2 + SILENCE_US)
    assert (one.term, one.sequence) == (3, -1) and one.vacant(now_us=2 + SILENCE_US)
    one.fold(lives(3, 1), offset=1, at_us=2 + SILENCE_US)
    assert not one.vacant(now_us=2 + SILENCE_US)
    one.fold(lives(3, 2, leaving=True), offset=2, at_us=3 + SILENCE_US)
    assert one.vacant(now_us=3 + SILENCE_US)
    one.fold(took(), offset=4, at_us=4 + SILENCE_US)
    assert one.term == 4 and not one.vacant(now_us=4 + SILENCE_US)


def test_a_beat_in_the_name_of_who_has_the_pool_costs_one_takeover() -> None:
    """A standby takes it; what was forged under the old term says nothing of the new one."""
    one = Succession()
    one.fold(took(), offset=3, at_us=1)
    one.fold(lives(3, HUGE, leaving=True), offset=0, at_us=2)
    assert one.vacant(now_us=2)
    one.fold(took(), offset=4, at_us=3)
    one.fold(lives(3, HUGE, leaving=True), offset=1, at_us=3)
    assert not one.vacant(now_us=3)


def test_an_event_whose_term_is_newer_than_all_is_unheard_until_that_was_taken() -> None:
    """So that its caller reads first who has taken the pool."""
    made = told()
    assert made.pool.unheard(mark(6)) and made.pool.unheard(lives(6, 0))
    assert not made.pool.unheard(mark(5)) and not made.pool.unheard(mark(6).model_copy(update={"pool": "other"}))
    made.takes(6)
    assert not made.pool.unheard(mark(6))
