"""Leases: the fold is the same under any interleaving, and a world of crashing agents gets all its work done."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.event import Event
from schemas.jobs import Job, JobError, JobReleased, Running
from schemas.requests import CancellationRequested
from schemas.runs import RunChanged
from streams.queue.bits import pack
from streams.queue.dispatch import Pool
from streams.queue.leases import Abandon, Cancel, Entry, Lease, Release, Step, pause_us
from tests.pool import RUN, SECOND, STAMP, Told, beat, changed, job, planned, ran, released
from tests.runs import run_named


def test_a_waiting_job_goes_to_a_free_agent_and_its_run_starts() -> None:
    """The first lease of a run says that it runs."""
    told = Told().tell(planned(job("j1")), beat("a"))
    assert told.pool.decide(now_us=2) == [Step(RUN, "local", "running"), Release(job("j1"), 1, "a", 1, b"")]


def test_a_silent_agent_loses_its_lease_and_the_next_attempt_keeps_what_is_done() -> None:
    """After the lease, another agent gets the job with the samples that are already there."""
    work = job("j1")
    told = Told().tell(planned(work), beat("a"), beat("b"), released(work), changed(work, "running", done=pack({0, 2})))
    told.tell(RunChanged(occurred_us=0, producer=STAMP, run_id=RUN, state="running"))
    told.tell(beat("b", sequence=1), at_us=9 * SECOND)
    assert told.pool.decide(now_us=10 * SECOND) == [Release(work, 2, "b", 1, pack({0, 2}))]


def test_a_heartbeat_that_names_the_attempt_keeps_the_lease() -> None:
    """As long as the holder says that it is at it, nobody else gets it."""
    work = job("j1")
    told = Told().tell(planned(work), beat("a"), beat("b"), released(work))
    told.tell(beat("a", sequence=1, running=(Running(job_id="j1", attempt=1),)), beat("b", sequence=1), at_us=9 * SECOND)
    assert not [decision for decision in told.pool.decide(now_us=10 * SECOND) if isinstance(decision, Release)]


def test_an_agent_that_speaks_again_before_another_was_found_keeps_its_lease() -> None:
    """It was silent for long and its job waited; as nobody had taken it, it goes on."""
    work = job("j1")
    told = Told().tell(planned(work), beat("a"), released(work), ran("running"))
    assert told.pool.decide(now_us=10 * SECOND) == []
    assert waiting_jobs(told.pool) == {"j1"}
    told.tell(beat("a", sequence=1, running=(Running(job_id="j1", attempt=1),)), beat("b"), at_us=11 * SECOND)
    assert told.pool.decide(now_us=11 * SECOND) == []
    assert waiting_jobs(told.pool) == set()


def test_a_new_incarnation_has_lost_what_the_old_one_held() -> None:
    """An agent that was started again gets its job again at once, as the next attempt."""
    work = job("j1")
    told = Told().tell(planned(work), beat("a"), released(work), beat("a", incarnation=2))
    assert Release(work, 2, "a", 2, b"") in told.pool.decide(now_us=2)


def test_a_temporary_failure_is_tried_again_after_a_pause_and_only_so_often() -> None:
    """Three attempts, then the job and its run have failed, with the last reason."""
    work, error = job("j1"), JobError(code="out-of-memory", message="no room", permanent=False)
    told = Told().tell(planned(work), beat("a"), released(work), changed(work, "failed", error=error), at_us=SECOND)
    assert not told.pool.decide(now_us=SECOND + pause_us(1) - 1)
    assert Release(work, 2, "a", 1, b"") in told.pool.decide(now_us=SECOND + pause_us(1))
    for attempt in (2, 3):
        told.tell(released(work, attempt=attempt), changed(work, "failed", attempt=attempt, error=error), at_us=SECOND)
    last = told.pool.decide(now_us=SECOND + 1)
    assert [type(decision) for decision in last] == [Abandon, Step]
    assert isinstance(last[1], Step) and (last[1].state, last[1].reason_code) == ("failed", "out-of-memory")


def test_a_permanent_failure_is_not_tried_again() -> None:
    """What would fail the same way ends the run at once."""
    work, error = job("j1"), JobError(code="nan-weights", message="layer 1 has NaN", permanent=True)
    told = Told().tell(planned(work), planned(job("j2")), beat("a"), released(work), changed(work, "failed", error=error))
    assert told.pool.decide(now_us=2)[0] == Abandon(work, 1, error)
    assert not [decision for decision in told.pool.decide(now_us=2) if isinstance(decision, Release)]


def test_a_cancelled_run_gives_its_leases_back() -> None:
    """The run is cancelled and the agent is told; nothing of it is leased again."""
    work = job("j1")
    asked = CancellationRequested(occurred_us=0, producer=STAMP, run_id=RUN, by="me")
    told = Told().tell(planned(work), planned(job("j2")), beat("a"), beat("b"), released(work), asked)
    assert told.pool.decide(now_us=2) == [Step(RUN, "local", "cancelled", "cancelled", "cancelled by me"), Cancel(work, 1, "a", 1)]
    told.tell(RunChanged(occurred_us=0, producer=STAMP, run_id=RUN, state="cancelled"), released(work, kind="cancel"))
    assert told.pool.decide(now_us=3) == []


def test_a_release_behind_a_higher_mark_is_void() -> None:
    """A deposed dispatcher's late release changes nothing."""
    work = job("j1")
    mark = JobReleased(occurred_us=0, producer=STAMP, pool="default", term=7, kind="mark")
    told = Told().tell(planned(work), mark, released(work, term=3))
    assert told.pool.entries["j1"].lease is None


