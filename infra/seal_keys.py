"""The keys that seal runs: files of a folder (`ASSAY_SEAL_KEYS`), or one from the environment (`ASSAY_SEAL_KEY`): itself, or a token's.

<key id>.pem        a private key, PKCS #8, readable by its owner alone
<key id>.pub        its public key, which stays when the private one is gone
<key id>.endorsed   the signature of it by the key that it took the place of, 128 hex digits
active              the id of the key that signs

Each is there whole, and on the disk, or not at all; whoever reads one that is none is told by its name.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from infra.settings import Settings
from infra.token_keys import is_token_key, token_key
from infra.whole_files import put
from streams.errors import Conflict, Invalid, NotFound
from streams.trust.statements import Signer, endorsed, key_id, raw

ACTIVE: Final = "active"
ID: Final = re.compile(r"[0-9a-f]{32}")
SIGNATURE: Final = re.compile(r"[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the store. `private`: it can sign; `active`: it is the one that does; `endorsement`: by the key before it."""

    public: bytes
    private: Signer | None
    active: bool = False
    endorsement: bytes | None = None

    @property
    def key_id(self) -> str:
        """Its name."""
        return key_id(self.public)

    @property
    def pem(self) -> str:
        """The public key as a file has it."""
        return Ed25519PublicKey.from_public_bytes(self.public).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def folder_of(settings: Settings) -> Path:
    """Where the keys are."""
    return settings.seal_keys or settings.home / "keys"


def keys_of(settings: Settings) -> list[Key]:
    """Every key that is here, the active one first. Raises: Invalid for what holds none, Unavailable without its token."""
    folder = folder_of(settings)
    active = _text(folder / ACTIVE, ID, "no id of a key")
    found = {public: _of_files(folder, public, active) for public in map(_public, sorted(folder.glob("*.pub")))}
    if pem := settings.seal_key.get_secret_value():
        given = token_key(pem.strip()) if is_token_key(pem) else _private(pem.encode(), "ASSAY_SEAL_KEY")
        known = found.get(raw(given))
        found = {public: Key(one.public, one.private, endorsement=one.endorsement) for public, one in found.items()}
        found[raw(given)] = Key(raw(given), given, active=True, endorsement=known.endorsement if known else None)
    return sorted(found.values(), key=lambda key: (not key.active, key.key_id))


def publics(settings: Settings) -> frozenset[bytes]:
    """The public keys in the folder; no private one is read. Raises: Invalid for a file that holds none."""
    return frozenset(map(_public, folder_of(settings).glob("*.pub")))


def signing(keys: list[Key]) -> Key | None:
    """The key that signs; None where there is none, or its private half is gone."""
    return next((key for key in keys if key.active and key.private), None)


def create(settings: Settings) -> Key:
    """Makes a key, which signs from now on: the first, or one in the place of a lost one, with a new chain of seals. Raises: Conflict."""
    if key := signing(keys_of(settings)):
        raise Conflict(f"key {key.key_id} signs already; `assay keys rotate` puts another in its place", code="key-there")
    return _made(settings, endorsement=None)


def rotate(settings: Settings) -> Key:
    """Makes a key in the place of the one that signs, which endorses it: the chain of seals goes on. Raises: NotFound, Conflict."""
    if settings.seal_key.get_secret_value():
        raise Conflict(
            "ASSAY_SEAL_KEY holds the key that signs: put it into the folder to rotate it; one on a token endorses the next by "
            "`assay keys endorse`", code="key-in-environment",
        )  # fmt: skip
    before = signing(keys_of(settings))
    if before is None or before.private is None:
        raise NotFound(
            f"no key in {folder_of(settings)} signs, and a lost one can endorse no other; `assay keys create` makes one, whose "
            "chain of seals names the old",
            code="no-key",
        )
    return _made(settings, endorsement=before.private)


def endorse(settings: Settings, public: bytes) -> Key:
    """Endorses a key that was made elsewhere, as on a token, by the one that signs: sealing goes on in its chain once it signs.

    Its public half and the endorsement are kept in the folder. Raises: NotFound, Conflict.
    """
    by = signing(keys_of(settings))
    if by is None or by.private is None:
        raise NotFound(f"no key in {folder_of(settings)} signs, and a lost one can endorse no other", code="no-key")
    if by.public == public:
        raise Conflict(f"key {by.key_id} is the one that signs", code="key-there")
    key, folder = Key(public, None, endorsement=endorsed(public, by.private)), folder_of(settings)
    assert key.endorsement is not None
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    put(folder / f"{key.key_id}.endorsed", key.endorsement.hex().encode(), mode=0o644)
    put(folder / f"{key.key_id}.pub", key.pem.encode(), mode=0o644)
    return key


def _made(settings: Settings, *, endorsement: Signer | None) -> Key:
    """Its files are there, and on the disk, before it is the one that signs."""
    folder, private = folder_of(settings), Ed25519PrivateKey.generate()
    key = Key(raw(private), private, active=True, endorsement=endorsed(raw(private), endorsement) if endorsement else None)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    put(folder / f"{key.key_id}.pem", private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    if key.endorsement:
        put(folder / f"{key.key_id}.endorsed", key.endorsement.hex().encode(), mode=0o644)
    put(folder / f"{key.key_id}.pub", key.pem.encode(), mode=0o644)
    put(folder / ACTIVE, key.key_id.encode(), mode=0o644)
    return key


def _of_files(folder: Path, public: bytes, active: str) -> Key:
    name = key_id(public)
    pem, endorsement = folder / f"{name}.pem", _text(folder / f"{name}.endorsed", SIGNATURE, "no endorsement")
    private = _private(_bytes(pem), str(pem)) if pem.exists() else None
    if private is not None and raw(private) != public:
        raise Invalid(f"{pem} is not the private half of {name}.pub: bring the right one back, or take it away", code="key-differs")
    return Key(public, private, active=name == active, endorsement=bytes.fromhex(endorsement) if endorsement else None)


def _public(path: Path) -> bytes:
    try:
        key = load_pem_public_key(_bytes(path))
    except ValueError as error:
        raise Invalid(f"{path} holds no public key: {error}", code="no-key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise Invalid(f"{path} holds no Ed25519 key; seals are signed by such keys alone", code="no-key")
    return raw(key)


def _private(pem: bytes, where: str) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise Invalid(f"{where} holds no private key without a password, in PEM: {error}", code="no-key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Invalid(f"{where} holds no Ed25519 key; `assay keys create` makes one", code="no-key")
    return key


def _text(path: Path, form: re.Pattern[str], what: str) -> str:
    """A file's text, empty where there is none. Raises: Invalid for what is not in that form."""
    if not path.exists():
        return ""
    told = _bytes(path).decode(errors="replace").strip()
    if not form.fullmatch(told):
        raise Invalid(f"{path} holds {what}: it was damaged; bring the right one back, or take it away", code="no-key")
    return told


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Invalid(f"{path} cannot be read ({error.strerror}); keys are readable by who seals", code="no-key") from error
