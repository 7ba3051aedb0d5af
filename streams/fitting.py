"""What is too large for a record of the log, and what becomes of it: long thoughts are cut, scores that do not fit say so.

A record has a size that no producer may exceed. Whoever makes events asks here before it writes them, with the most bytes that an event
may have; nothing that a model writes, however long, ends a process or leaves a run waiting.
"""

from collections.abc import Sequence
from typing import Any, Final

from schemas.event import Event, Record, Text
from schemas.measurements import Answer, SampleAnswered
from schemas.results import SampleNotScored, SampleScored
from streams.errors import Permanent

# Avro's longest length or count, the index of a union's branch, the ends of an array's blocks, and the frame before the event.
# Source: Apache Avro 1.12 specification, Binary Encoding.
LENGTH_BYTES: Final = 5
LONG_BYTES: Final = 10
BRANCH_BYTES: Final = 1
BLOCKS_BYTES: Final = 6
FRAME_BYTES: Final = 5
MARK: Final = " … [{} bytes left out] … "


def encoded_bytes(event: Event) -> int:
    """At most how many bytes the event takes as a record's value: less than 20 a number more than it does."""
    return FRAME_BYTES + _bytes_of(event)


def _bytes_of(value: Any) -> int:
    match value:
        case None | bool():
            return 1
        case int() | float():
            return LONG_BYTES
        case str():
            return LENGTH_BYTES + (len(value) if value.isascii() else len(value.encode(errors="surrogatepass")))
        case bytes():
            return LENGTH_BYTES + len(value)
        case Record():
            return sum(BRANCH_BYTES + _bytes_of(getattr(value, name)) for name in type(value).model_fields)
        case dict():
            return BLOCKS_BYTES + sum(LENGTH_BYTES + _bytes_of(key) + _bytes_of(one) + BRANCH_BYTES for key, one in value.items())
    return BLOCKS_BYTES + sum(BRANCH_BYTES + _bytes_of(one) for one in value)


def answered_within(event: SampleAnswered, *, most_bytes: int) -> SampleAnswered:
    """The answers as a record holds them: reasoning is cut first, the longest texts most; outputs only where that is not enough.

    Raises: Permanent where they do not fit even so.
    """
    over = encoded_bytes(event) - most_bytes
    for name in ("reasoning", "output"):
        if over > 0:
            event = event.model_copy(update={"answers": _cut(event.answers, name, by=over)})
            over = encoded_bytes(event) - most_bytes
    if over > 0:
        wrong = f"the answers to sample {event.ordinal} of {event.task} are {over} bytes more than a record holds, without their texts"
        raise Permanent(f"{wrong}; ask for fewer repeats of it, or without token log-probabilities", code="answer-too-large")
    return event


def _cut(answers: Sequence[Answer], name: str, *, by: int) -> tuple[Answer, ...]:
    """The answers, with the longest of their texts of that name cut to one length, so that they are so many bytes less where that goes."""
    sizes = [len(text.bytes) if (text := getattr(answer, name)) else 0 for answer in answers]
    most = _level(sizes, total=sum(sizes) - by)
    return tuple(answer if size <= most else _with_cut(answer, name, most=most) for answer, size in zip(answers, sizes, strict=True))


def _level(sizes: Sequence[int], *, total: int) -> int:
    """The highest length such that texts of these sizes, cut to it, have so many bytes together."""
    left = max(0, total)
    for place, size in enumerate(ordered := sorted(sizes)):
        if size * (len(ordered) - place) > left:
            return left // (len(ordered) - place)
        left -= size
    return max(sizes, default=0)


def _with_cut(answer: Answer, name: str, *, most: int) -> Answer:
    text: Text = getattr(answer, name)
    kept, without = (Text(bytes=b""), len(text.bytes)) if text.key_id else shortened(text.bytes, most=most)
    counted = f"{name}_cut_bytes"
    return answer.model_copy(update={name: kept, counted: getattr(answer, counted) + without})


def shortened(text: bytes, *, most: int) -> tuple[Text, int]:
    """A text of at most so many bytes with its beginning and its end, a mark between them, and how many of its bytes are left out.

    Where not even the mark fits, nothing is left of it.
    """
    room = most - len(MARK.format(len(text)).encode())
    if len(text) <= most:
        return Text(bytes=text), 0
    if room <= 0:
        return Text(bytes=b""), len(text)
    first, last = _whole(text[: room - room // 2]), _whole(text[len(text) - room // 2 :])
    without = len(text) - len(first) - len(last)
    return Text(bytes=first + MARK.format(without).encode() + last), without


def _whole(part: bytes) -> bytes:
    """The part without the characters that it was cut within; what is no UTF-8 at all stays as far as it is."""
    return part.decode(errors="ignore").encode()


def scored_within(events: Sequence[SampleScored], *, most_bytes: int) -> list[SampleScored | SampleNotScored]:
    """A sample's scores; where one is too large for a record, that the sample cannot be scored, and why. No run waits for it."""
    too_large = next((event for event in events if encoded_bytes(event) > most_bytes), None)
    if too_large is None:
        return list(events)
    own = len((too_large.parts_json or "").encode())
    reason = f"{too_large.metric} ({too_large.filter}) has {own} bytes of parts; {most_bytes} is the most"
    header = {
        name: getattr(too_large, name) for name in SampleNotScored.model_fields if name in SampleScored.model_fields and name != "event_id"
    }
    return [SampleNotScored.model_validate(header | {"reason": reason})]
