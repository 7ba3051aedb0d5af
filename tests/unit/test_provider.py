"""What an identity provider's word is worth: who is who by its tokens, what is none, and who may come in."""

import asyncio
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from infra.settings import Settings
from query_api.access import provider as providers
from query_api.access.provider import Provider
from query_api.operations.problems import Unauthenticated
from schemas.event import Producer
from schemas.trust import AccessChanged
from streams.errors import Invalid, Unavailable
from streams.trust.access import VOUCHED, Access, Role, id_of_member, ids_of
from tests.identity import Issuer


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """One that signs whatever it is told to."""
    with Issuer() as told:
        yield told


def of(issuer: Issuer, **settings: Any) -> Provider:
    """What trusts it."""
    return Provider(Settings.model_validate({"oidc_issuer": issuer.address, "oidc_client_id": "assay"} | settings))


def member(trusting: Provider, token: str, **asked: Any) -> str:
    """Whom a token is about."""
    return asyncio.run(trusting.member(token, **asked)).member


def test_a_good_token_names_its_member(issuer: Issuer) -> None:
    """By the claim of the settings, else by what the provider calls them; also one made out for the API's own audience."""
    assert member(of(issuer), issuer.token()) == "ann@example.org"
    assert member(of(issuer), issuer.token(email=None)) == "sub:17"
    assert member(of(issuer, oidc_claim="preferred_username"), issuer.token(preferred_username="ann")) == "ann"
    assert member(of(issuer, oidc_audience="api://assay"), issuer.token(aud=["api://assay", "other"])) == "ann@example.org"
    assert member(of(issuer), issuer.token(nonce="n"), nonce="n") == "ann@example.org"


@pytest.mark.parametrize(("claims", "why"), [
    ({"aud": "another"}, "no token of 127.0.0.1.* for this API"), ({"aud": None}, "for this API"),
    ({"iss": "https://elsewhere.example"}, "for this API"), ({"exp": 1_000_000}, "has expired"), ({"exp": None}, "for this API"),
    ({"exp": "soon"}, "for this API"), ({"sub": None, "email": None}, "for this API"), ({"email_verified": False}, "has not verified"),
    ({"email_verified": None}, "has not verified"), ({"email_verified": "true"}, "has not verified"), ({"nbf": 4e9}, "for this API"),
    ({"nonce": "another"}, "for this API"),
])  # fmt: skip
def test_a_token_of_anything_else_is_none(issuer: Issuer, claims: dict[str, Any], why: str) -> None:
    """Made out for others, by others, expired, without an end, of an address that nobody verified, of another sign-in."""
    with pytest.raises(Unauthenticated, match=why):
        member(of(issuer), issuer.token(**claims), nonce="n" if "nonce" in claims else None)


def test_a_token_that_the_provider_did_not_sign_is_none(issuer: Issuer) -> None:
    """By another's key, under the name of the provider's; by none; by a secret that is the public key; or no token at all."""
    stranger = issuer.another()

    def unsigned(algorithm: str) -> bytes:
        header = json.dumps({"alg": algorithm, "kid": issuer.key.kid}).encode()
        return urlsafe_b64encode(header).rstrip(b"=") + b"." + issuer.token().encode().split(b".")[1]

    shared = unsigned("HS256")
    signed = urlsafe_b64encode(hmac.digest(issuer.key.as_pem(private=False), shared, "sha256")).rstrip(b"=")
    forged = (
        issuer.token(key=stranger), issuer.token(key=stranger, header={"kid": issuer.key.kid}), (unsigned("none") + b".").decode(),
        (shared + b"." + signed).decode(), issuer.token()[:-8] + "AAAAAAAA", "a.b.c", "..", "é.é.é",
    )  # fmt: skip
    trusting = of(issuer)
    for token in forged:
        with pytest.raises(Unauthenticated, match="this is no token of"):
            member(trusting, token)


def test_a_new_key_is_fetched_when_it_signs_and_not_at_everybodys_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider's keys change; who shows tokens with names of keys that are not there makes nobody ask it each time."""
    with Issuer() as issuer:
        trusting = of(issuer)
        old, at_first = issuer.token(), member(trusting, issuer.token())
        issuer.key = issuer.another()
        with pytest.raises(Unauthenticated):
            member(trusting, issuer.token())
        assert issuer.asked == 2
        monkeypatch.setattr(providers, "AGAIN_S", 0.0)
        assert member(trusting, issuer.token()) == at_first
        assert issuer.asked == 4
        with pytest.raises(Unauthenticated):
            member(trusting, old)


