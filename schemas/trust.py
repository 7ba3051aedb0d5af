"""What makes the record one that can be trusted: seals, audits, retractions, access, and what could not be read."""

from typing import ClassVar, Final, Literal

from pydantic import Field

from schemas.event import Double, Event, Finite, Record, RunId, Visibility, Who, Why
from schemas.runs import RunState

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


class SampleDiffers(Record):
    """A sample of which a run and its audit say different things: `what`, in words."""

    task: str
    ordinal: int
    repeat: int
    what: tuple[str, ...]


class MetricDiffers(Record):
    """A task's main metric in a run and in its audit, over the documents of both: `difference` is run - audit, with its 95 % interval."""

    task: str
    metric: str
    filter: str
    run: Double
    audit: Double
    difference: Double
    low: Double | None
    high: Double | None
    n: int


class EnvironmentDiffers(Record):
    """A fact of where a run and its audit ran that is not the same for both; null where one of them has no such fact."""

    what: str
    run: str | None
    audit: str | None


class RunAudited(Event):
    """A run was run again and compared, sample by sample, as that key says.

    Of the `samples` that both runs answered so many are `equal`: prompts and texts the same, log-likelihoods and scores within `tolerance`
    (absolute, or of the greater). `failed` are those that failed in both, which proves nothing: they are not among the samples. `unmatched`
    are those that the audit answered and the run did not; `asked` were asked again in all. `differing_by`: how many differ, by what;
    `differing` are the first of them, `differences` says it all in sentences. `metrics`: the main metric of each task. `state` is the
    audit's: only a completed one counts. `seal` is the id of the run's seal, in whose stretches lies what was compared; `settled` that of
    the audit's result, which its seal names. What is signed is made by streams/trust/statements.py.
    """

    identity: ClassVar[tuple[str, ...]] = ("run_id", "audit_run", "key_id", "seal", "settled")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    audit_run: RunId
    equal_ratio: Finite
    differences: tuple[str, ...]
    samples: int = 0
    equal: int = 0
    failed: int = 0
    unmatched: int = 0
    asked: int = 0
    state: RunState | None = None
    tolerance: Finite = 0.0
    differing_by: dict[str, int] = Field(default_factory=dict)
    differing: tuple[SampleDiffers, ...] = ()
    metrics: tuple[MetricDiffers, ...] = ()
    environment: tuple[EnvironmentDiffers, ...] = ()
    seal: str = ""
    settled: str = ""
    key_id: str = ""
    public_key: bytes = b""
    signature: bytes = b""


class RunRetracted(Event):
    """A run no longer counts; it stays in the record.

    Who retracts it again says nothing new: their first reason stands.
    """

    identity: ClassVar[tuple[str, ...]] = ("run_id", "by")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    by: Who
    reason: Why


class TextsForgotten(Event):
    """A key of an organisation's private texts was destroyed: what was sealed under `text_key` nobody reads any more, when it happened.

    `wrapped_sha256` is of that key as it was wrapped, under `master_key`; it was made at `made_us`, UTC. Scores and seals stay.
    """

    identity: ClassVar[tuple[str, ...]] = ("organisation", "text_key")
    key: ClassVar[tuple[str, ...]] = ("organisation",)

    organisation: str
    text_key: str
    master_key: str
    wrapped_sha256: str
    made_us: int
    by: Who
    reason: Why


class AccessChanged(Event):
    """What a member may do in an organisation from now on. `by`: who said so, as their machine calls them; empty: nobody told."""

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
    by: str = ""


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
