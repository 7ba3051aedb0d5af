"""What a seal says, as the bytes that are signed, and signatures of it.

The statement is JSON with its keys in order, without spaces, ASCII; the signature is Ed25519 over it (RFC 8032). It says no time: the log's
own record has one, and a clock that is off can spoil nothing. A key is named by the first 16 bytes of its SHA-256, in hex.
"""

import hashlib
import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from schemas.trust import RunSealed

TYPE = "assay-seal-1"
ENDORSES = b"assay-key-1\x00"
KEY_BYTES = 32


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


def raw(key: Ed25519PrivateKey | Ed25519PublicKey) -> bytes:
    """The 32 bytes of a public key, or of a private key's public half."""
    return (key.public_key() if isinstance(key, Ed25519PrivateKey) else key).public_bytes_raw()


def key_id(public: bytes) -> str:
    """The name of a public key."""
    return hashlib.sha256(public).hexdigest()[:32]


def signed(seal: RunSealed, key: Ed25519PrivateKey) -> RunSealed:
    """The seal with this key's signature."""
    own = seal.model_copy(update={"key_id": key_id(raw(key)), "public_key": raw(key)})
    return own.model_copy(update={"signature": key.sign(statement(own))})


def endorsed(public: bytes, by: Ed25519PrivateKey) -> bytes:
    """A key's signature of the key that takes its place."""
    return by.sign(ENDORSES + public)


def endorses(public: bytes, signature: bytes, *, by: bytes) -> bool:
    """Whether that key endorses this one."""
    return _holds(by, signature, ENDORSES + public)


def genuine(seal: RunSealed) -> bool:
    """Whether a seal is signed by the key that it names."""
    named = len(seal.public_key) == KEY_BYTES and key_id(seal.public_key) == seal.key_id
    return named and _holds(seal.public_key, seal.signature, statement(seal))


def _holds(public: bytes, signature: bytes, told: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, told)
    except (InvalidSignature, ValueError):
        return False
    return True