def picture(pool: Pool) -> object:
    """What a pool knows, clocks and agents aside."""
    return {
        name: (
            entry.job,
            entry.done,
            entry.over,
            [(lease.attempt, lease.term, lease.agent_id, lease.ended) for lease in sorted_leases(entry)],
        )
        for name, entry in pool.entries.items()
    }, {run_id: run.state for run_id, run in pool.runs.items()}


def sorted_leases(entry: Entry) -> list[Lease]:
    """An entry's leases by attempt."""
    return [entry.leases[attempt] for attempt in sorted(entry.leases)]


HISTORY: dict[tuple[str, int], list[Event]] = {
    ("planned", 0): [planned(job("j1")), planned(job("j2"))],
    ("jobs", 0): [released(job("j1"), term=1), released(job("j2"), term=4, attempt=2)],
    ("jobs", 1): [
        released(job("j2"), agent="b", term=1),
        JobReleased(occurred_us=0, producer=STAMP, pool="default", term=4, kind="mark", nonce="1"),
        released(job("j1"), agent="b", term=1, attempt=2),
    ],
    ("status", 0): [
        changed(job("j2"), "running", done=pack({1})),
        changed(job("j2"), "failed", error=JobError(code="x", message="x", permanent=False)),
        changed(job("j1"), "running", done=pack({0, 1})),
        changed(job("j1"), "finished", done=pack({0, 1, 2, 3})),
    ],
    ("runs", 0): [RunChanged(occurred_us=0, producer=STAMP, run_id=RUN, state=state) for state in ("planned", "running", "failed")],
}  # fmt: skip


def fold(order: list[tuple[str, int]], *, redelivered: random.Random | None = None) -> object:
    """The picture after the partitions' events were told in that order; with `redelivered`, stretches come twice."""
    pool, at = Pool("default"), dict.fromkeys(HISTORY, 0)
    for place in order:
        if redelivered and redelivered.random() < 0.3:
            at[place] = redelivered.randrange(at[place] + 1) if place[0] != "jobs" else at[place]
        if at[place] < len(HISTORY[place]):
            pool.fold(HISTORY[place][at[place]], partition=place[1], offset=at[place], written_us=0, at_us=0)
            at[place] += 1
    for place, events in HISTORY.items():
        for offset in range(at[place], len(events)):
            pool.fold(events[offset], partition=place[1], offset=offset, written_us=0, at_us=0)
    return picture(pool)


@settings(max_examples=50, deadline=None)
@given(st.permutations([place for place, events in HISTORY.items() for _ in events]), st.integers(0, 2**32))
def test_any_interleaving_and_any_redelivery_give_the_same_state(order: list[tuple[str, int]], seed: int) -> None:
    """Partitions may be read in any order, and stretches of them again."""
    straight = fold(list(HISTORY))
    assert fold(order) == straight
    assert fold(order, redelivered=random.Random(seed)) == straight


@pytest.mark.parametrize("seed", range(12))
def test_a_world_of_crashing_agents_and_dispatchers_gets_all_its_work_done(seed: int) -> None:
    """Every job ends finished, no two live incarnations ever hold one under one term, and what waits by index waits by a walk."""
    world = World(random.Random(seed))
    for _ in range(3000):
        world.tick()
        if world.finished():
            break
    assert world.finished()


def waiting_jobs(pool: Pool) -> set[str]:
    """The jobs that the pool's index says can be leased."""
    return {item.job.job_id for line in pool._lines.all() for item in line.queue}


