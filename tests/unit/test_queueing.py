"""The queue policy: deterministic, work-conserving; affinity breaks no priority. What it does over time: tests/simulation."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.jobs import AgentBeat, Device, Need
from streams.queue import lines
from streams.queue.lines import LineKey, Lines, Waiting, lines_of
from streams.queue.queueing import assign, unfit
from tests.pool import NOW, POLICY, beat, waiting
from tests.runs import run_named


def names(items: list[Waiting], agents: list[AgentBeat], *, running: dict[str, int] | None = None, now: int = NOW) -> list[tuple[str, str]]:
    """Who gets what."""
    pairs = assign(lines_of(items), agents, running=running or {}, now_us=now, policy=POLICY)
    return [(item.job.job_id, agent.agent_id) for item, agent in pairs]


@st.composite
def queues(draw: st.DrawFn) -> list[Waiting]:
    """Any jobs that wait."""
    few = st.integers(0, draw(st.integers(0, 3)))
    return [
        waiting(
            f"j{age}", age, gib=draw(few), devices=draw(st.integers(0, 1)), priority=draw(few), submitter=f"s{draw(few)}",
            model=f"m{draw(few)}", run=run_named(draw(few)), since=draw(st.integers(NOW - 100, NOW)),
            deadline=draw(st.sampled_from([None, None, NOW + 5, NOW + 30])), after=draw(st.none() | st.just("a0")),
        )
        for age in range(draw(st.integers(0, 12)))
    ]  # fmt: skip


@st.composite
def crews(draw: st.DrawFn) -> list[AgentBeat]:
    """Any agents that are free."""
    device = Device(uuid="d", name="d", memory_bytes=3 * 2**30)
    return [
        beat(f"a{n}", gib=draw(st.integers(0, 3)), held=draw(st.sampled_from([(), ("m0@",), ("m1@", "m2@")])),
             devices=(device,) * draw(st.integers(0, 1)), draining=draw(st.booleans()))
        for n in range(draw(st.integers(0, 6)))
    ]  # fmt: skip


@given(queues(), crews(), st.randoms(use_true_random=False))
def test_any_order_of_the_inputs_gives_the_same(items: list[Waiting], agents: list[AgentBeat], chance: random.Random) -> None:
    """Deterministic: what counts is what is said, not when it came."""
    straight = names(items, agents)
    chance.shuffle(items)
    chance.shuffle(agents)
    assert names(items, agents) == straight


@given(queues(), crews())
def test_no_agent_stays_free_while_a_job_waits_that_it_fits(items: list[Waiting], agents: list[AgentBeat]) -> None:
    """Work-conserving; and what is leased fits, once each."""
    pairs = names(items, agents)
    need, crew = {item.job.job_id: item.job.need for item in items}, {agent.agent_id: agent for agent in agents}
    jobs, taken = [name for name, _ in pairs], [name for _, name in pairs]
    assert len(set(jobs)) == len(set(taken)) == len(pairs)
    assert all(unfit(need[name], crew[agent]) is None for name, agent in pairs)
    assert all(unfit(need[name], crew[agent]) for name in need.keys() - set(jobs) for agent in crew.keys() - set(taken))


def level(item: Waiting, top: int) -> int:
    """Priority and age, as the policy's text has it."""
    return min(top, item.job.priority + (NOW - item.since_us) // POLICY.ageing_us)


@given(queues(), st.integers(1, 6), st.sampled_from(["m0@", "m1@"]))
def test_affinity_breaks_no_priority(items: list[Waiting], agents: int, held: str) -> None:
    """Where all agents fit all jobs, no line waits whose head has a higher level than a head that was leased."""
    crew = [beat(f"a{n}", gib=3, held=(held,), devices=(Device(uuid="d", name="d", memory_bytes=3 * 2**30),)) for n in range(agents)]
    heads = {line.queue[0].job.job_id: line.queue[0] for line in lines_of(items)}
    leased = {name for name, _ in names(items, crew)}
    top = max((item.job.priority for item in items), default=0)
    levels = {name: level(head, top) for name, head in heads.items()}
    left = [levels[name] for name in heads.keys() - leased]
    assert all(levels[name] >= max(left, default=0) for name in heads.keys() & leased)


def test_priority_then_share_then_deadline_then_age() -> None:
    """The figures of a rank, in their order."""
    old, other = waiting("old", 0), waiting("other", 1, submitter="you")
    late, soon = waiting("late", 2, deadline=NOW + 40), waiting("soon", 3, deadline=NOW + 20)
    urgent = waiting("urgent", 4, priority=1)
    one = [beat("a")]
    assert names([old, other, late, soon, urgent], one, running={"me": 3}) == [("urgent", "a")]
    assert names([old, other, late, soon], one, running={"me": 3}) == [("other", "a")]
    assert names([old, late, soon], one) == [("soon", "a")]
    assert names([old, late], one) == [("late", "a")]
    assert names([old, waiting("new", 5)], one) == [("old", "a")]


def test_a_deadline_in_ten_years_puts_nobody_first() -> None:
    """Who names none is due after the policy's patience: only what is due before that goes first."""
    assert names([waiting("old", 0, since=NOW - 1), waiting("far", 1, deadline=NOW * 10**6)], [beat("a")]) == [("old", "a")]


def test_the_model_that_an_agent_holds_goes_first_among_equals() -> None:
    """From both sides: the line whose model is held, and the agent that holds it."""
    items = [waiting("x", 0, model="x"), waiting("y", 1, model="y")]
    assert names(items, [beat("a", held=("y@",))]) == [("y", "a")]
    assert names(items[:1], [beat("a"), beat("b", held=("x@",))]) == [("x", "b")]


def test_a_job_leaves_room_and_models_to_those_who_want_them() -> None:
    """It takes the smallest agent that fits, and none that holds a model that others wait for, where there is another."""
    assert names([waiting("x", gib=1)], [beat("a", gib=80), beat("b", gib=8)]) == [("x", "b")]
    wanted = [waiting("x", 0, model="x", priority=1), waiting("y", 1, model="y")]
    assert names(wanted, [beat("a", held=("y@",)), beat("b", held=("z@",))]) == [("x", "b"), ("y", "a")]


def test_a_job_goes_to_another_agent_than_the_one_it_failed_on() -> None:
    """Unless there is no other, even from one that holds its model."""
    failed = waiting("x", after="a")
    assert names([failed], [beat("a", held=("m@",)), beat("b")]) == [("x", "b")]
    assert names([failed], [beat("a")]) == [("x", "a")]


def test_who_is_due_does_not_wait_for_the_end_of_a_slice() -> None:
    """A line that an agent is at gives way to one whose time has come, and to nothing else."""
    (at_it,) = lines_of([waiting("at it", 1, model="x", since=0)])
    at_it.served_us = NOW
    for since, first in ((NOW - 50, "due"), (NOW - 40, "at it")):
        (other,) = lines_of([waiting("due", 0, model="y", since=since, priority=0)])
        ((item, _),) = assign([at_it, other], [beat("a", held=("x@",))], running={}, now_us=NOW, policy=replace(POLICY, ageing_us=100))
        assert item.job.job_id == first


@given(served=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=80))
def test_of_many_lines_those_served_last_are_remembered(served: list[tuple[int, int]]) -> None:
    """In whatever order it is read that they were served: of each line the latest counts."""
    latest = dict[LineKey, int]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "MARKS", 4)
        told = Lines()
        for number, at_us in served:
            told.served(line(number), at_us=at_us)
            latest[line(number)] = max(at_us, latest.get(line(number), 0))
    newest = sorted(latest, key=lambda key: (latest[key], repr(key)))[-4:]
    assert told.marks == {key: latest[key] for key in newest}


def test_what_a_lease_costs_does_not_go_with_the_lines_that_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run with a deadline of its own has its own line: a start without a snapshot reads the leases of all of them."""
    named, once = 0, LineKey.__repr__

    def counted(key: LineKey) -> str:
        nonlocal named
        named += 1
        return once(key)

    monkeypatch.setattr(LineKey, "__repr__", counted)
    monkeypatch.setattr(lines, "MARKS", 50)
    told = Lines()
    for number in range(500):
        told.served(line(number), at_us=number)
    assert len(told.marks) == 50 and named <= 500


def line(number: int) -> LineKey:
    """A line of its own."""
    return LineKey("s", 0, "m@", Need(), number)
