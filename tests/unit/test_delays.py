"""What runs wait for: said in words that name what is missing, said once, taken back when it is over."""

import pytest

from schemas.jobs import AgentBeat, Device, JobError, Need
from schemas.runs import RunDelayed
from streams.queue import delays
from streams.queue.clocks import Moment
from streams.queue.delays import AGAIN_US, FARTHEST, GRACE_US, Delay, Delays, Reason, busy, lack, reasons
from streams.queue.lines import lines_of
from streams.queue.queueing import GIB, USUAL
from tests.pool import RUN, SECOND, STAMP, Told, beat, changed, job, planned, ran, released, waiting
from tests.runs import run_named

DEVICE = Device(uuid="d", name="d", memory_bytes=1)
SMALL = Device(uuid="s", name="s", memory_bytes=2 * GIB)
LATER = 20 * SECOND
HUGE = 2**63 - 1


def delayed(waits_for: str | None, *, term: int = 0, sequence: int = 0) -> RunDelayed:
    """What was said of the run."""
    return RunDelayed(
        occurred_us=0, producer=STAMP, run_id=RUN, pool="default", term=term, sequence=sequence, waits_for=waits_for
    )  # fmt: skip


@pytest.mark.parametrize(
    ("need", "agents", "says"),
    [
        (Need(), [], "an agent of pool p; none is alive"),
        (Need(), [beat("a", draining=True)], "an agent of pool p that stays; the only one is draining"),
        (Need(capabilities=("engine:gguf",)), [beat("a")],
         "an agent with engine gguf; the only one is without: `assay engine install gguf` on a machine with one"),
        (Need(capabilities=("engine:other",)), [beat("a"), beat("b")], "an agent with engine other; all 2 are without"),
        (Need(devices=2), [beat("a", devices=(DEVICE,))], "an agent with 2 devices; the largest has 1"),
        (Need(devices=1), [beat("a")], "an agent with 1 device; the largest has none"),
        (Need(memory_bytes=40 * GIB), [beat("a", gib=8), beat("b", gib=2)], "an agent with 40.0 GiB; the largest has 8.0 GiB"),
        (Need(memory_bytes=8 * GIB + 2**24), [beat("a", gib=8)], "an agent with 8.02 GiB; the largest has 8.00 GiB"),
        # The large one has no device, and two small devices are no large one: what counts is what one agent's devices have.
        (Need(devices=1, memory_bytes=4 * GIB), [beat("a", gib=8), beat("b", gib=8, devices=(SMALL, SMALL))],
         "an agent with 4.0 GiB on 1 device; the largest has 2.0 GiB"),
        (Need(devices=2, memory_bytes=5 * GIB), [beat("b", gib=8, devices=(SMALL, SMALL))],
         "an agent with 5.0 GiB on 2 devices; the largest has 4.0 GiB"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(need: Need, agents: list[AgentBeat], says: str) -> None:
    """The value that is wanted, and the best that there is."""
    reason = lack(need, agents, pool="p")
    assert reason and reason.waits_for == says


def test_nothing_is_missing_where_an_agent_fits_though_it_is_busy() -> None:
    """Then it is an agent's time that a run waits for."""
    assert lack(Need(memory_bytes=GIB), [beat("a", gib=8)], pool="p") is None


def test_the_place_in_the_queue_is_told_in_steps() -> None:
    """Exactly while it is near, roughly while it is far: so a place that falls by one brings an event about log n times."""
    assert [busy(ahead).waits_for for ahead in (0, 1, 5, 6, 11, 1001)] == [
        "a free agent; it is next", "a free agent; 1 job is ahead", "a free agent; 5 jobs are ahead",
        "a free agent; more than 5 jobs are ahead", "a free agent; more than 10 jobs are ahead",
        "a free agent; more than 1000 jobs are ahead",
    ]  # fmt: skip
    assert len({busy(ahead) for ahead in range(1001)}) == 6 + len((5, 10, 20, 50, 100, 200, 500))


def test_a_run_that_waits_behind_others_says_how_many() -> None:
    """One agent, taken: the runs behind it count each other, priority first."""
    first, second, third = map(run_named, (1, 2, 3))
    told = Told().tell(planned(job("r1/a", run=first)), beat("a"), released(job("r1/a", run=first)), ran("running", run=first))
    told.tell(planned(job("r2/a", run=second)), planned(job("r2/b", run=second)), planned(job("r3/a", run=third, priority=1)))
    told.tell(beat("a", sequence=1), at_us=LATER)
    told.pool.entries["r1/a"].leases[1].confirmed_us = LATER
    assert told.waits(LATER) == []
    assert told.waits(LATER + GRACE_US) == [
        Delay(second, Reason("busy", "a free agent; 1 job is ahead", 1)),
        Delay(third, Reason("busy", "a free agent; it is next", 0)),
    ]


def test_the_place_of_the_first_thousand_alone_is_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many wait: it is done each second, on the loop by which the dispatcher says that it lives."""
    worked_out = list[int]()

    def counted(ahead: int) -> Reason:
        worked_out.append(ahead)
        return busy(ahead)

    monkeypatch.setattr(delays, "busy", counted)
    told = lines_of([waiting(f"{run_named(n)}/t/0/0", n, run=run_named(n)) for n in range(FARTHEST + 1000)])
    found = reasons(told, pool="p", alive=[beat("a")], running={}, now_us=0, policy=USUAL)
    assert [found[run_named(n)].waits_for for n in (0, FARTHEST + 999)] == [
        "a free agent; it is next",
        "a free agent; more than 1000 jobs are ahead",
    ]
    assert len(worked_out) == FARTHEST + 1


def test_a_run_that_waits_for_its_next_attempt_says_why() -> None:
    """A pause after a failure is a delay too."""
    work = job("j1")
    told = Told().tell(planned(work), beat("a"), released(work), ran("running"))
    told.tell(changed(work, "failed", error=JobError(code="oom", message="no room", permanent=False)), at_us=LATER)
    told.waits(LATER)
    (delay,) = told.waits(LATER + GRACE_US)
    assert delay.reason == Reason("retry", "its job's attempt 2, after: no room")


def test_a_dispatcher_that_has_just_taken_over_says_nothing_yet() -> None:
    """The agents have had no time to say that they live."""
    told = Told().tell(planned(job("j1")))
    told.pool.listens(now_us=LATER)
    assert told.waits(LATER + 7 * SECOND) == told.waits(LATER + 8 * SECOND) == []
    told.waits(LATER + 9 * SECOND)
    assert told.waits(LATER + 9 * SECOND + GRACE_US)


def moment(us: int) -> Moment:
    """Both clocks say the same."""
    return Moment(us, us)


def test_it_is_said_when_it_changes_and_taken_back_when_it_is_over() -> None:
    """After a grace; not again while it is the same; nothing more of a run that is forgotten."""
    delays, waits = Delays(), {RUN: Reason("busy", "x")}
    assert delays.changes(waits, moment(0)) == []
    assert delays.changes(waits, moment(GRACE_US)) == [Delay(RUN, Reason("busy", "x"))]
    delays.fold(delayed("x"))
    assert delays.changes(waits, moment(GRACE_US)) == []
    assert delays.changes({RUN: Reason("busy", "y")}, moment(GRACE_US)) == [Delay(RUN, Reason("busy", "y"))]
    assert delays.changes({}, moment(GRACE_US)) == [Delay(RUN, None)]
    delays.forget(RUN)
    assert delays.changes({}, moment(GRACE_US)) == []


def test_what_a_run_waits_for_is_said_again_once_a_day() -> None:
    """What was said a week ago has left the log."""
    delays, waits = Delays(), {RUN: Reason("no-agent", "x")}
    delays.fold(delayed("x"))
    assert delays.changes(waits, moment(AGAIN_US - 1)) == []
    assert delays.changes(waits, moment(AGAIN_US)) == [Delay(RUN, Reason("no-agent", "x"))]
    delays.fold(delayed("x", sequence=1).model_copy(update={"occurred_us": AGAIN_US}))
    assert delays.changes(waits, moment(2 * AGAIN_US - 1)) == []


def test_the_last_that_was_said_holds_whatever_its_numbers_are() -> None:
    """So that a huge one does not have the dispatcher say each second what nobody takes in."""
    delays = Delays()
    delays.fold(delayed("forged", term=HUGE, sequence=HUGE))
    assert delays.changes({RUN: Reason("busy", "x")}, moment(0)) == [Delay(RUN, Reason("busy", "x"))]
    delays.fold(delayed("x", term=3, sequence=delays.next_sequence()))
    assert delays.changes({RUN: Reason("busy", "x")}, moment(0)) == []
    assert [delays.next_sequence() for _ in "ab"] == [2, 3]


def test_a_time_to_come_does_not_keep_it_from_being_said_again() -> None:
    """What names a time far off is said anew at once."""
    delays, waits = Delays(), {RUN: Reason("busy", "x")}
    delays.fold(delayed("x").model_copy(update={"occurred_us": HUGE}))
    assert delays.changes(waits, moment(0)) == [Delay(RUN, Reason("busy", "x"))]
