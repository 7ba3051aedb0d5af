"""What a listener of the live stream wants to hear, and in which partitions of the log that can be."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from infra.kafka import Ends, Record
from infra.partitioning import partition_for
from query_api.operations.problems import Malformed
from streams.projection import name_of
from streams.topics import (
    AUDITS,
    COSTS,
    DEAD_LETTERS,
    DELAYS,
    JOB_STATUS,
    PERFORMANCE,
    PROGRESS,
    QUARANTINE,
    RANKINGS,
    REQUESTS,
    RETRACTIONS,
    RUN_SCORES,
    RUNS,
    SEALS,
    Topic,
)  # fmt: skip
from streams.trust.visibility import ALL, Seen

TOPICS: Final = (
    REQUESTS, RUNS, JOB_STATUS, PROGRESS, RUN_SCORES, PERFORMANCE, COSTS, RANKINGS, DEAD_LETTERS, DELAYS, SEALS, RETRACTIONS, QUARANTINE,
    AUDITS,
)  # fmt: skip
BY_NAME: Final = {name_of(topic): topic for topic in TOPICS}
# Anyone's client may write these, with a partitioner of its own: a key says nothing of where its records are.
WRITTEN_BY_CLIENTS: Final = (REQUESTS,)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a listener wants to hear: these topics, and of them the events of one run or board where one is named; as far as they may."""

    topics: tuple[Topic, ...]
    run_id: str | None = None
    board: str | None = None
    seen: Seen = ALL

    def takes(self, record: Record) -> bool:
        """The record, of one of its places, is for this listener."""
        return (
            record.event is not None
            and self.seen.takes(record.event)
            and all(getattr(record.event, name) == value for name, value in self._named())
        )

    def places(self, ends: Ends) -> Iterable[tuple[str, int]]:
        """The (topic, partition) of the log in which such events can be."""
        for topic in self.topics:
            own = [place for place in ends if place[0] == topic.name]
            if all(name in topic.event.model_fields for name, _ in self._named()):
                yield from (place for place in own if self._may_hold(topic, place[1], count=len(own)))

    def _may_hold(self, topic: Topic, partition: int, *, count: int) -> bool:
        keyed = [value for name, value in self._named() if topic.event.key == (name,) and topic not in WRITTEN_BY_CLIENTS]
        return all(partition == partition_for(value.encode(), count) for value in keyed)

    def _named(self) -> list[tuple[str, str]]:
        return [(name, value) for name, value in (("run_id", self.run_id), ("board", self.board)) if value is not None]


def wanted(topics: Sequence[str], *, run_id: str | None, board: str | None, seen: Seen) -> Wanted:
    """A listener's wish. Raises: Malformed for a topic that is not told live."""
    if unknown := sorted(set(topics) - BY_NAME.keys()):
        raise Malformed(f"topic {unknown[0]!r} is not told live; there are {', '.join(BY_NAME)}", code="unknown-topic")
    return Wanted(tuple(topic for name, topic in BY_NAME.items() if name in topics or not topics), run_id, board, seen)
