"""What was read is kept by its use and its size; of a build only what is wanted is read."""

import asyncio
import tracemalloc
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.builds import held_bytes, samples_of
from infra.identity import producer
from infra.kafka import Log
from infra.kept import Kept
from infra.partitioning import partition_for
from schemas.builds import SampleBuilt
from schemas.jobs import BuildPlace
from schemas.released import released_codec
from tests.in_memory import InMemory

CODEC = released_codec()
# It shares a partition with build a.
BESIDE = next(name for name in map(str, range(99)) if partition_for(name.encode(), 4) == partition_for(b"a", 4))


def asked(kept: Kept[int, str], *keys: int) -> list[int]:
    """Which of the keys had to be read; a key's value is as long as the key says."""
    read: list[int] = []

    async def reading(key: int) -> str:
        read.append(key)
        return "x" * key

    async def act() -> None:
        for key in keys:
            assert await kept.of(key, lambda key=key: reading(key)) == "x" * key  # type: ignore[misc]  # mypy takes the default for no type

    asyncio.run(act())
    return read


def test_what_was_used_last_stays_as_long_as_there_is_room_for_it() -> None:
    """By weight: many small ones, or few large ones."""
    kept: Kept[int, str] = Kept(most_bytes=100, weigh=len)
    assert asked(kept, *range(1, 11), *range(1, 11)) == list(range(1, 11))
    assert asked(kept, 1, 60, 1, 10, 2) == [60, 2]
    assert asked(kept, 500, 500, 1) == [500, 1]


def test_what_is_kept_by_count_is_kept_by_use_too() -> None:
    """Not by arrival; and where nothing was found it is looked for again."""
    assert asked(Kept(2), 1, 2, 1, 3, 1, 2) == [1, 2, 3, 2]
    assert asked(Kept(2), 0, 0) == [0, 0]


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(0, 100))
def test_what_is_kept_never_weighs_more_than_it_may_but_for_one_that_is_larger_alone(keys: list[int], most: int) -> None:
    """Whatever is asked for, in whatever order."""
    kept: Kept[int, str] = Kept(most_bytes=most, weigh=len)
    for key in keys:
        asked(kept, key)
        assert kept.bytes <= max(most, key)


def sample(build: str, ordinal: int, *, requests: int = 1, size: int = 10) -> SampleBuilt:
    """A sample with so many requests and so large texts."""
    text = {"bytes": b"x" * size}
    asked = {"request_type": "loglikelihood", "context": text, "continuation": {"bytes": b"y"}}
    own = {"build_id": build, "ordinal": ordinal, "doc_id": 1, "document": text, "requests": [asked] * requests, "arguments_sha": "s"}
    return SampleBuilt.model_validate({"occurred_us": 1, "producer": producer("test")} | own)


@pytest.mark.parametrize(("requests", "size"), [(1, 100), (4, 100), (4, 1000), (1, 10_000)])
def test_the_memory_of_a_build_is_known_to_within_a_quarter(requests: int, size: int) -> None:
    """As the interpreter counts it."""
    written = [CODEC.encode(sample("b", n, requests=requests, size=size)) for n in range(100)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    made = {n: CODEC.decode(written[n], SampleBuilt) for n in range(100)}
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert 0.75 < held_bytes(made, {}) / taken < 1.33


def log_of(*builds: str, count: int) -> tuple[InMemory, BuildPlace]:
    """A log with builds that were written at the same time, and where the first of them lies: they share a partition."""
    log = InMemory()
    places = [log.write(sample(name, n)).place for n in range(count) for name in builds]
    assert len({place.partition for place in places}) == 1
    own = places[:: len(builds)]
    return log, BuildPlace(build_id=builds[0], task="t", partition=own[0].partition, first_offset=own[0].offset, last_offset=own[-1].offset)


def test_of_a_build_only_the_stretches_are_read_that_are_wanted() -> None:
    """Not what lies before, between and behind them."""
    log, place = log_of("a", count=3000)
    wanted = [5, 6, 30, 1500, 2990]
    found = asyncio.run(samples_of(cast("Log", log), place, wanted=wanted))  # as much of a log as it needs
    assert list(found) == wanted
    assert log.given == 26 + 1 + 1


@given(st.sets(st.integers(0, 39), min_size=1))
def test_samples_that_lie_among_those_of_others_are_found_all_the_same(wanted: set[int]) -> None:
    """And those that are not there are not waited for."""
    log, place = log_of("a", BESIDE, count=35)
    found = asyncio.run(samples_of(cast("Log", log), place, wanted=wanted))  # as much of a log as it needs
    assert {ordinal: one.ordinal for ordinal, one in found.items()} == {n: n for n in wanted if n < 35}
    assert asyncio.run(samples_of(cast("Log", log), place)).keys() == set(range(35))
