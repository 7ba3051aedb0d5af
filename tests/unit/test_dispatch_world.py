"""A pool's state is the log's, whoever folds it and however; and a world of crashing agents and dispatchers gets all its work done."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from schemas.jobs import DispatcherTook
from streams.queue.dispatch import Pool
from streams.queue.keeping import dumped, loaded, picture
from streams.queue.leases import pause_us
from tests.world import Log, World, beats_aside, empty, straight, tell, tell_again, visible

SEEDS = st.integers(0, 2**32)


def lived(seed: int, *, forging: bool) -> World:
    """A world whose work was all done."""
    world = World(random.Random(seed), forging=forging)
    for _ in range(4000):
        world.tick()
        if world.finished():
            return world
    raise AssertionError(f"world {seed} has not done its work: {[agent.job for agent in world.agents.values()]}")


def disturbed(log: Log, chance: random.Random) -> Pool:
    """A fold of partitions in any order, stretches of them again, kept and taken up again at any point."""
    pool, left = empty(), {at: 0 for at in log}
    while left:
        at = chance.choice(sorted(left))
        offset = chance.randrange(left[at] + 1) if chance.random() < 0.2 else left[at]
        tell_again(pool, log, at, offset, at_us=0)
        left[at] = max(left[at], offset + 1)
        if left[at] == len(log[at]):
            del left[at]
        if chance.random() < 0.02:
            pool = loaded(dumped(picture(pool)), empty())
    return pool


def at_a_moment(world: World, chance: random.Random) -> Log:
    """The log as it was at some moment, in the midst of the work."""
    lengths = Counter(world.order[: chance.randrange(1, len(world.order))])
    return {at: world.log[at][:length] for at, length in lengths.items()}


def read_in_part(log: Log, chance: random.Random) -> Log:
    """The log as one may have read it who is further in some partitions than in others."""
    return {at: events[: chance.randrange(1, len(events) + 1)] for at, events in log.items()}


@given(SEEDS, st.booleans())
def test_any_interleaving_redelivery_snapshot_and_takeover_give_the_state_of_an_undisturbed_fold(seed: int, forging: bool) -> None:
    """All of it is compared: entries, leases, lines, limits, runs, agents, money, delays, the succession; also where terms are forged."""
    world, chance = lived(seed, forging=forging), random.Random(seed)
    moments = [at_a_moment(world, chance) for _ in range(3)]
    for log in (world.log, *moments, read_in_part(moments[0], chance)):
        expected = visible(straight(log))
        assert visible(disturbed(log, chance)) == expected
        assert visible(loaded(dumped(picture(straight(log))), empty())) == expected
    for dispatcher in world.dispatchers:
        while any([tell(dispatcher.pool, world.log, at, at_us=world.now) for at in world.log]):
            pass
        assert visible(loaded(dumped(picture(dispatcher.pool)), empty())) == visible(straight(world.log))
        assert (
            not dispatcher.pool.entries and not dispatcher.pool.runs and not dispatcher.pool.money.runs and not dispatcher.pool.unended.jobs
        )


@given(SEEDS)
def test_no_step_of_the_wall_clock_changes_what_is_leased_and_lost(seed: int) -> None:
    """The same world, once with clocks that jump by hours and once without: the same leases, reports and steps in the same order."""
    calm, turned = (World(random.Random(seed), turns=turns) for turns in (0.0, 0.3))
    for _ in range(50):
        calm.tick()
        turned.tick()
    assert {at: told(calm.log, at) for at in calm.log} == {at: told(turned.log, at) for at in turned.log}


def told(log: Log, at: tuple[str, int]) -> list[str]:
    """What was said in a partition, its times aside. How long runs have waited is told by the wall clock."""
    return [event.event_id for event in beats_aside(log[at])] if "delays" not in at[0] else []


@given(SEEDS)
def test_a_healthy_dispatcher_is_never_deposed(seed: int) -> None:
    """While the one that has the pool lives, the other stands by, however the clocks jump."""
    world = World(random.Random(seed), turns=0.3, calm=True)
    for _ in range(30):
        world.tick()
    took = [event for events in world.log.values() for event, _ in events if isinstance(event, DispatcherTook)]
    assert len(took) <= 2  # both may find that there was never one


@given(SEEDS)
def test_the_index_of_what_waits_agrees_with_a_walk_over_everything(seed: int) -> None:
    """At every moment of a dispatcher's life."""
    world = World(random.Random(seed))
    for _ in range(40):
        world.tick()
        for dispatcher in world.dispatchers:
            pool = dispatcher.pool
            waiting = {item.job.job_id for line in pool.shelves.lines.all() for item in line.queue}
            # What time has changed since is known when it is decided next: a lease that was lost, a pause that is over.
            assert waiting <= walked(pool, world.now) <= waiting | pool.shelves.leased.keys() | pool.shelves.paused.keys()


def walked(pool: Pool, now_us: int) -> set[str]:
    """The jobs that can be leased, found by a walk over everything that is known."""
    found: set[str] = set()
    for entry in pool.entries.values():
        lease, work = entry.lease, entry.job
        if work is None or entry.over or not pool.runs[entry.run_id].runnable or pool.held(entry, now_us=now_us):
            continue
        met = all(needed in pool.entries and pool.entries[needed].over == "finished" for needed in work.depends_on)
        pausing = lease and lease.ended == "failed" and now_us < lease.ended_us + pause_us(lease.attempt)
        if met and not pausing:
            found.add(entry.job_id)
    return found
