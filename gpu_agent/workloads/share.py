"""What one of several processes sends of a load, and what they have in common: when they begin, and how many requests are under way."""

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from gpu_agent.workloads.schedule import Schedule

COUNT = struct.Struct("=q")


@dataclass(frozen=True, slots=True)
class Share:
    """The requests `number`, `number` + `of`, `number` + 2 `of` and so on of a load; chats whole.

    `begin` waits until all processes may begin a phase, and gives the moment by the clock that they share (`perf_counter_ns`). `counts`:
    how many requests each process has under way, 8 bytes each, in memory that all of them see.
    """

    number: int = 0
    of: int = 1
    begin: Callable[[], int] = time.perf_counter_ns
    counts: memoryview | None = None

    def own(self, planned: Schedule) -> Schedule:
        """The part of a schedule that is this process's."""
        warmup, steady = planned
        return warmup[self.number :: self.of], islice(steady, self.number, None, self.of)

    def places(self, whole: int | None) -> int | None:
        """How many of a closed load's places are this process's; None for an open load, which has none."""
        return None if whole is None else whole // self.of + (self.number < whole % self.of)

    def under_way(self, own: int) -> int:
        """How many requests are under way in all processes, where this one has so many."""
        if self.counts is None:
            return own
        COUNT.pack_into(self.counts, self.number * COUNT.size, own)
        return sum(count for (count,) in COUNT.iter_unpack(self.counts))


ALL = Share()
