"""A snapshot is a cache: what keeps it from being written costs a line, and ends nobody."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from infra.kafka import Ends, Log
from infra.settings import Settings
from infra.snapshots import Snapshots
from infra.storage import Storage
from streams.errors import Unavailable
from streams.topics import RUNS, Topic


class Away(Log):
    """A log whose broker is not there when it is asked for its cluster."""

    async def cluster(self) -> str:
        """Raises: Unavailable."""
        raise Unavailable("the Kafka broker does not answer")


class There(Log):
    """A log of a known cluster, whose topics end somewhere."""

    end = 7

    async def cluster(self) -> str:
        """Its id."""
        return "c"

    async def ends(self, topics: Sequence[Topic]) -> Ends:
        """Of each of the topics' four partitions, the same."""
        return {(topic.name, n): self.end for topic in topics for n in range(4)}


def test_a_snapshot_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Its places and its state."""
    settings = Settings(home=tmp_path)
    snapshots = Snapshots(There(settings, client_id="test"), settings, processor="p", version="1")

    async def act() -> None:
        await snapshots.save("0", {(RUNS.name, 3): 7}, b"state")
        found = await snapshots.load("0")
        assert found is not None and (found.offsets, found.state) == ({(RUNS.name, 3): 7}, b"state")

    asyncio.run(act())


@pytest.mark.parametrize("partition", [3, 4])
def test_a_snapshot_of_a_log_that_ends_before_it_is_not_used(tmp_path: Path, partition: int) -> None:
    """Its topics were made anew, or it was cut: what came after would never be read."""
    settings = Settings(home=tmp_path)
    log = There(settings, client_id="test")
    snapshots = Snapshots(log, settings, processor="p", version="1")

    async def act() -> None:
        await snapshots.save("0", {(RUNS.name, partition): 7}, b"state")
        assert (await snapshots.load("0") is None) == (partition == 4)
        log.end = 6
        assert await snapshots.load("0") is None

    asyncio.run(act())


@pytest.mark.parametrize(("old", "new"), [(b"3, 7]", b"3, 6]"), (b'"shard": "0"', b'"shard": "1"'), (b'"p"', b'"q"'), (b'"c"', b'"d"')])
def test_a_snapshot_of_which_anything_was_changed_is_not_used(tmp_path: Path, old: bytes, new: bytes) -> None:
    """How far it has read and what it is of are in its sum, as its state is; nor is one used under another's name."""
    settings = Settings(home=tmp_path)
    snapshots = Snapshots(There(settings, client_id="test"), settings, processor="p", version="1")

    async def act() -> None:
        await snapshots.save("0", {(RUNS.name, 3): 7}, b"state")
        raw = Storage(settings).read("p/0")
        assert await snapshots.load("0") is not None
        Storage(settings).write("p/1", raw)
        Storage(settings).write("p/0", raw.replace(old, new, 1))
        assert old in raw
        assert (await snapshots.load("0"), await snapshots.load("1")) == (None, None)
        Storage(settings).write("p/1", raw.replace(b'"shard": "0"', b'"shard": "1"'))
        assert await snapshots.load("1") is None

    asyncio.run(act())


@pytest.mark.parametrize("blocked", [False, True])
def test_a_snapshot_that_cannot_be_written_ends_nobody(tmp_path: Path, blocked: bool) -> None:
    """While the broker is away, and while storage is."""
    (tmp_path / "file").touch()
    settings = Settings(home=tmp_path / "file" if blocked else tmp_path)
    log = There(settings, client_id="test") if blocked else Away(settings, client_id="test")
    snapshots = Snapshots(log, settings, processor="p", version="1")

    async def act() -> None:
        await snapshots.save("0", {(RUNS.name, 3): 7}, b"state")

    asyncio.run(act())
