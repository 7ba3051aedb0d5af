"""A record of the log, and where it lies."""

from dataclasses import dataclass
from typing import Final

from schemas.codec import Undecodable
from schemas.event import Event

MAX_RECORD_BYTES: Final = 2 * 1024 * 1024
# The next offset of each (topic, partition).
Ends = dict[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record lies."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Record:
    """A record read from the log. Exactly one of `event` and `fault` is there; `written_us` is Kafka's record time.

    That is the broker's clock, as topics are made (infra/kafka/making.py);
    in older ones, or those that others made, its writer's, which may be wrong.
    """

    place: Place
    key: bytes | None
    payload: bytes
    written_us: int
    event: Event | None
    fault: Undecodable | None = None
