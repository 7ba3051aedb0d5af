"""The header that every event carries, and the small shapes that events share.

An event's id is derived (UUIDv5) from what the event is about, never from when or where it was made. Hence a
producer that repeats itself after a crash repeats the same ids, and every reader counts the first.
"""

import builtins
import math
import re
from typing import Annotated, ClassVar, Literal, Self
from uuid import UUID, uuid5

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

NAMESPACE = UUID("6b0e3f6e-8f3a-5d64-9a3c-2f3a4c1f7a10")
Visibility = Literal["public", "organisation", "private"]
# A UUIDv7 as it is written: lower-case, with hyphens. Source: RFC 9562, sections 4 and 5.7.
RUN_ID = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
is_run_id = re.compile(RUN_ID).fullmatch
SHOWN = 60  # characters of a wrong value that its refusal repeats


def _run_id(value: str) -> str:
    if is_run_id(value) is None:
        raise ValueError(
            f"{value[:SHOWN]!r} is no run's id; draw a UUIDv7, in lower case with hyphens, as 01890a5d-ac96-774b-bcce-b302099a8057"
        )
    return value


# Names of runs are parts of jobs' names, of addresses and of keys: nothing else may stand in their place.
RunId = Annotated[str, AfterValidator(_run_id), Field(json_schema_extra={"pattern": f"^{RUN_ID}$"})]


def _not_nan(value: float) -> float:
    if math.isnan(value):
        raise ValueError("NaN is not a value: an undefined figure is null, with its reason")
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a value here: give a number, or null where there is none")
    return value


# A likelihood, a metric's value, and what is reckoned or shown of these (figures, boards, comparisons), which may be infinite: the
# logarithm of no chance at all is, and so is a perplexity.
Double = Annotated[float, AfterValidator(_not_nan)]
# All else: what somebody asks for or states, what a meter or a clock tells, a share, a rate, a parameter that was fitted.
Finite = Annotated[float, AfterValidator(_finite)]
# Who says something, and why: shown on pages and in tables, and kept with every run that it is about.
MOST_WHO, MOST_WHY = 200, 2000
Who = Annotated[str, Field(max_length=MOST_WHO)]
Why = Annotated[str, Field(max_length=MOST_WHY)]


def derive_id(kind: str, *parts: object) -> str:
    """A UUIDv5 of a kind and the parts that say what it is about; the same parts give the same id."""
    return str(uuid5(NAMESPACE, "\x1f".join([kind, *("" if part is None else str(part) for part in parts)])))


def derive_run_id(kind: str, owner: str, *parts: object) -> str:
    """The UUIDv7 of a run that another run or a campaign brings about: of its owner's time where that is a UUIDv7, else of time 0."""
    derived = UUID(derive_id(kind, owner, *parts)).int
    time = UUID(owner).int >> 80 if is_run_id(owner) else 0
    return str(UUID(int=time << 80 | 7 << 76 | derived & ~(~0 << 76)))


class Record(BaseModel):
    """Anything on the wire: frozen, and closed to unknown fields."""

    # What does not validate may be a text of a private run, and errors are logged.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Producer(Record):
    """Which program wrote an event."""

    service: str
    version: str
    commit: str = ""


class Text(Record):
    """A text that can be made private later: plain UTF-8 while `key_id` is null, else sealed under that key."""

    bytes: builtins.bytes
    key_id: str | None = None
    nonce: builtins.bytes | None = None

    @classmethod
    def plain(cls, text: str) -> Self:
        """The text itself, unsealed."""
        return cls(bytes=text.encode())

    def read(self) -> str:
        """The text, where it is plain. Raises: ValueError where it is sealed."""
        if self.key_id is not None:
            raise ValueError(f"this text is sealed under key {self.key_id}; open it with that key first")
        return self.bytes.decode()


class Event(Record):
    """The header of every event. `identity` and `key` name the fields of its id and of its partition key."""

    identity: ClassVar[tuple[str, ...]] = ()
    key: ClassVar[tuple[str, ...]] = ()

    event_id: str = ""
    organisation_id: str = "local"
    visibility: Visibility = "organisation"
    occurred_us: int
    producer: Producer
    trace_parent: str | None = None

    @model_validator(mode="after")
    def _derive_id(self) -> Self:
        if not self.event_id:
            parts = [getattr(self, name) for name in self.identity]
            object.__setattr__(self, "event_id", derive_id(type(self).__name__, *parts))
        return self

    def partition_key(self) -> bytes:
        """The bytes that Kafka's partitioner hashes: events of one key keep their order."""
        return "\x1f".join(str(getattr(self, name)) for name in self.key).encode()
