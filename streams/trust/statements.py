"""What a seal says, as the bytes that are signed, and signatures of it.

The statement is JSON with its keys in order, without spaces, ASCII; the signature is Ed25519 over it (RFC 8032). It says no time: the log's
own record has one, and a clock that is off can spoil nothing. A key is named by the first 16 bytes of its SHA-256, in hex. What an audit
came to is signed alike.
"""

import hashlib
import json
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas.event import Event
from schemas.trust import RunAudited, RunSealed

TYPE = "assay-seal-1"
AUDIT = "assay-audit-1"
UNSIGNED = (*Event.model_fields, "public_key", "signature")
ENDORSES = b"assay-key-1\x00"
KEY_BYTES = 32


class Signer(Protocol):
    """A private Ed25519 key, in this process or on a device that signs for it."""

    def sign(self, data: bytes) -> bytes:
        """The signature of the bytes."""

    def public_key(self) -> Ed25519PublicKey:
        """Its public half."""


def statement(seal: RunSealed) -> bytes:
    """The bytes that a seal's signature is over."""
    told = {
        "type": TYPE, "hash": "RFC 6962, SHA-256", "chain": seal.chain, "position": seal.position, "previous": seal.previous_seal,
        "chain_root": seal.chain_root, "run_id": seal.run_id, "root": seal.root, "events": seal.events, "settled": seal.settled,
        "scorers": list(seal.scorers), "key_id": seal.key_id,
        "stretches": [[one.topic, one.partition, one.first, one.end] for one in seal.stretches],
    }  # fmt: skip
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


def link(seal: RunSealed) -> str:
    """The SHA-256 of a seal's statement: how the next one names it."""
    return hashlib.sha256(statement(seal)).hexdigest()


def raw(key: Signer | Ed25519PublicKey) -> bytes:
    """The 32 bytes of a public key, or of a private key's public half."""
    return (key if isinstance(key, Ed25519PublicKey) else key.public_key()).public_bytes_raw()


def key_id(public: bytes) -> str:
    """The name of a public key."""
    return hashlib.sha256(public).hexdigest()[:32]


def signed(seal: RunSealed, key: Signer) -> RunSealed:
    """The seal with this key's signature."""
    own = seal.model_copy(update={"key_id": key_id(raw(key)), "public_key": raw(key)})
    return own.model_copy(update={"signature": key.sign(statement(own))})


def endorsed(public: bytes, by: Signer) -> bytes:
    """A key's signature of the key that takes its place."""
    return by.sign(ENDORSES + public)


def endorses(public: bytes, signature: bytes, *, by: bytes) -> bool:
    """Whether that key endorses this one."""
    return _holds(by, signature, ENDORSES + public)


def genuine(seal: RunSealed) -> bool:
    """Whether a seal is signed by the key that it names."""
    return _genuine(seal, statement(seal))


def report(audit: RunAudited) -> bytes:
    """The bytes that an audit's signature is over. What has its default is left out: fields that come later change no old one."""
    told = audit.model_dump(mode="json", exclude=set(UNSIGNED), exclude_defaults=True)
    return json.dumps({"type": AUDIT} | told, sort_keys=True, separators=(",", ":")).encode()


def reported(audit: RunAudited, key: Signer) -> RunAudited:
    """The audit's report with this key's signature, and the id that goes with it."""
    told = {name: getattr(audit, name) for name in RunAudited.model_fields if name != "event_id"}
    own = RunAudited.model_validate(told | {"key_id": key_id(raw(key)), "public_key": raw(key)})
    return own.model_copy(update={"signature": key.sign(report(own))})


def is_reported(audit: RunAudited) -> bool:
    """Whether an audit's report is signed by the key that it names."""
    return _genuine(audit, report(audit))


def _genuine(told: RunSealed | RunAudited, signed_bytes: bytes) -> bool:
    named = len(told.public_key) == KEY_BYTES and key_id(told.public_key) == told.key_id
    return named and _holds(told.public_key, told.signature, signed_bytes)


def _holds(public: bytes, signature: bytes, told: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, told)
    except (InvalidSignature, ValueError):
        return False
    return True
