"""Texts of private events, sealed under their organisation's key, so that nobody reads them once that key is gone.

    place  = JSON of [organisation, whose it is …, path]       whose: the event by its type and the fields of its id, or the job in it
    key    = HMAC-SHA256(data key, "text" · 0x00 · place)      one for each place
    nonce  = the first 96 bits of HMAC-SHA256(HMAC-SHA256(data key, "nonce" · 0x00 · place), text)
    sealed = AES-256-GCM(key, nonce, text, place)              with its tag of 128 bits

What is moved to another event, field, run or organisation does not open. The same text at the same place is sealed to the same bytes:
whoever repeats an event after a crash writes the same once more. A place has a key of its own, so that a nonce would have to repeat for two
texts of one place, of which there are a few (SP 800-38D bounds 2^32 under a key); that it is derived tells only that two are equal.

A `Text` says under which key it is sealed; a field that is a string or bytes begins with MARK. Sealed again, sealed texts stay as they are.
People and models may write that mark too: what is not sealed behind it is a text as any other, and is sealed; of a request it is refused.
Sources: NIST SP 800-38D (GCM), RFC 2104 (HMAC); a nonce from the text as in RFC 5297 (SIV).
"""

import hmac
import json
import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.event import Event, Producer, Text
from schemas.results import SampleScored
from streams.errors import Invalid, Permanent
from streams.trust.privacy import PRIVATE, Owner, replaced, texts_of

MARK: Final = "assay-sealed-1:"  # then the key's id, a colon, and nonce and sealed text, in base64 where the field is a string
FORM: Final = re.compile(rf"{MARK}[0-9a-f]{{16}}-[0-9]{{1,9}}:(?:[0-9A-Za-z+/]{{4}}){{9,}}(?:[0-9A-Za-z+/]{{2,3}}={{1,2}})?", re.ASCII)
BYTES_FORM: Final = re.compile(rb"%b[0-9a-f]{16}-[0-9]{1,9}:.{28,}" % MARK.encode(), re.DOTALL)  # a nonce and a tag at least
NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
ALTERED: Final = "text-altered"
NOBODY: Final = Producer(service="", version="")
E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Key:
    """An organisation's data key."""

    key_id: str
    secret: bytes


Keys = Callable[[str], Key]  # by a key's id. Raises: Permanent, Unavailable


def sealed(event: E, key: Key) -> E:
    """The event with its texts sealed; those that are sealed stay as they are."""
    return replaced(event, partial(_sealed, key, event.organisation_id))


def opened(event: E, keys: Keys) -> E:
    """The event with its sealed texts as they were. Raises: Permanent where one is not what was sealed there, and what `keys` raises."""
    return replaced(event, partial(_opened, keys, event.organisation_id)) if event.visibility == PRIVATE else event


def part_opened(parts_json: str, keys: Keys, **about: object) -> str:
    """The parts of a score that is held without its event. `about`: organisation_id, and the fields of its id. Raises: as `opened`."""
    if not is_marked(parts_json):
        return parts_json
    known = {"occurred_us": 0, "producer": NOBODY, "visibility": PRIVATE, "doc_id": 0, "value": None, "parts_json": parts_json}
    return opened(SampleScored.model_validate(known | about), keys).parts_json or ""


def keyed(name: str, key: Key) -> str:
    """A name that is a hash of texts, as who has no key cannot work it out: HMAC-SHA256 of it, in hex."""
    return hmac.digest(key.secret, b"name\0" + name.encode(), "sha256").hex()


def room(most_bytes: int, *, texts: int) -> int:
    """How many bytes an event of so many texts may have, so that sealed it has at most so many: base64 takes a third more."""
    return most_bytes * 3 // 4 - 128 * texts


def is_sealed(value: Any) -> bool:
    """Whether a text has the form of a sealed one."""
    match value:
        case Text():
            return value.key_id is not None
        case bytes():
            return BYTES_FORM.fullmatch(value) is not None
    return isinstance(value, str) and FORM.fullmatch(value) is not None


