"""Agents by their heartbeats: which incarnation of a name is the newest, also where somebody else sends some."""

from streams.queue.crew import IN_A_ROW, Crew
from tests.pool import beat

HUGE = 2**63 - 1


def heard(*incarnations: int) -> Crew:
    """A crew that heard agent a so, one heartbeat after the other."""
    crew = Crew()
    for at_us, incarnation in enumerate(incarnations, 1):
        crew.fold(beat("a", incarnation=incarnation, sequence=at_us), at_us=at_us)
    return crew


def newest(crew: Crew) -> int:
    """The incarnation of agent a that is listened to."""
    return crew.agents["a"].beat.incarnation


def test_the_newest_is_whose_first_heartbeat_lies_last() -> None:
    """A former one that speaks beside it is not listened to, however often."""
    assert newest(heard(7, 4)) == 4
    assert newest(heard(7, 4, *[7, 4] * IN_A_ROW, 7)) == 4


def test_a_huge_sequence_does_not_silence_an_agent() -> None:
    """What it says next is heard."""
    crew = heard(7)
    crew.fold(beat("a", incarnation=7, sequence=HUGE), at_us=5)
    assert crew.fold(beat("a", incarnation=7, sequence=3, draining=True), at_us=9)
    assert crew.agents["a"].heard_us == 9 and crew.agents["a"].beat.draining


def test_one_heartbeat_in_an_agents_name_does_not_silence_it_for_ever() -> None:
    """After a few in a row it is listened to again, and the other is the former one."""
    crew = heard(7, HUGE, *[7] * (IN_A_ROW - 1))
    assert newest(crew) == HUGE and crew.replaced("a", 7)
    crew.fold(beat("a", incarnation=7), at_us=20)
    assert newest(crew) == 7 and not crew.replaced("a", 7) and crew.replaced("a", HUGE)
