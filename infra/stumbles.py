"""Where a processor has ended over a record, kept beside its snapshots: who ends twice at one place passes it by the third time.

Of a process that hung nobody knows over which record of its batch: whoever starts next takes them one by one.
A cache like the snapshots are: without it a process that stumbles starts counting anew.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence

import structlog

from infra.kafka import Place
from infra.settings import Settings
from infra.storage import Storage

MOST = 5000


class Stumbles:
    """How often a worker has ended over which records, and how often it has hung over them."""

    def __init__(self, settings: Settings, *, worker: str) -> None:
        self._storage = Storage(settings)
        self._path = f"{worker}/stumbles"
        self._before = self._read()

    async def count(self, place: Place) -> int:
        """How often this record has been noted."""
        return (await asyncio.to_thread(self._read)).get(_key(place), 0)

    async def note(self, place: Place) -> None:
        """The process ends over this record."""
        await asyncio.to_thread(self._note, [_key(place)], 1)

    def hangs(self, place: Place) -> int | None:
        """How often a process before this one has hung with nothing else than this record in hand; None: never with it in hand at all."""
        return self._before.get(_hung(place))

    def note_hung(self, places: Sequence[Place]) -> None:
        """The process hangs with these in hand."""
        self._note([_hung(place) for place in places], int(len(places) == 1))

    def _note(self, keys: Sequence[str], more: int) -> None:
        found = dict(self._read())
        found |= {key: found.pop(key, 0) + more for key in keys}  # to the end: the newest are kept
        try:
            self._storage.write(self._path, json.dumps(dict(list(found.items())[-MOST:])).encode())
        except OSError as error:
            structlog.get_logger().warning("stumble not noted", places=keys[:1], why=str(error))

    def _read(self) -> Mapping[str, int]:
        try:
            told: Mapping[str, int] = json.loads(self._storage.read(self._path))
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}


def _key(place: Place) -> str:
    return f"{place.topic}/{place.partition}/{place.offset}"


def _hung(place: Place) -> str:
    return f"hung {_key(place)}"
