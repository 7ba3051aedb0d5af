"""API keys: how they look and are kept, what the log makes of them, and what each role may."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from infra import api_keys
from infra.addresses import is_loopback, needs_keys
from infra.settings import Settings
from query_api.access.sessions import COOKIE, Sessions, _mark
from query_api.access.signing_in import _local
from query_api.cli import access
from query_api.routes import OPERATIONS
from schemas.event import Producer
from schemas.trust import AccessChanged
from streams.errors import Invalid
from streams.trust.access import ROLES, VOUCHED, Access, Role, covers, is_vouched, state_of
from streams.trust.privacy import told

DAY_US = 24 * 3600 * 10**6


def changed(
    key_id: str, *, at_us: int = 1, role: Role = "reader", key_hash: str | None = "hash", expires_us: int | None = None
) -> AccessChanged:
    """What the log says of a key."""
    return AccessChanged(
        occurred_us=at_us, producer=Producer(service="test", version="0", commit=""), subject=key_id, organisation="local", member="ann",
        role=role, key_hash=key_hash, scopes=(), expires_us=expires_us, quota=None,
    )  # fmt: skip


def test_a_key_is_told_once_and_kept_as_a_hash() -> None:
    """Its text has its id; its hash has neither its text nor its secret, and is another one each time."""
    first, second = api_keys.draw(), api_keys.draw()
    assert api_keys.FORM.fullmatch(first.text)
    assert api_keys.id_of(first.text) == first.key_id
    assert api_keys.matches(first.text, first.key_hash)
    assert not api_keys.matches(second.text, first.key_hash)
    assert not api_keys.matches(first.text[:-1] + ("a" if first.text[-1] != "a" else "b"), first.key_hash)
    assert first.text.rpartition("_")[2] not in first.key_hash
    assert len({first.text, second.text, first.key_hash, second.key_hash}) == 4


@pytest.mark.parametrize("text", ["", "assay_", "assay_0123456789ab_short", "Bearer x", "assay_0123456789AB_" + "a" * 43])
def test_what_is_no_key_is_said_to_be_none(text: str) -> None:
    """With how one looks."""
    with pytest.raises(Invalid, match="that is no API key"):
        api_keys.id_of(text)
    assert not api_keys.matches(text, "scrypt$16384$8$5$00$00")


def test_the_last_word_about_a_key_counts() -> None:
    """A key opens until it expires or is revoked, and others are not touched by that."""
    access = Access()
    for event in (changed("a", role="reader"), changed("b", expires_us=DAY_US), changed("a", at_us=2, role="owner")):
        access.fold(event)
    granted = access.grant("a", now_us=0)
    assert granted is not None and granted.role == "owner"
    assert access.grant("b", now_us=DAY_US - 1) is not None
    assert access.grant("b", now_us=DAY_US) is None
    assert access.grant("c", now_us=0) is None
    access.fold(changed("a", at_us=3, key_hash=None))
    assert access.grant("a", now_us=0) is None
    assert [state_of(access.keys[name], now_us=DAY_US) for name in "ab"] == ["revoked", "expired"]
    assert not access.any_open(now_us=DAY_US)


def test_a_role_may_all_that_those_before_it_may() -> None:
    """And nothing else; what changes something needs more than a reader, but for calculations."""
    assert [[covers(role, needed) for needed in ROLES] for role in ROLES] == [[i >= j for j in range(4)] for i in range(4)]
    readers = {f"{one.method} {one.path}" for one in OPERATIONS if one.needs == "reader"}
    assert {one for one in readers if not one.startswith("GET ")} == {"POST /v1/costs/tco", "POST /v1/savings"}
    assert {one.path for one in OPERATIONS if one.needs == "operator"} == {"/v1/runs/{run_id}/retract", "/v1/prices"}


def test_no_hash_leaves_the_log() -> None:
    """Nor is it said that a revoked key has one."""
    assert told(changed("a")).key_hash == "withheld"
    assert told(changed("a", key_hash=None)).key_hash is None


def test_what_is_no_address_is_refused_in_words() -> None:
    """With the setting's name; and nobody takes it for this machine's own."""
    with pytest.raises(ValidationError, match=r"ASSAY_API='//\[' is no address"):
        Settings(api="//[")
    assert not is_loopback("//[")


@pytest.mark.parametrize(
    ("address", "alone"),
    [("http://127.0.0.1:1", True), ("http://localhost:1", True), ("http://[::1]:1", True), ("http://0.0.0.0:1", False),
     ("http://10.0.0.7:1", False), ("https://assay.example", False), ("http://127.0.0.1.nip.io", False),
     ("//[::1]:9", True), ("//", False)],
)  # fmt: skip
def test_keys_are_wanted_wherever_others_can_come(address: str, alone: bool) -> None:
    """Unless a setting says otherwise."""
    assert is_loopback(address) is alone
    assert needs_keys(Settings(api=address)) is not alone
    assert needs_keys(Settings(api=address, api_door="closed"))
    assert not needs_keys(Settings(api=address, api_door="open"))


def request_with(cookie: str) -> Request:
    """A request of a browser."""
    headers = [(b"cookie", f"{COOKIE}={cookie}".encode())]
    return Request(
        {"type": "http", "method": "GET", "path": "/", "scheme": "https", "server": ("a", 443), "query_string": b"", "headers": headers}
    )


def test_a_session_is_of_one_key(tmp_path: Path) -> None:
    """It is signed, not readable by scripts, sent by TLS alone where there is TLS, and over when the key is another."""
    sessions, answer = Sessions(Settings(home=tmp_path)), Response()
    sessions.begin(request_with(""), answer, changed("a", key_hash="scrypt$the-first-hash-of-it"))
    told_cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "Secure", "SameSite=lax"} <= set(told_cookie.split("; "))
    cookie = re.split("[=;]", told_cookie, maxsplit=2)[1]
    found = Sessions(Settings(home=tmp_path)).key_id(request_with(cookie))
    assert found is not None and found[0] == "a"
    assert sessions.is_of(found[1], changed("a", key_hash="scrypt$the-first-hash-of-it"))
    assert not sessions.is_of(found[1], changed("a", key_hash="scrypt$another-hash-of-it"))
    assert sessions.key_id(request_with(cookie[:-2] + "xx")) is None
    assert Sessions(Settings.model_validate({"home": tmp_path, "session_secret": "other" * 8})).key_id(request_with(cookie)) is None
    assert (tmp_path / "session-secret").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("left", ["", "\n", "a" * 31])
def test_a_secret_that_could_be_guessed_signs_no_sessions(left: str, tmp_path: Path) -> None:
    """An empty one, as a crash may leave its file, would let anybody in as anybody."""
    (tmp_path / "session-secret").write_text(left)
    with pytest.raises(Invalid, match=r"session-secret, as a crash may leave it, holds \d+ letters.*: delete it"):
        Sessions(Settings(home=tmp_path))
    with pytest.raises(Invalid, match="ASSAY_SESSION_SECRET holds 6 letters"):
        Sessions(Settings.model_validate({"home": tmp_path / "new", "session_secret": "secret"}))


def test_a_session_of_a_member_is_of_one_admission(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What marks it is drawn anew each time, and is no word that everybody knows."""
    said = list[AccessChanged]()
    monkeypatch.setattr(access, "_publish", said.append)
    for _ in range(2):
        access.admit("ann@example.org", organisation="acme")
    sessions, (first, again) = Sessions(Settings(home=tmp_path)), said
    assert is_vouched(first) and first.subject == again.subject
    assert sessions.is_of(_mark(first), first) and not sessions.is_of(_mark(first), again)
    assert len(_mark(first)) == 16 and _mark(first) in (first.key_hash or "")
    before = [changed("a", key_hash=VOUCHED, at_us=at_us) for at_us in (1, 2)]
    assert not sessions.is_of(VOUCHED, before[0]) and not sessions.is_of(_mark(before[0]), before[1])


def test_whoever_signs_in_is_led_nowhere_else() -> None:
    """A link to the form may say to where on this site."""
    assert _local("/runs?x=1") == "/runs?x=1"
    assert [_local(one) for one in ("https://evil.example", "//evil.example", "/\\evil.example", "", "runs")] == ["/"] * 5