def test_a_provider_that_is_none_is_told() -> None:
    """It is not there, is another one, or cannot be right by its settings."""
    with Issuer() as issuer:
        away = of(issuer, oidc_issuer="http://127.0.0.1:1")
        with pytest.raises(Unavailable, match=r"the identity provider 127\.0\.0\.1:1 does not answer as one: ConnectError"):
            member(away, issuer.token())
        issuer.told = {"issuer": "https://elsewhere.example"}
        with pytest.raises(Unavailable, match=r"calls itself https://elsewhere\.example: ASSAY_OIDC_ISSUER must be that"):
            member(of(issuer), issuer.token())
        with pytest.raises(Invalid, match="wants ASSAY_OIDC_CLIENT_ID too"):
            of(issuer, oidc_client_id="")
        with pytest.raises(Invalid, match="is asked by https"):
            of(issuer, oidc_issuer="http://id.example.org")


def granted(member: str, role: Role, *, key_hash: str | None = VOUCHED, expires_us: int | None = None) -> AccessChanged:
    """That a member is admitted."""
    return AccessChanged(
        occurred_us=0, producer=Producer(service="t", version="0", commit=""), subject=id_of_member(member), organisation="local",
        member=member, role=role, key_hash=key_hash, scopes=(), expires_us=expires_us, quota=7,
    )  # fmt: skip


def test_a_member_comes_in_by_their_name_or_by_their_domain() -> None:
    """As themselves; whoever was shut out by name does not come in by the other."""
    access = Access()
    for one in (granted("*@example.org", "reader"), granted("Ann@Example.org", "owner"), granted("sub:17", "submitter")):
        access.fold(one)
    names = ("ann@example.org", "bob@example.org", "eve@elsewhere.org", "sub:17", "17")
    told = {name: access.member(name, now_us=1, verified=True) for name in names}
    assert {name: grant and (grant.member, grant.role, grant.subject) for name, grant in told.items()} == {
        "ann@example.org": ("ann@example.org", "owner", "oidc:ann@example.org"),
        "bob@example.org": ("bob@example.org", "reader", "oidc:bob@example.org\n\n"),
        "eve@elsewhere.org": None, "sub:17": ("sub:17", "submitter", "oidc:sub:17"), "17": None,
    }  # fmt: skip
    access.fold(granted("bob@example.org", "reader", key_hash=None))
    access.fold(granted("ann@example.org", "owner", expires_us=1))
    assert access.member("bob@example.org", now_us=2, verified=True) is None
    assert access.member("ann@example.org", now_us=2, verified=True) is None
    assert access.any_open(now_us=2)


def test_a_domain_admits_by_addresses_alone_that_the_provider_has_verified(issuer: Issuer) -> None:
    """Not by the provider's own name for somebody, nor by one that people choose, whatever these look like; a session asks by it again."""
    access = Access()
    access.fold(granted("*@Example.org", "submitter"))

    def come(claims: dict[str, Any], **settings: Any) -> AccessChanged | None:
        vouched = asyncio.run(of(issuer, **settings).member(issuer.token(**claims)))
        return access.member(vouched.member, now_us=1, groups=vouched.groups, verified=vouched.verified)

    eve = "eve@example.org"
    assert come({"sub": eve, "email": None}) is None
    for verified in (False, None, "true"):
        told = {"preferred_username": eve, "email": eve, "email_verified": verified}
        assert come(told, oidc_claim="preferred_username") is None
    assert come({"preferred_username": eve, "email": "eve@elsewhere.org"}, oidc_claim="preferred_username") is None
    by_name = come({"preferred_username": "ann@example.org"}, oidc_claim="preferred_username")
    came = come({"email": "Bob@EXAMPLE.org"})
    assert by_name is not None and came is not None
    assert (came.role, came.member, came.subject) == ("submitter", "Bob@EXAMPLE.org", "oidc:bob@example.org\n\n")
    assert ids_of(came.subject) == ["oidc:bob@example.org", "oidc:*@example.org"]
    again = access.again(came.subject, now_us=1)
    assert again is not None and (again.role, again.subject) == (came.role, came.subject)
    assert access.again("oidc:bob@example.org", now_us=1) is None
    access.fold(granted("*@example.org", "submitter", key_hash=None))
    assert access.again(came.subject, now_us=1) is None


