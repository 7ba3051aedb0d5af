"""Where a processor has ended over a record, kept beside its snapshots: who ends twice at one place passes it by the third time.

A cache like they are: without it a process that stumbles starts counting anew.
"""

import asyncio
import json
from collections.abc import Mapping

import structlog

from infra.kafka import Place
from infra.settings import Settings
from infra.storage import Storage

MOST = 1000


class Stumbles:
    """How often a worker has ended over which records."""

    def __init__(self, settings: Settings, *, worker: str) -> None:
        self._storage = Storage(settings)
        self._path = f"{worker}/stumbles"

    async def count(self, place: Place) -> int:
        """How often this record has been noted."""
        return (await self._read()).get(_key(place), 0)

    async def note(self, place: Place) -> None:
        """The process ends over this record."""
        found = dict(await self._read())
        found[_key(place)] = found.get(_key(place), 0) + 1
        newest = dict(list(found.items())[-MOST:])
        try:
            await asyncio.to_thread(self._storage.write, self._path, json.dumps(newest).encode())
        except OSError as error:
            structlog.get_logger().warning("stumble not noted", place=place, why=str(error))

    async def _read(self) -> Mapping[str, int]:
        try:
            told: Mapping[str, int] = json.loads(await asyncio.to_thread(self._storage.read, self._path))
        except (OSError, ValueError):
            return {}
        return told


def _key(place: Place) -> str:
    return f"{place.topic}/{place.partition}/{place.offset}"
