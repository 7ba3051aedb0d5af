"""Dead letters: what is said of a record that could not be decoded or processed."""

from infra.identity import now_us, producer
from infra.kafka.records import MAX_RECORD_BYTES, Place, Record
from schemas.trust import DeadLettered
from streams.trust.dead_letters import bounded

# A record has a key, and a batch its own bytes, beside the event.
MOST_BYTES = MAX_RECORD_BYTES - 4096


def dead_letter(place: Place, payload: bytes, *, code: str, message: str, service: str) -> DeadLettered:
    """A dead letter for the record at `place`, no larger than a record may be.

    Its time is the wall clock's, for it is about this moment's reader.
    """
    letter = DeadLettered(
        occurred_us=now_us(), producer=producer(service), topic=place.topic, partition=place.partition, offset=place.offset,
        reason_code=code, message=message, payload=payload,
    )  # fmt: skip
    return bounded(letter, most_bytes=MOST_BYTES)


def letter_for(record: Record, *, code: str, message: str, service: str) -> DeadLettered:
    """The dead letter for a record that was read: whose its event is, and seen by who may see that."""
    letter = dead_letter(record.place, record.payload, code=code, message=message, service=service)
    own = {name: getattr(record.event, name) for name in ("organisation_id", "visibility")} if record.event else {}
    return letter.model_copy(update=own)
