"""A key that never leaves its device: an Ed25519 key on a PKCS#11 token (an HSM, a smart card), named by a URI.

    pkcs11:token=assay;object=seal?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=/run/secrets/pin

Sources: RFC 7512 (the URI); PKCS #11 Specification 3.1, sections 6.3.10 (Edwards EC keys, whose point is DER's octet string) and 6.3.15
(CKM_EDDSA).
"""

from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from infra.text_files import text_of
from streams.errors import Invalid, Unavailable

SCHEME: Final = "pkcs11:"
PATH: Final = frozenset({"token", "serial", "object", "id"})
QUERY: Final = frozenset({"module-path", "pin-source", "pin-value"})
OCTETS: Final = b"\x04\x20"  # DER: an octet string of 32 bytes
WHERE: Final = "ASSAY_SEAL_KEY"


def is_token_key(told: str) -> bool:
    """Whether it names a key on a token."""
    return told.strip().startswith(SCHEME)


class TokenKey:
    """A private key on a token; it signs there."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._session, self._key, self._public = _opened(uri)

    def sign(self, data: bytes) -> bytes:
        """The Ed25519 signature of the bytes. Raises: Unavailable where the token does not answer; the next try opens it anew."""
        import pkcs11

        try:
            return bytes(self._key.sign(data, mechanism=pkcs11.Mechanism.EDDSA))
        except pkcs11.exceptions.PKCS11Error as error:
            token_key.cache_clear()
            self.close()
            raise Unavailable(f"the token of {WHERE} does not sign: {_said(error)}", code="token") from error

    def close(self) -> None:
        """Ends the session with the token."""
        import pkcs11

        with suppress(pkcs11.exceptions.PKCS11Error):
            self._session.close()

    def public_key(self) -> Ed25519PublicKey:
        """Its public half."""
        return self._public


@cache
def token_key(uri: str) -> TokenKey:
    """The key of that URI; its session is kept. Raises: Invalid for what names no such key, Unavailable while the token is away."""
    return TokenKey(uri)


def _opened(uri: str) -> tuple[Any, Any, Ed25519PublicKey]:
    try:
        import pkcs11
    except ImportError as error:
        raise Invalid(
            f"{WHERE} names a key on a token, which needs the package python-pkcs11: pip install python-pkcs11", code="token"
        ) from error
    told = attributes(uri)
    named = {"label": told.get("object"), "id": told["id"].encode("latin-1") if "id" in told else None}
    about = {name: value for name, value in named.items() if value is not None} | {"key_type": pkcs11.KeyType.EC_EDWARDS}
    try:
        token = pkcs11.lib(told["module-path"]).get_token(token_label=told.get("token"), token_serial=_serial(told))
        session = _session(token, _pin(told))
        with ExitStack() as failing:
            failing.callback(session.close)
            key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, **about)
            point = bytes(session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, **about)[pkcs11.Attribute.EC_POINT])
            failing.pop_all()
    except (pkcs11.exceptions.NoSuchToken, pkcs11.exceptions.NoSuchKey, pkcs11.exceptions.MultipleObjectsReturned,
            pkcs11.exceptions.MultipleTokensReturned, pkcs11.exceptions.PinIncorrect) as error:  # fmt: skip
        raise Invalid(f"{WHERE} names no one Ed25519 key with both of its halves on a token: {_said(error)}", code="token") from error
    except (pkcs11.exceptions.PKCS11Error, RuntimeError) as error:
        raise Unavailable(f"the token of {WHERE} cannot be opened by {told['module-path']}: {_said(error)}", code="token") from error
    public = point.removeprefix(OCTETS) if len(point) == 34 else point
    if len(public) != 32:
        raise Invalid(f"{WHERE} names a key whose point has {len(public)} bytes: seals are signed by Ed25519 keys alone", code="token")
    return session, key, Ed25519PublicKey.from_public_bytes(public)


def _session(token: Any, pin: str | None) -> Any:
    """A session with the token. Who has signed in once is so in all sessions of a process, and cannot again."""
    import pkcs11

    try:
        return token.open(user_pin=pin)
    except pkcs11.exceptions.UserAlreadyLoggedIn:
        return token.open()


def attributes(uri: str) -> dict[str, str]:
    """What a URI says, by its names. Raises: Invalid; its words hold no PIN."""
    path, _, query = uri.strip().removeprefix(SCHEME).partition("?")
    told = dict[str, str]()
    for known, parts in ((PATH, path.split(";")), (QUERY, query.split("&"))):
        for part in filter(None, parts):
            name, _, value = part.partition("=")
            if name not in known or name in told:
                raise Invalid(f"{WHERE}: {name[:40]!r} is no part of a PKCS#11 URI that is known here, or there twice; there are "
                              f"{', '.join(sorted(known))}", code="token")  # fmt: skip
            told[name] = unquote(value, encoding="latin-1" if name == "id" else "utf-8")
    if "module-path" not in told or not told.keys() & {"object", "id"}:
        raise Invalid(f"{WHERE}: a PKCS#11 URI needs object= or id=, and module-path=, the library of the token's maker", code="token")
    return told


def _serial(told: dict[str, str]) -> bytes | None:
    return told["serial"].encode() if "serial" in told else None


def _pin(told: dict[str, str]) -> str | None:
    if (source := told.get("pin-source")) is not None:
        return text_of(Path(source.removeprefix("file:").removeprefix("//"))).strip()
    return told.get("pin-value")


def _said(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()