def walked(pool: Pool, now_us: int) -> set[str]:
    """The same, found by a walk over everything that was ever told: what the index must always agree with."""
    found: set[str] = set()
    for entry in pool.entries.values():
        lease, work = entry.lease, entry.job
        if work is None or entry.over or pool._run(work.run_id).over or pool._held(entry, now_us):
            continue
        met = all(pool.entries[needed].over == "finished" for needed in work.depends_on)
        pausing = lease and lease.ended == "failed" and now_us < lease.ended_us + pause_us(lease.attempt)
        if met and not pausing:
            found.add(entry.job_id)
    return found


class World:
    """Simulated agents that work, crash and come back, under dispatchers that are replaced now and then."""

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.now = chance, SECOND
        self.log: list[tuple[str, Event]] = [
            ("planned", planned(job(f"j{i}", run=run_named(i % 3), depends_on=(f"j{i - 6}",) if i > 8 else ()))) for i in range(12)
        ]
        self.agents: dict[str, dict[str, object]] = {name: self.born(1) for name in "abc"}
        self.term, self.pool = 0, self.rebuilt()

    def born(self, incarnation: int) -> dict[str, object]:
        """A fresh agent."""
        return {"incarnation": incarnation, "sequence": 0, "job": None, "attempt": 0, "left": 0, "away": 0}

    def rebuilt(self) -> Pool:
        """A new dispatcher that has read the log."""
        pool = Pool("default", lease_us=3 * SECOND, max_attempts=10_000)
        for offset, (_, event) in enumerate(self.log):
            pool.fold(event, partition=0, offset=offset, written_us=0, at_us=0)
        pool.took_over(now_us=self.now)
        return pool

    def write(self, topic: str, event: Event) -> None:
        """Appends to the log and tells the dispatcher."""
        self.log.append((topic, event))
        self.pool.fold(event, partition=0, offset=len(self.log), written_us=self.now, at_us=self.now)

    def tick(self) -> None:
        """Half a second."""
        self.now += SECOND // 2
        if self.chance.random() < 0.02:
            self.term += 1
            self.pool = self.rebuilt()
        for name, agent in self.agents.items():
            self.live(name, agent)
        decisions = self.pool.decide(now_us=self.now)
        assert waiting_jobs(self.pool) == walked(self.pool, self.now)
        for decision in decisions:
            self.obey(decision)

    def live(self, name: str, agent: dict[str, object]) -> None:
        """An agent beats, works, or dies and comes back as another incarnation."""
        if agent["away"]:
            agent["away"] = int(str(agent["away"])) - 1
            return
        if self.chance.random() < 0.03:
            self.agents[name] = self.born(int(str(agent["incarnation"])) + 1) | {"away": self.chance.randrange(1, 12)}
            return
        work = agent["job"]
        if isinstance(work, Job):
            agent["left"] = int(str(agent["left"])) - 1
            if agent["left"] == 0:
                agent["job"] = None
                state = "failed" if self.chance.random() < 0.1 else "finished"
                self.write("status", changed(work, state, attempt=int(str(agent["attempt"]))))
        agent["sequence"] = int(str(agent["sequence"])) + 1
        running = (
            (Running(job_id=work.job_id, attempt=int(str(agent["attempt"]))),)
            if isinstance(agent["job"], Job) and isinstance(work, Job)
            else ()
        )
        self.write("beats", beat(name, incarnation=int(str(agent["incarnation"])), sequence=int(str(agent["sequence"])), running=running))

    def obey(self, decision: object) -> None:
        """Writes what the dispatcher decided; the agent takes it if it is still that incarnation."""
        if isinstance(decision, Step):
            self.write("runs", RunChanged(occurred_us=0, producer=STAMP, run_id=decision.run_id, state=decision.state))
        if not isinstance(decision, Release):
            return
        lease = released(decision.job, agent=decision.agent_id, attempt=decision.attempt, term=self.term, incarnation=decision.incarnation)
        self.write("jobs", lease)
        agent = self.agents[decision.agent_id]
        if agent["incarnation"] == decision.incarnation and not agent["away"]:
            holders = [
                a for a in self.agents.values() if isinstance(a["job"], Job) and a["job"].job_id == decision.job.job_id and not a["away"]
            ]
            assert not holders, "two live incarnations hold one job"
            agent |= {"job": decision.job, "attempt": decision.attempt, "left": self.chance.randrange(1, 8)}

    def finished(self) -> bool:
        """Every job is."""
        return all(entry.over == "finished" for entry in self.pool.entries.values())
