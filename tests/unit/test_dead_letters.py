"""Dead letters and their requeuing, as a fold."""

import random

import pytest

from schemas.event import Producer
from schemas.released import released_codec
from schemas.trust import DeadLettered
from streams.errors import Conflict, NotFound
from streams.trust.dead_letters import bounded, check_requeue, chosen, letters, requeued, whole

CODEC = released_codec()
HERE = Producer(service="test", version="1")


def letter(offset: int, reason: str = "not-avro") -> DeadLettered:
    """A record that could not be read."""
    return DeadLettered(occurred_us=offset, producer=HERE, topic="assay.requests.v1", partition=0, offset=offset, reason_code=reason,
                        message="is no Avro", payload=b"{}")  # fmt: skip


def told(event: DeadLettered, place: str) -> DeadLettered:
    """What a requeue of it says."""
    return requeued(letters([event])[0], place=place, by="me", occurred_us=9, producer=HERE)


def test_a_letter_is_there_once_however_often_it_is_read() -> None:
    """Events are delivered again."""
    assert [one.event.offset for one in letters([letter(1), letter(2), letter(1)])] == [1, 2]


@pytest.mark.parametrize("turned", [False, True])
def test_a_requeued_letter_knows_its_new_place(turned: bool) -> None:
    """In whichever order the two are read: they may lie in other partitions."""
    events = [letter(1), told(letter(1), "assay.requests.v1/0@7"), letter(2)]
    found = {one.event.offset: one.requeued_as for one in letters(reversed(events) if turned else events)}
    assert found == {1: "assay.requests.v1/0@7", 2: None}


def test_a_second_requeue_is_refused_and_would_say_nothing_new() -> None:
    """The first place stays."""
    first, second = told(letter(1), "a/0@7"), told(letter(1), "a/0@8")
    assert first.event_id == second.event_id
    (found,) = letters([letter(1), first, second])
    assert found.requeued_as == "a/0@7"
    with pytest.raises(Conflict, match="was requeued before, as a/0@7"):
        check_requeue(found)


def test_a_letter_is_named_by_the_beginning_of_its_id() -> None:
    """As long as it is the only one."""
    known = letters([letter(offset) for offset in range(40)])
    assert chosen(known, known[3].letter_id[:12]) == known[3]
    with pytest.raises(NotFound, match="no dead letter 'zz'"):
        chosen(known, "zz")
    with pytest.raises(NotFound):
        chosen(known, "")
    shared = next(first for first in "0123456789abcdef" if sum(one.letter_id.startswith(first) for one in known) > 1)
    with pytest.raises(Conflict, match="write more of the id"):
        chosen(known, shared)


@pytest.mark.parametrize("size", [0, 1000, 1_900_000, 2_097_000, 5_000_000])
def test_a_letter_is_never_larger_than_a_record_and_tells_the_whole_of_what_it_holds_in_part(size: int) -> None:
    """Its origin has the rest: of that very record, or of none."""
    payload = random.Random(size).randbytes(size)
    made = bounded(letter(1).model_copy(update={"payload": payload, "message": "ü" * size}), most_bytes=2_000_000)
    assert len(CODEC.encode(made)) <= 2_000_000
    assert whole(made, origin=payload) == payload
    assert (made.payload == payload) == (made.payload_bytes is None) == (size < 2_000_000)
    if made.payload_bytes:
        for gone in (None, payload[1:]):
            with pytest.raises(NotFound, match=f"the first 65536 of its {size} bytes; whoever wrote it must write it again"):
                whole(made, origin=gone)
