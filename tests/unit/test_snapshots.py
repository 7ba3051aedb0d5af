"""A snapshot is a cache: what keeps it from being written costs a line, and ends nobody."""

import asyncio
from pathlib import Path

import pytest

from infra.kafka import Log
from infra.settings import Settings
from infra.snapshots import Snapshots
from streams.errors import Unavailable


class Away(Log):
    """A log whose broker is not there when it is asked for its cluster."""

    async def cluster(self) -> str:
        """Raises: Unavailable."""
        raise Unavailable("the Kafka broker does not answer")


class There(Log):
    """A log of a known cluster."""

    async def cluster(self) -> str:
        """Its id."""
        return "c"


def test_a_snapshot_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Its places and its state."""
    settings = Settings(home=tmp_path)
    snapshots = Snapshots(There(settings, client_id="test"), settings, processor="p", version="1")

    async def act() -> None:
        await snapshots.save("0", {("t", 3): 7}, b"state")
        found = await snapshots.load("0")
        assert found is not None and (found.offsets, found.state) == ({("t", 3): 7}, b"state")

    asyncio.run(act())


@pytest.mark.parametrize("blocked", [False, True])
def test_a_snapshot_that_cannot_be_written_ends_nobody(tmp_path: Path, blocked: bool) -> None:
    """While the broker is away, and while storage is."""
    (tmp_path / "file").touch()
    settings = Settings(home=tmp_path / "file" if blocked else tmp_path)
    log = There(settings, client_id="test") if blocked else Away(settings, client_id="test")
    snapshots = Snapshots(log, settings, processor="p", version="1")

    async def act() -> None:
        await snapshots.save("0", {("t", 3): 7}, b"state")

    asyncio.run(act())
