"""Where a processor has ended over a record, kept beside its snapshots: who ends twice at one place passes it by the third time.

Of a process that hung, or was killed, nobody knows over which record of its batch: whoever starts next takes those one by one. Whom
somebody killed may have been killed for anything: it takes ten of them where two that hung, or died of a fault of their own, are enough.
Each process writes an object of its own, so that workers beside one another lose nothing of each other; what counts is what all of
them say.
A cache like the snapshots are: without it a process that stumbles starts counting anew.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from uuid import uuid4

import structlog

from infra.in_hand import Held, in_hand_of, left_by_the_dead
from infra.kafka.records import Place
from infra.settings import Settings
from infra.storage import Storage

MOST = 5000
MOST_TOLD = 50  # processes whose notes are kept, the newest
HANDLED = "handled "
SURE = 5


class Stumbles:
    """How often a worker has ended over which records, and how often it has hung, or was killed, over them."""

    def __init__(self, settings: Settings, *, worker: str) -> None:
        self._storage = Storage(settings)
        self._folder = f"{worker}/stumbles"
        self._path = f"{self._folder}/{time.time_ns():020d}-{uuid4().hex[:8]}"
        self._noted = Counter[str]()
        here = settings.home / "in-hand" / worker
        self.hands = in_hand_of(here)
        for left in left_by_the_dead(here):
            first = [one.keys[0] for one in left.held if one.keys]
            structlog.get_logger().warning("a process was killed with these in hand", first=first, fault=left.fault)
            self._note_held(left.held, SURE if left.fault else 1)
        self._before = self._read()

    @property
    def works(self) -> bool:
        """The process is at something by itself, as decoding: what is handled may wait for others, and a thread has its own pulse."""
        return any(_works(one) for one in self.hands.held if one.pulse is None)

    async def count(self, place: Place) -> int:
        """How often this record has been noted."""
        return (await asyncio.to_thread(self._read)).get(key_of(place), 0)

    async def note(self, place: Place) -> None:
        """The process ends over this record."""
        await asyncio.to_thread(self._note, [key_of(place)], 1)

    def hangs(self, key: str) -> int | None:
        """How sure it is that processes before this one ended over this; None: they never had it in hand.

        One that hung or died of a fault of its own over it alone says it as surely as so many (SURE) that somebody killed.
        """
        return self._before.get(key)

    @property
    def suspects(self) -> bool:
        """A process before this one ended over something, or near it."""
        return bool(self._before)

    @property
    def condemned(self) -> list[str]:
        """All over which two processes before this one hung, or died."""
        return [key for key, times in self._before.items() if times >= 2 * SURE]

    def note_hung(self, at: Sequence[str]) -> None:
        """The process hangs at one of these; where there are none, with what it has in hand."""
        self._note_held([Held(at)] if at else [one for one in self.hands.held if one.pulse is None], SURE)

    def note_sure(self, key: str) -> None:
        """This is what processes end over: it was tried."""
        self._note([key], 2 * SURE)

    def _note_held(self, held: Sequence[Held], times: int) -> None:
        """What is handled waits for what is worked at: where there is such a thing, that is where the process stood."""
        for one in [one for one in held if _works(one)] or held:
            self._note(one.keys, times if len(one.keys) == 1 and not one.near else 0)

    def _note(self, keys: Sequence[str], more: int) -> None:
        for key in keys:
            self._noted[key] = self._noted.pop(key, 0) + more  # to the end: the newest are kept
        try:
            self._storage.write(self._path, json.dumps(dict(list(self._noted.items())[-MOST:])).encode())
            for name in self._storage.names(self._folder)[:-MOST_TOLD]:
                self._storage.remove(f"{self._folder}/{name}")
        except OSError as error:
            structlog.get_logger().warning("stumble not noted", places=list(keys[:1]), why=str(error))

    def _read(self) -> Mapping[str, int]:
        found = Counter[str]()
        for name in self._storage.names(self._folder):
            try:
                for key, times in json.loads(self._storage.read(f"{self._folder}/{name}")).items():
                    found[key] += int(times)  # also of none: it was in hand
            except (OSError, ValueError, TypeError, AttributeError):
                continue
        return found


def _works(one: Held) -> bool:
    return not one.near and not any(key.startswith(HANDLED) for key in one.keys[:1])


def key_of(place: Place) -> str:
    """A record's name in notes."""
    return f"{place.topic}/{place.partition}/{place.offset}"
