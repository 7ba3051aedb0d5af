"""Snapshots: a processor's state as of some offsets, so that a start reads what came after them instead of all history.

A cache, never a record: whatever is wrong with one (another version of the fold, another log or one that ends before it, another shard's, a
sum that differs) throws it away, and the state is folded from the log.
"""

import asyncio
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from infra.kafka import Ends, Log
from infra.logging import frames
from infra.settings import Settings
from infra.storage import Storage
from streams.errors import Unavailable
from streams.topics import topic_named

FORMAT = 2
log_line = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state, and the next offset of every (topic, partition) that it has folded. `sha256`: of both, and of what it is a snapshot of."""

    offsets: Ends
    state: bytes
    sha256: str


class Snapshots:
    """The snapshots of one processor. `version` names the code of its fold: another version's snapshots are not read."""

    def __init__(self, log: Log, settings: Settings, *, processor: str, version: str) -> None:
        self._log = log
        self._storage = Storage(settings)
        self._processor = processor
        self._version = version

    async def load(self, shard: str) -> Snapshot | None:
        """The shard's snapshot; None, and a line in the log that says why, where there is none that counts."""
        try:
            header, state = await asyncio.to_thread(self._read, shard)
            offsets = {(topic, int(partition)): int(offset) for topic, partition, offset in header["offsets"]}
            why = self._wrong(header, state, shard) or await self._elsewhere(header["cluster"], offsets)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, zlib.error) as error:
            why = f"cannot be read: {error}"
        if why:
            log_line.warning("snapshot not used", processor=self._processor, shard=shard, why=why)
            return None
        return Snapshot(offsets, state, header["sha256"])

    def _wrong(self, header: Mapping[str, Any], state: bytes, shard: str) -> str | None:
        if (header["format"], header["version"]) != (FORMAT, self._version):
            return f"it is of version {header['version']} (form {header['format']}), not {self._version} ({FORMAT})"
        if (header["processor"], header["shard"]) != (self._processor, shard):
            return f"it is of {header['processor']}/{header['shard']}"
        return None if _sha256(header, state) == header["sha256"] else "its SHA-256 differs"

    async def _elsewhere(self, cluster: str, offsets: Ends) -> str | None:
        """Why it is of another log, where it is: of another cluster, or of one whose topics were made anew since, or cut."""
        if cluster != await self._log.cluster():
            return "it is of another log"
        topics = {name: topic_named(name) for name, _ in offsets}
        ends = await self._log.ends([topic for topic in topics.values() if topic])
        beyond = next((place for place, offset in offsets.items() if offset > ends.get(place, 0)), None)
        return f"{beyond[0]}/{beyond[1]} ends before offset {offsets[beyond]}, up to which it was read" if beyond else None

    async def save(self, shard: str, offsets: Mapping[tuple[str, int], int], state: bytes) -> None:
        """Writes the shard's snapshot in the place of the one before. Storage or a log that is away costs a line in the log, no more."""
        try:
            cluster = await self._log.cluster()
            await asyncio.to_thread(self._write, shard, cluster, offsets, state)
        except (OSError, Unavailable) as error:
            log_line.warning("snapshot not written", processor=self._processor, shard=shard, why=str(error))

    async def keep(self, shard: str, offsets: Mapping[tuple[str, int], int], take: Callable[[], Callable[[], bytes]]) -> None:
        """Writes the shard's snapshot: a picture of the state is taken now, its bytes are made in a thread.

        It is a cache: whatever keeps it from being taken, made or written costs a line in the log, and ends nothing.
        """
        try:
            offsets, write = dict(offsets), take()
            await self.save(shard, offsets, await asyncio.to_thread(write))
        except Exception as error:  # noqa: BLE001  # whoever starts next reads more of the log
            log_line.error("snapshot not written", processor=self._processor, shard=shard, error=frames(error))

    def _read(self, shard: str) -> tuple[dict[str, Any], bytes]:
        header, _, body = self._storage.read(f"{self._processor}/{shard}").partition(b"\n")
        return json.loads(header), zlib.decompress(body)

    def _write(self, shard: str, cluster: str, offsets: Mapping[tuple[str, int], int], state: bytes) -> None:
        header = {
            "format": FORMAT, "version": self._version, "cluster": cluster, "processor": self._processor, "shard": shard,
            "offsets": [[*place, offset] for place, offset in sorted(offsets.items())],
        }  # fmt: skip
        told = json.dumps(header | {"sha256": _sha256(header, state)}).encode()
        self._storage.write(f"{self._processor}/{shard}", told + b"\n" + zlib.compress(state, 1))


def _sha256(header: Mapping[str, Any], state: bytes) -> str:
    """The sum of all that a snapshot says but the sum itself."""
    told = json.dumps({name: value for name, value in header.items() if name != "sha256"}, sort_keys=True)
    return hashlib.sha256(told.encode() + b"\n" + state).hexdigest()