@pytest.mark.parametrize("name", ["ſam", "sam ", " sam", "sam\u0301", "\u212aim", "SAM\u3000"])
def test_nobody_has_the_grant_of_a_name_that_is_almost_theirs(name: str) -> None:
    """Nor of such a group: A to Z alone are as a to z."""
    access = Access()
    for one in ("sam", "kim", "%sam", "%kim"):
        access.fold(granted(one, "owner"))
    assert access.member(name, now_us=1) is None
    assert access.member("bob", now_us=1, groups=(name,)) is None
    assert all(access.member(one, now_us=1) for one in ("sam", "SAM", "Kim"))


def test_a_name_that_was_once_folded_is_its_own_alone() -> None:
    """An older grant of straße lies under strasse's id: it is straße's, and of two words about one member the later one holds."""
    access = Access()
    old = granted("straße", "owner").model_copy(update={"subject": "oidc:strasse"})
    new = granted("straße", "owner", key_hash=None).model_copy(update={"occurred_us": 1})
    access.fold(old)
    assert access.member("strasse", now_us=1) is None and access.member("straße", now_us=1) is not None
    for event in (new, old):
        access.fold(event)
    assert access.member("straße", now_us=1) is None


def test_a_token_names_the_groups_of_its_member(issuer: Issuer) -> None:
    """By the claim of the settings; what is no name of a group is none."""
    told = [(None, ()), (["a", "/b/c", "a", 7, "", "x\ny"], ("a", "b/c")), ("alone", ("alone",)), ({"a": 1}, ())]
    for groups, found in told:
        assert asyncio.run(of(issuer).member(issuer.token(groups=groups))).groups == found
    by_roles = asyncio.run(of(issuer, oidc_groups_claim="roles").member(issuer.token(roles=["r"], groups=["g"])))
    assert by_roles.groups == ("r",)


def test_a_group_is_admitted_whole() -> None:
    """By the group that may most; who was admitted or revoked by name stands for themselves; a session asks by its group again."""
    access = Access()
    roles: dict[str, Role] = {"%readers": "reader", "%Operators": "operator", "*@example.org": "reader", "bob@example.org": "submitter"}
    for name, role in roles.items():
        access.fold(granted(name, role))
    groups = ("readers", "operators", "nobodys")
    came = access.member("ann@example.org", now_us=1, groups=groups)
    assert came is not None
    assert (came.role, came.member, came.subject) == ("operator", "ann@example.org", "oidc:ann@example.org\noperators")
    assert access.again(came.subject, now_us=1) == came
    (by_name, by_domain) = (
        access.member(name, now_us=1, groups=groups[2:], verified=True) for name in ("bob@example.org", "ann@example.org")
    )
    assert by_name is not None and by_domain is not None
    assert (by_name.role, by_domain.role, by_domain.subject) == ("submitter", "reader", "oidc:ann@example.org\n\n")
    named = access.member("bob@example.org", now_us=1, groups=groups)
    assert named is not None and named.role == "submitter"
    access.fold(granted("%operators", "operator", key_hash=None))
    assert access.again(came.subject, now_us=1) is None  # they sign in anew, and come in by their domain
    access.fold(granted("bob@example.org", "submitter", key_hash=None))
    assert access.member("bob@example.org", now_us=1, groups=groups) is None


@pytest.mark.parametrize("name", ["%readers", "*@example.org", "%"])
def test_nobody_is_called_as_a_group_or_a_domain(name: str) -> None:
    """Where people choose their names themselves."""
    access = Access()
    for one in ("%readers", "*@example.org"):
        access.fold(granted(one, "owner"))
    assert access.member(name, now_us=1) is None


@pytest.mark.parametrize("name", ["sub:17", "ann\nreaders", "a\x00"])
def test_a_name_that_could_be_another_s_is_refused(issuer: Issuer, name: str) -> None:
    """As the provider's own number of somebody else, or a name with a group behind it."""
    with pytest.raises(Unauthenticated, match="a name that is none here"):
        member(of(issuer, oidc_claim="preferred_username"), issuer.token(preferred_username=name))


def test_the_provider_s_own_name_for_somebody_has_no_group_behind_it(issuer: Issuer) -> None:
    """Where it lets people choose that."""
    with pytest.raises(Unauthenticated, match="a name that is none here"):
        member(of(issuer), issuer.token(sub="17\nreaders", email=None))
