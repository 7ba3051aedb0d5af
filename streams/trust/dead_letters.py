"""Dead letters and what became of them: a fold over their topic.

Putting a letter's payload back on its origin topic is told by another DeadLettered about the same record, with the reason `requeued`,
no payload, and the new place as `requeued_as`. As its id is derived from the origin, a second requeue of one record says nothing new.

A record near the size limit does not fit into a letter, which is a record too: the letter holds its beginning, and the origin the whole.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from schemas.event import Producer
from schemas.trust import DeadLettered
from streams.errors import Conflict, NotFound
from streams.fitting import encoded_bytes, shortened

REQUEUED: Final = "requeued"
WITHHELD: Final = "batch-too-large"  # nobody has read it: infra/kafka/inflating.py
BEGINNING_BYTES: Final = 64 * 1024
MESSAGE_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Letter:
    """A record that could not be decoded or processed; `requeued_as` is its new place, topic/partition@offset, where it was requeued."""

    event: DeadLettered
    requeued_as: str | None

    @property
    def letter_id(self) -> str:
        """The id by which people name it."""
        return self.event.event_id

    @property
    def size_bytes(self) -> int:
        """How large the record's payload is, of which the letter may hold the beginning only."""
        return len(self.event.payload) if self.event.payload_bytes is None else self.event.payload_bytes


def bounded(letter: DeadLettered, *, most_bytes: int) -> DeadLettered:
    """The letter as a record of so many bytes holds it: of a larger payload its beginning, its size and its SHA-256."""
    message = letter.message.encode(errors="backslashreplace")
    if len(message) > MESSAGE_BYTES:
        letter = letter.model_copy(update={"message": shortened(message, most=MESSAGE_BYTES)[0].bytes.decode()})
    if encoded_bytes(letter) <= most_bytes:
        return letter
    payload = letter.payload
    beginning = {"payload": payload[:BEGINNING_BYTES], "payload_bytes": len(payload), "payload_sha256": hashlib.sha256(payload).hexdigest()}
    return letter.model_copy(update=beginning)


def whole(letter: DeadLettered, *, origin: bytes | None) -> bytes:
    """The record's whole payload: the letter's own, or what its origin holds. Raises: NotFound where it holds that no longer."""
    if letter.payload_bytes is None:
        return letter.payload
    if origin is None or hashlib.sha256(origin).hexdigest() != letter.payload_sha256:
        raise NotFound(
            f"{letter.topic}/{letter.partition}@{letter.offset} is no longer in the log, and its letter holds the first "
            f"{len(letter.payload)} of its {letter.payload_bytes} bytes; whoever wrote it must write it again",
            code="payload-gone",
        )
    return origin


def letters(events: Iterable[DeadLettered]) -> list[Letter]:
    """The letters in the order of the events, each once."""
    first = dict[str, DeadLettered]()
    for event in events:
        first.setdefault(event.event_id, event)
    requeued = {_origin(event): event.requeued_as for event in first.values() if event.reason_code == REQUEUED}
    return [Letter(event, requeued.get(_origin(event))) for event in first.values() if event.reason_code != REQUEUED]


def _origin(event: DeadLettered) -> tuple[str, int, int]:
    return event.topic, event.partition, event.offset


def chosen(known: Iterable[Letter], letter_id: str) -> Letter:
    """The letter whose id begins so. Raises: NotFound, Conflict where several do."""
    fitting = [letter for letter in known if letter_id and letter.letter_id.startswith(letter_id)]
    if not fitting:
        raise NotFound(f"no dead letter {letter_id!r}; `assay dead-letters` lists them", code="unknown-letter")
    if len(fitting) > 1:
        raise Conflict(f"{len(fitting)} dead letters begin with {letter_id!r}; write more of the id", code="which-letter")
    return fitting[0]


def check_requeue(letter: Letter) -> None:
    """Raises: Conflict where the letter was requeued before, or its record cannot be read."""
    if letter.event.reason_code == WITHHELD:
        raise Conflict(f"dead letter {letter.letter_id} is of what cannot be read; whoever wrote it must write it again", code="unread")
    if letter.requeued_as is not None:
        raise Conflict(
            f"dead letter {letter.letter_id} was requeued before, as {letter.requeued_as}; if that failed too, it is a letter of its own",
            code="requeued-before",
        )


def requeued(letter: Letter, *, place: str, by: str, occurred_us: int, producer: Producer) -> DeadLettered:
    """The event that says so."""
    own = letter.event
    return DeadLettered(
        occurred_us=occurred_us, producer=producer, organisation_id=own.organisation_id, topic=own.topic, partition=own.partition,
        offset=own.offset, reason_code=REQUEUED, message=f"requeued by {by}", payload=b"", requeued_as=place,
    )  # fmt: skip
