"""What makes the record one that can be trusted: seals, audits, retractions, access, and what could not be read."""

from typing import ClassVar, Literal

from schemas.event import Double, Event, RunId, Visibility


class RunSealed(Event):
    """A closed run: the Merkle root over its events, signed."""

    identity: ClassVar[tuple[str, ...]] = ("run_id", "root")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    job_roots: dict[str, str]
    root: str
    previous_seal: str | None
    key_id: str
    signature: bytes


class RunAudited(Event):
    """A run was run again and compared, sample by sample."""

    identity: ClassVar[tuple[str, ...]] = ("run_id", "audit_run")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    audit_run: RunId
    equal_ratio: Double
    differences: tuple[str, ...]


class RunRetracted(Event):
    """A run no longer counts; it stays in the record."""

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