def is_marked(value: Any) -> bool:
    """Whether a text begins as sealed ones do, whoever wrote it."""
    match value:
        case Text():
            return value.key_id is not None
        case bytes():
            return value.startswith(MARK.encode())
    return isinstance(value, str) and value.startswith(MARK)


def check(event: Event) -> None:
    """Raises: Invalid where a text of a private event from outside begins as sealed ones do: who reads it would take it for one."""
    if event.visibility == PRIVATE and (found := next((path for path, value in texts_of(event).items() if is_marked(value)), None)):
        raise Invalid(f"{found} begins with {MARK!r}, by which sealed texts are known here: begin it otherwise", code="sealed-mark")


def _sealed(key: Key, organisation: str, value: Any, owner: Owner, path: str) -> Any:
    place = _place(organisation, owner, path)
    if is_sealed(value) and not _is_forged(key, value, place):
        return value
    match value:
        case Text():
            nonce, told = _encrypted(value.bytes, key, place)
            return Text(bytes=told, key_id=key.key_id, nonce=nonce)
        case bytes():
            return f"{MARK}{key.key_id}:".encode() + b"".join(_encrypted(value, key, place))
    # A half of a pair of surrogates, as JSON's escapes can make it, is no UTF-8: Avro could not write it either.
    return f"{MARK}{key.key_id}:{b64encode(b''.join(_encrypted(value.encode(errors='backslashreplace'), key, place))).decode()}"


def _is_forged(key: Key, value: Any, place: bytes) -> bool:
    """Whether what says that it is sealed is not, or not for that organisation. What a key of its before sealed is not looked at: that
    one is gone."""
    match value:
        case Text():  # it says so beside its bytes, where nobody outside writes
            return False
        case bytes():
            name, _, told = value.removeprefix(MARK.encode()).partition(b":")
        case _:
            name, _, coded = value.removeprefix(MARK).encode().partition(b":")
            told = b64decode(coded)
    own = key.key_id.encode()
    if name != own:
        return name.partition(b"-")[0] != own.partition(b"-")[0]
    try:
        _decrypted(told[:NONCE_BYTES], told[NONCE_BYTES:], key, place)
    except InvalidTag:
        return True
    return False


def _opened(keys: Keys, organisation: str, value: Any, owner: Owner, path: str) -> Any:
    if not is_marked(value):
        return value
    place = _place(organisation, owner, path)
    try:
        match value:
            case Text():
                return Text(bytes=_decrypted(value.nonce or b"", value.bytes, keys(value.key_id or ""), place))
            case bytes():
                name, _, told = value.removeprefix(MARK.encode()).partition(b":")
                return _decrypted(told[:NONCE_BYTES], told[NONCE_BYTES:], keys(name.decode()), place)
        name, _, coded = value.removeprefix(MARK).partition(":")
        told = b64decode(coded, validate=True)
        return _decrypted(told[:NONCE_BYTES], told[NONCE_BYTES:], keys(name), place).decode()
    except (InvalidTag, NotBase64, ValueError) as error:
        raise Permanent(
            f"{path} of {':'.join(map(str, owner))} is not what was sealed there; its seal says since when", code=ALTERED
        ) from error


def _place(organisation: str, owner: Owner, path: str) -> bytes:
    return json.dumps([organisation, *owner, path], separators=(",", ":")).encode()


def _encrypted(text: bytes, key: Key, place: bytes) -> tuple[bytes, bytes]:
    nonce = hmac.digest(hmac.digest(key.secret, b"nonce\0" + place, "sha256"), text, "sha256")[:NONCE_BYTES]
    return nonce, AESGCM(_key_of(key, place)).encrypt(nonce, text, place)


def _decrypted(nonce: bytes, told: bytes, key: Key, place: bytes) -> bytes:
    return AESGCM(_key_of(key, place)).decrypt(nonce, told, place)


def _key_of(key: Key, place: bytes) -> bytes:
    return hmac.digest(key.secret, b"text\0" + place, "sha256")
