"""API keys: how they look, how they are drawn, and how they are kept, which is as a slow hash.

A key is `assay_<id>_<secret>`. The id is no secret: by it a key is found, listed and revoked. The secret is 32 random bytes, told once.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final

from streams.errors import Invalid

FORM: Final = re.compile(r"assay_([0-9a-f]{12})_([0-9A-Za-z_-]{43})")
# OWASP's Password Storage Cheat Sheet for scrypt: N = 2^14, r = 8, p = 5, which takes 16 MiB.
N, R, P = 2**14, 8, 5


@dataclass(frozen=True, slots=True)
class Drawn:
    """A new key: its text is shown once, its hash is kept."""

    key_id: str
    text: str
    key_hash: str


def draw() -> Drawn:
    """A new key."""
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    salt = secrets.token_bytes(16)
    return Drawn(key_id, f"assay_{key_id}_{secret}", f"scrypt${N}${R}${P}${salt.hex()}${_hashed(secret, salt, N, R, P)}")


def id_of(text: str) -> str:
    """The id in a key's text. Raises: Invalid where it is no key."""
    if not (found := FORM.fullmatch(text.strip())):
        raise Invalid("that is no API key: one is assay_, twelve hex digits, _ and 43 letters; copy it whole", code="no-key")
    return found[1]


def matches(text: str, key_hash: str) -> bool:
    """Whether the key is the one that was hashed so. Takes a tenth of a second or so, on purpose."""
    found = FORM.fullmatch(text.strip())
    kind, *rest = key_hash.split("$")
    if found is None or kind != "scrypt" or len(rest) != 5:
        return False
    n, r, p = (int(one) for one in rest[:3])
    return hmac.compare_digest(_hashed(found[2], bytes.fromhex(rest[3]), n, r, p), rest[4])


def _hashed(secret: str, salt: bytes, n: int, r: int, p: int) -> str:
    return hashlib.scrypt(secret.encode(), salt=salt, n=n, r=r, p=p, maxmem=64 * 2**20, dklen=32).hex()
