"""Sealed runs without a stack: keys, links of a chain, and a file of a run."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.run_files import RunFile
from schemas.event import Event, Producer
from schemas.released import released_codec
from schemas.trust import RunSealed
from streams.trust.chains import Chains
from streams.trust.merkle import consistency, inclusion, leaf_hash
from streams.trust.statements import Signer, raw, signed, statement

CODEC = released_codec()
STAMP = Producer(service="test", version="0")
Leaf = tuple[bytes, dict[str, Any]]


def key_of(number: int) -> Ed25519PrivateKey:
    """A private key, always the same one of that number."""
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def leaf_of(event: Event) -> Leaf:
    """An event's canonical bytes, with its schema."""
    payload = CODEC.encode(event)
    return CODEC.canonical(payload, type(event)), CODEC.writer(payload).schema


def link_of(chains: Chains, run_id: str, key: Signer, **told: Any) -> RunSealed:
    """The next link of that key, for that run."""
    place = chains.next(raw(key), told.get("endorsement"), begins=told.pop("begins", "chain"))
    given: dict[str, Any] = {"root": leaf_hash(run_id.encode()).hex(), "events": 1} | told
    return signed(
        RunSealed(
            occurred_us=1, producer=STAMP, run_id=run_id, previous_seal=place.previous_seal, chain=place.chain, position=place.position,
            chain_root=place.chain_root, key_id="", signature=b"", **given,
        ),
        key,
    )  # fmt: skip


def write_file(path: Path, leaves: Iterable[Leaf], seal: RunSealed, links: Sequence[RunSealed], **told: Any) -> None:
    """A file as `assay export` writes it: of this run, whose chain has those links."""
    hashes = [leaf_hash(statement(one)) for one in links[:-1]]
    at = seal.position
    with RunFile(path) as file:
        for leaf, schema in leaves:
            file.add(leaf, schema)
        file.finish(
            seal, links[-1], inclusion=inclusion(hashes, at) if at < len(hashes) else [],
            consistency=consistency(hashes, at) if 0 < at < len(hashes) else [], endorsements=told.get("endorsements", []),
        )  # fmt: skip
