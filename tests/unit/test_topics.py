"""Topics, bitsets and run states."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import EVENTS
from schemas.event import Producer
from schemas.runs import RunChanged, RunState
from streams import topics
from streams.queue import bits
from streams.runs import TERMINAL, state_of
from tests.runs import run_named

R = run_named("r")

numbers = st.sets(st.integers(0, 600))
states = st.sampled_from(["planned", "rejected", "running", "completed", "failed", "cancelled"])


def test_every_event_has_one_topic_and_every_topic_one_event() -> None:
    """One event type a topic."""
    assert {topic.event for topic in topics.TOPICS} == set(EVENTS.values())
    assert len({topic.event for topic in topics.TOPICS}) == len(topics.TOPICS)


def test_a_topic_is_found_by_its_name() -> None:
    """Job topics of any pool included; anything else is no topic."""
    assert topics.topic_named("assay.jobs.big.v1") == topics.jobs_topic("big")
    assert all(topics.topic_named(topic.name) == topic for topic in topics.TOPICS)
    assert topics.topic_named("assay.nothing.v1") is None


@given(numbers, numbers)
def test_a_bitset_is_a_set(left: set[int], right: set[int]) -> None:
    """Packing, union and count are those of the set."""
    both = bits.union(bits.pack(left), bits.pack(right))
    assert (set(bits.unpack(both)), bits.count(both)) == (left | right, len(left | right))


@given(st.lists(states, max_size=8))
def test_the_first_terminal_state_wins(wanted: list[RunState]) -> None:
    """Whatever else is written to a run, what ended it first stays."""
    stamp = Producer(service="test", version="0")
    changes = [RunChanged(occurred_us=i, producer=stamp, run_id=R, state=state) for i, state in enumerate(wanted)]
    for cut in range(len(changes)):
        if (state := state_of(changes[:cut])) in TERMINAL:
            assert state_of(changes) == state
