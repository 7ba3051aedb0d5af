"""What makes the record one that can be trusted: seals, audits, retractions, access, and what could not be read."""

from typing import ClassVar, Final, Literal

from pydantic import Field

from schemas.event import Double, Event, Record, RunId, Visibility

SEALS_KEY: Final = b"seals"


class Stretch(Record):
    """Records of one partition, from one offset up to another that is not among them."""

    topic: str
    partition: int
    first: int
    end: int


class RunSealed(Event):
    """A closed run: the Merkle root over its events, signed, as a link of a chain of seals.

    `root` is over the run's `events` events in the `stretches`, in their order; `settled` is the id of the result that it closes, and
    `scorers` are the scorer versions in it. `chain` has a name, and this is its link number `position`; `chain_root` is over the links
    before. `previous_seal` is the SHA-256 of the statement before: of this chain, or where a chain begins (position 0) of the one that it
    goes on from. `endorsement`: where the key differs from that of the link before, that key's signature of it. What is signed is made
    from these fields by streams/trust/statements.py. (`job_roots` is of the first version, and empty.)
    """

    identity: ClassVar[tuple[str, ...]] = ("chain", "position", "run_id", "root")

    run_id: RunId
    job_roots: dict[str, str] = Field(default_factory=dict)
    root: str
    previous_seal: str | None
    key_id: str
    signature: bytes
    chain: str = ""
    position: int = 0
    chain_root: str = ""
    events: int = 0
    settled: str = ""
    scorers: tuple[str, ...] = ()
    stretches: tuple[Stretch, ...] = ()
    public_key: bytes = b""
    endorsement: bytes | None = None

    def partition_key(self) -> bytes:
        """One for all: of two sealers that write a link of one number the first in the partition counts, in every replay."""
        return SEALS_KEY


class EventQuarantined(Event):
    """What was said of a run after its seal, and is no part of it: `late_event` (its type) with the id `late_id` lies at that place.

    `seal` is the id of the seal that does not hold it. It stays in the log, and is not silently counted.
    """

    identity: ClassVar[tuple[str, ...]] = ("topic", "partition", "offset")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    topic: str
    partition: int
    offset: int
    late_event: str
    late_id: str
    seal: str


class RunAudited(Event):
    """A run was run again and compared, sample by sample."""

    identity: ClassVar[tuple[str, ...]] = ("run_id", "audit_run")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    audit_run: RunId
    equal_ratio: Double
    differences: tuple[str, ...]


class RunRetracted(Event):
    """A run no longer counts; it stays in the record.

    Who retracts it again says nothing new: their first reason stands.
    """

    identity: ClassVar[tuple[str, ...]] = ("run_id", "by")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    by: str
    reason: str


class AccessChanged(Event):
    """What a member may do in an organisation from now on."""

    identity: ClassVar[tuple[str, ...]] = ("subject", "member", "occurred_us")
    key: ClassVar[tuple[str, ...]] = ("subject",)

    subject: str
    organisation: str
    member: str
    role: Literal["reader", "submitter", "operator", "owner"]
    key_hash: str | None
    scopes: tuple[Visibility, ...]
    expires_us: int | None
    quota: int | None


class DeadLettered(Event):
    """A record that could not be decoded or processed, with its origin and the reason: whole, where a record can hold it.

    Else `payload` is its beginning, and the whole, of so many bytes and with that SHA-256, is read from its origin.
    """

    identity: ClassVar[tuple[str, ...]] = ("topic", "partition", "offset", "reason_code")
    key: ClassVar[tuple[str, ...]] = ("topic", "partition", "offset")

    topic: str
    partition: int
    offset: int
    reason_code: str
    message: str
    payload: bytes
    requeued_as: str | None = None
    payload_bytes: int | None = None
    payload_sha256: str | None = None
