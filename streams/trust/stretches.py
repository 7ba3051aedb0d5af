"""Which records are a run's, and where in the log they lie.

An event is of the run whose id its partition key is, or of whose job: so that who seals needs no more of most records than their keys.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from schemas.event import RUN_ID, Event
from schemas.results import RunScored, SampleNotScored, SampleScored, TaskStopped
from schemas.settled import RunSettled
from schemas.trust import Stretch
from streams import topics
from streams.topics import Topic

# What a seal is over: all that decides what a run has come to. What people say of it later, and what new prices make of it, goes on.
SEALED_TOPICS: Final[tuple[Topic, ...]] = (
    topics.REQUESTS,
    topics.CANCELLATIONS,
    topics.RUNS,
    topics.JOBS_PLANNED,
    topics.JOB_STATUS,
    topics.MODEL_LOADS,
    topics.ANSWERS,
    topics.REQUEST_TIMINGS,
    topics.TOKEN_TIMINGS,
    topics.RESOURCES,
    topics.SCORES,
    topics.NOT_SCORED,
    topics.STOPS,
    topics.RUN_SCORES,
    topics.PERFORMANCE,
    topics.RESULTS,
)
PLACE: Final = {topic.name: number for number, topic in enumerate(SEALED_TOPICS)}
At = tuple[str, int]  # topic, partition
_LOW = 2**32
_is_run_key = re.compile(f"({RUN_ID})(?:/|\x1f|$)".encode()).match
_PACKED = struct.Struct(">BHHIHI")  # offsets of 48 bits


def run_of_key(key: bytes | None) -> str | None:
    """The run that a record's key names: by its id, or by that of one of its jobs, which begins with it."""
    found = _is_run_key(key) if key else None
    return found[1].decode() if found else None


def scored_by(event: Event) -> frozenset[str]:
    """The scorer versions that an event is by; none where it is by no scorer."""
    if isinstance(event, (SampleScored, SampleNotScored, RunScored, TaskStopped)):
        return frozenset({event.scorer_version})
    return event.scorers if isinstance(event, RunSettled) else frozenset()


@dataclass(slots=True)
class Stretches:
    """Where the records of one run lie: in each partition one stretch, or several that do not touch. `shut`: the next begins another."""

    of: dict[At, list[tuple[int, int]]] = field(default_factory=dict)
    shut: set[At] = field(default_factory=set)

    def grow(self, at: At, offset: int) -> None:
        """Takes in a record of the run; one that lies before what is known was taken in before."""
        known = self.of.setdefault(at, [])
        if known and offset < known[-1][1]:
            return
        if not known or at in self.shut:
            self.shut.discard(at)
            known.append((offset, offset + 1))
        else:
            known[-1] = known[-1][0], offset + 1

    def told(self) -> tuple[Stretch, ...]:
        """In the order of the seal: by topic as a run meets them, then partition, then offset."""
        ordered = sorted(self.of.items(), key=lambda one: (PLACE[one[0][0]], one[0][1]))
        return tuple(
            Stretch(topic=topic, partition=partition, first=first, end=end) for (topic, partition), every in ordered for first, end in every
        )

    def beyond(self, other: "Stretches") -> Iterator[Stretch]:
        """Where these may hold records that the other, which begins at the same ones, does not."""
        for one in self.told():
            known = max((end for _, end in other.of.get((one.topic, one.partition), ())), default=0)
            if known < one.end:
                yield one.model_copy(update={"first": max(one.first, known)})


def stretches_of(told: Iterable[Stretch]) -> Stretches:
    """Stretches as they were told; what comes behind them begins others."""
    made = Stretches()
    for one in told:
        made.of.setdefault((one.topic, one.partition), []).append((one.first, one.end))
    made.shut = set(made.of)
    return made


def packed(told: Iterable[Stretch]) -> bytes:
    """Stretches in a few bytes each: sealers hold those of all runs."""
    return b"".join(_PACKED.pack(PLACE[one.topic], one.partition, *divmod(one.first, _LOW), *divmod(one.end, _LOW)) for one in told)


def holds(told: bytes, at: At, offset: int) -> bool:
    """Whether stretches in such bytes hold the record of their run that lies at that place."""
    place = PLACE[at[0]], at[1]
    return any((topic, partition) == place and first <= offset < end for topic, partition, first, end in _each(told))


def unpacked(told: bytes) -> Stretches:
    """The stretches in such bytes."""
    names = [topic.name for topic in SEALED_TOPICS]
    return stretches_of(
        Stretch(topic=names[topic], partition=partition, first=first, end=end) for topic, partition, first, end in _each(told)
    )


def _each(told: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Topic's number, partition, first and end."""
    return ((topic, n, high * _LOW + low, above * _LOW + below) for topic, n, high, low, above, below in _PACKED.iter_unpack(told))
