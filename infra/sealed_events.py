"""The events of a run as a seal is over them, read from the log one at a time: canonical bytes, in its stretches' order, or decoded."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any

from infra.kafka import Ends, Log
from infra.partitioning import partition_for
from schemas.codec import Undecodable
from schemas.event import Event
from schemas.trust import SEALS_KEY, RunSealed, Stretch
from streams.topics import SEALS
from streams.trust.merkle import Tree, leaf_hash
from streams.trust.stretches import run_of_key


async def leaves(log: Log, run_id: str, stretches: Iterable[Stretch]) -> AsyncGenerator[tuple[bytes, dict[str, Any]], None]:
    """The canonical bytes of each of the run's events, with its schema; what is no event (a dead letter says so) is none of it.

    Raises: Permanent where records are gone from the log, Unavailable.
    """
    async with aclosing(log.messages(stretches)) as messages:
        async for message in messages:
            if message.key is not None and run_of_key(message.key) != run_id:
                continue
            try:
                if message.key is None and not await _is_of(log, run_id, message.topic, message.value or b""):
                    continue
                yield await log.canonical(message.topic, message.value or b"")
            except Undecodable:
                continue


async def tree_of(log: Log, run_id: str, stretches: Iterable[Stretch]) -> Tree:
    """The Merkle tree over the run's events. Raises: as `leaves`."""
    tree = Tree()
    async with aclosing(leaves(log, run_id, stretches)) as found:
        async for leaf, _ in found:
            tree.add(leaf_hash(leaf))
    return tree


async def events(log: Log, run_id: str, stretches: Iterable[Stretch]) -> AsyncGenerator[Event, None]:
    """The run's events in some stretches, decoded. Raises: as `leaves`."""
    async with aclosing(log.messages(stretches)) as messages:
        async for message in messages:
            if message.key is not None and run_of_key(message.key) == run_id:
                try:
                    yield await log.decode(message.topic, message.value or b"")
                except Undecodable:
                    continue


async def _is_of(log: Log, run_id: str, topic: str, payload: bytes) -> bool:
    """A record without a key, as foreign producers may send requests, is its event's run's."""
    return run_id == run_of_key((await log.decode(topic, payload)).partition_key())


async def seals(log: Log, *, since: int = 0, ends: Ends | None = None) -> AsyncGenerator[tuple[int, RunSealed], None]:
    """Every seal in the log's order, from that offset on to these ends (now, where none are given), each with its own offset.

    They lie in one partition. Raises: Unavailable.
    """
    ends = ends or await log.ends([SEALS])
    at = (SEALS.name, partition_for(SEALS_KEY, sum(topic == SEALS.name for topic, _ in ends)))
    if since >= ends[at]:
        return
    async with aclosing(log.follow([SEALS], since={at: since}, until={at: ends[at]})) as records:
        async for record in records:
            if isinstance(record.event, RunSealed):
                yield record.place.offset, record.event
