"""Where a listener stands in the log, and the cursor that says so: topics by their public names, with the next offset of each partition.

A cursor holds what its listener asked for, no more. What it lacks and is asked for now (a topic that is new, or was not asked for then)
begins with the first record that was written at the cursor's time or later: that of the newest record that the listener had passed.
"""

import re
from dataclasses import dataclass
from typing import Final

from infra.kafka import Ends, Record
from query_api.operations.problems import Malformed
from streams.projection import name_of
from streams.topics import Topic, topic_named

# It begins with its version, so that a cursor of another form is known for what it is. All letters may stand in an address.
FORM: Final = re.compile(r"2\.(\d{1,18})((?:\.[a-z_]+(?:-\d{1,6}_\d{1,18})+)*)")


@dataclass(slots=True)
class Position:
    """The next offset of every place that is listened to, and the time of the newest record passed."""

    next: Ends
    at_us: int

    def passes(self, record: Record) -> bool:
        """The record is of a place that is listened to, and was not passed before; now it is."""
        place = record.place.topic, record.place.partition
        if record.place.offset < self.next.get(place, record.place.offset + 1):
            return False
        self.next[place] = record.place.offset + 1
        self.at_us = max(self.at_us, record.written_us)
        return True

    def cursor(self) -> str:
        """The cursor of it."""
        told = dict[str, str]()
        for (topic, partition), offset in self.next.items():
            told[topic] = f"{told.get(topic, '')}-{partition}_{offset}"
        return f"2.{self.at_us}" + "".join(f".{_public(topic)}{places}" for topic, places in told.items())


def position_of(cursor: str, *, topics: dict[str, Topic]) -> Position:
    """The position that a cursor says; of what is no topic (any more) it says nothing. Raises: Malformed."""
    found = FORM.fullmatch(cursor)
    if found is None:
        wrong = f"{cursor[:40]!r} is no cursor of this stream, or one of an older release; leave it out to begin now"
        raise Malformed(wrong, code="bad-cursor")
    ends: Ends = {}
    for part in found[2].split(".")[1:]:
        name, *places = part.split("-")
        for partition, _, offset in (place.partition("_") for place in places):
            if name in topics:
                ends[topics[name].name, int(partition)] = int(offset)
    return Position(ends, int(found[1]))


def _public(topic: str) -> str:
    known = topic_named(topic)
    assert known is not None, topic
    return name_of(known)
