"""Names of very many runs: a set and a mapping of ids that takes little room."""

import hashlib
import tracemalloc
from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.trust import Stretch
from streams.names import Marks, Names
from streams.queue.requests import DIGEST_BYTES, Requests
from streams.settling.closed import Closed, Through
from streams.trust.sealed import Sealed, SealedRuns
from streams.trust.stretches import SEALED_TOPICS, packed, unpacked
from tests.runs import run_named

IDS = st.integers(0, 30).map(run_named) | st.binary(min_size=16, max_size=16).map(lambda told: str(UUID(bytes=told)))


@given(steps=st.lists(st.tuples(st.booleans(), IDS, st.binary(min_size=3, max_size=3))))
def test_marks_are_what_a_dict_is(steps: list[tuple[bool, str, bytes]]) -> None:
    """Whatever is put and dropped in whatever order; what was taken from them makes them again, and what was copied stays."""
    marks, plain = Marks(3), dict[str, bytes]()
    for puts, run_id, mark in steps:
        before, then = marks.copy(), dict(plain)
        if puts:
            marks.put(run_id, mark)
            plain[run_id] = mark
        else:
            marks.drop(run_id)
            plain.pop(run_id, None)
        for told, held in ((marks, plain), (before, then), (Marks(3, marks.taken()), plain), (Marks(3, marks.packed()), plain)):
            assert {one: told.get(one) for one in told} == held and len(told) == len(held)
        assert marks.packed() == b"".join(UUID(one).bytes + mark for one, mark in sorted(plain.items()))
        assert all((one in marks) == (one in plain) for _, one, _ in steps)


def test_what_is_no_id_is_in_no_set() -> None:
    """Nor does it make others like it members."""
    names = Names()
    for told in ("", "x", "run", "00", "ü"):
        names.add(told)
        assert told not in names and not names.holds(told.encode())
    names.add(run_named(1))
    assert names.holds(run_named(1).encode()) and not names.holds(None) and not names.holds(b"\xff" * 36)
    assert list(names) == [run_named(1)]


def of_a_set(count: int) -> object:
    """A set of so many names."""
    names = Names()
    for number in range(count):
        names.add(run(number))
    return names


def of_requests(count: int) -> object:
    """So many runs that were asked for, and are over."""
    requests = Requests()
    for number in range(count):
        requests.first.put(run(number), number.to_bytes(DIGEST_BYTES))
    return requests


def of_closed(count: int) -> object:
    """So many runs that are settled."""
    closed = Closed()
    for number in range(count):
        closed.put(run(number), number, frozenset({"1", "2"}))
    return closed


def run(number: int) -> str:
    """A run's id, quickly."""
    return str(UUID(bytes=number.to_bytes(6) + hashlib.sha256(number.to_bytes(8)).digest()[:10]))


def of_sealed(count: int) -> object:
    """So many runs that are sealed, each with records in nine topics."""
    sealed = SealedRuns()
    for number in range(count):
        places = [Stretch(topic=topic.name, partition=number % 4, first=number, end=number + 99) for topic in SEALED_TOPICS[:9]]
        sealed[run(number)] = Sealed(run(number + 1), "public", frozenset({"1"}), packed(places))
    return sealed


@pytest.mark.parametrize(("made", "each"), [(of_a_set, 22), (of_requests, 31), (of_closed, 36), (of_sealed, 210)])
def test_what_is_held_of_finished_runs_is_some_bytes(made: Callable[[int], object], each: int) -> None:
    """So many of each, however many there are."""
    for count in (5_000, 20_000):
        tracemalloc.start()
        held = made(count)
        used = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert held and used < each * count


def test_what_results_know_of_a_topic_is_told_while_a_state_is_made() -> None:
    """Of a run that has none, and of a topic that is none of them, nothing."""
    through = Through(("a", "b"))
    through.put(run_named(1), {"b": 7, "other": 3})
    assert [through.of(run_named(1), name) for name in ("a", "b", "other")] == [0, 7, 0]
    assert through.of(run_named(2), "b") == 0
    through.clear()
    assert through.of(run_named(1), "b") == 0


def test_versions_that_many_runs_were_closed_with_are_held_once() -> None:
    """Over a picture and a snapshot; one that is open again is none of them."""
    closed = Closed()
    for number in range(4):
        closed.put(run_named(number), number or None, frozenset({"1"} if number % 2 else set()))
    picture = closed.copy()
    closed.drop(run_named(1))
    closed.put(run_named(2), 9, frozenset({"3"}))
    again = Closed.loaded(picture.told())
    assert [again.get(run_named(number)) for number in range(5)] == [
        (None, frozenset()), (1, frozenset({"1"})), (2, frozenset()), (3, frozenset({"1"})), None,
    ]  # fmt: skip
    assert closed.get(run_named(1)) is None and len(closed) == 3 and len(picture.told()["versions"]) == 2
    assert closed.get(run_named(2)) == (9, frozenset({"3"}))


def test_a_sealed_run_is_told_as_it_was_sealed_last() -> None:
    """Whatever its seal says; of a run that is not sealed nothing."""
    sealed = SealedRuns()
    places = [
        Stretch(topic=topic.name, partition=n, first=n * 2**32, end=n * 2**32 + 2**40)
        for n, topic in enumerate(reversed(SEALED_TOPICS))
    ]  # fmt: skip
    first = Sealed(run(7), "private", frozenset({"1", "2"}), packed(places))
    last = Sealed(run(8), "organisation", frozenset(), b"")
    for number, told in ((1, first), (2, last), (3, first), (3, last), (4, first)):
        sealed[run_named(number)] = told
    assert [sealed[run_named(number)] for number in (1, 2, 3, 4)] == [first, last, last, first]
    assert sealed.stretches(run_named(4)) == first.stretches and sealed.stretches(run_named(5)) is None
    assert set(sealed) == {run_named(number) for number in (1, 2, 3, 4)} and len(sealed) == 4 and run_named(5) not in sealed
    with pytest.raises(KeyError):
        sealed[run_named(5)]
    assert sorted(unpacked(first.stretches).told(), key=str) == sorted(places, key=str)
