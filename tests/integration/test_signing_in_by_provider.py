"""People and programs come in by an identity provider, which runs beside the stack: who was admitted, as whom, and how it ends."""

import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from infra.settings import Settings
from tests.doors import assay, closed_api
from tests.flow import PATIENCE_S, get, post, until
from tests.identity import provider

pytestmark = [pytest.mark.integration, pytest.mark.slow]
ANN = {"sub": "1", "email": "ann@example.org", "email_verified": True}
EVE = {"sub": "2", "email": "eve@elsewhere.org", "email_verified": True}
MALLORY = {"sub": "3", "email": "ann@example.org", "email_verified": False}


GUS = {"sub": "4", "email": "gus@elsewhere.org", "email_verified": True, "groups": ["/measurers", "others"]}


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """A provider that knows four people."""
    with provider(ANN, EVE, MALLORY, GUS) as address:
        yield address


@pytest.fixture(scope="module")
def door(flow: Settings, issuer: str) -> Iterator[Settings]:
    """An API that trusts it; Ann is admitted."""
    assay(flow, "access", "admit", "ann@example.org", "--role", "submitter")
    with closed_api(flow, oidc_issuer=issuer, oidc_client_id="assay", oidc_client_secret=SecretStr("a-secret")) as settings:
        yield settings


def signed_in(browser: httpx.Client, door: Settings, sub: str, *, action: str = "") -> httpx.Response:
    """What a browser is answered that goes to the provider from a page, signs in there as somebody, and comes back."""
    led = browser.get(f"{door.api}/costs", headers={"Accept": "text/html"})
    form = browser.get(f"{door.api}{led.headers['location']}")
    assert "/signin/leave?next=%2Fcosts" in form.text.replace("next=/costs", "next=%2Fcosts")
    left = browser.get(f"{door.api}/signin/leave?next=%2Fcosts")
    asked = parse_qs(urlsplit(left.headers["location"]).query)
    assert (asked["code_challenge_method"], asked["redirect_uri"]) == (["S256"], [f"{door.api}/signin/back"])
    back = post(left.headers["location"], data={"sub": sub, "action": action} if action else {"sub": sub})
    return browser.get(back.headers["location"])


def come_in(browser: httpx.Client, door: Settings, sub: str) -> None:
    """Signs in, once the API has read who is admitted."""
    give_up = time.monotonic() + PATIENCE_S
    while (answer := signed_in(browser, door, sub)).status_code != 303:
        assert "as admitted ann@example.org here" in answer.text and time.monotonic() < give_up, answer.text
        time.sleep(0.3)
    assert answer.headers["location"] == "/costs"


def test_a_person_signs_in_by_the_provider_and_is_shut_out(door: Settings) -> None:
    """A page is theirs and in their name, and so is what they ask for; once they are shut out, within seconds nothing is."""
    with httpx.Client(timeout=60) as browser:
        come_in(browser, door, "1")
        assert "ann@example.org" in browser.get(f"{door.api}/costs").text
        run = {"model": {"uri": "m"}, "engine": {"name": "echo"}, "tasks": [{"name": "assay_copy", "limit": 1}], "submitter": "mallory"}
        asked = browser.post(f"{door.api}/v1/evaluations", json=run, headers={"Origin": door.api})
        assert asked.status_code == 202
        assay(door, "access", "revoke", "ann@example.org")
        give_up = time.monotonic() + PATIENCE_S
        while browser.get(f"{door.api}/v1/runs").status_code != 401:
            assert time.monotonic() < give_up
            time.sleep(0.3)
        assert assay(door, "access", "admit", "ann@example.org", "--role", "submitter")["state"] == "open"
        listed = {one["member"]: (one["key_id"], one["role"], one["state"]) for one in assay(door, "access", "list")["keys"]}
        assert listed["ann@example.org"] == ("oidc:ann@example.org", "submitter", "open")


def test_who_was_not_admitted_who_is_not_who_they_say_and_who_says_no(door: Settings) -> None:
    """None of them comes in, and each is told why; nor does a browser that began its sign-in elsewhere."""
    with httpx.Client(timeout=60) as browser:
        stranger = signed_in(browser, door, "2")
        assert stranger.status_code == 401 and "assay access admit eve@elsewhere.org" in stranger.text
        unverified = signed_in(browser, door, "3")
        assert unverified.status_code == 401 and "has not verified that ann@example.org is yours" in unverified.text
        denied = signed_in(browser, door, "1", action="deny")
        assert denied.status_code == 401 and "signed nobody in" in denied.text
        assert browser.get(f"{door.api}/v1/runs").status_code == 401
        left = browser.get(f"{door.api}/signin/leave?next=//evil.example")
        back = post(left.headers["location"], data={"sub": "1"}).headers["location"]
    with httpx.Client(timeout=60) as other:
        assert "began elsewhere" in other.get(back).text
        assert other.get(back.replace("code=", "code=x")).status_code == 401
        assert other.get(f"{door.api}/signin/back?state=%C3%A9&code=1").status_code == 401


def test_a_group_of_the_provider_s_is_let_in_and_shut_out(door: Settings) -> None:
    """Whoever it says is in it comes in, as the group may, in their own name; once it is shut out, within seconds nobody is."""
    with httpx.Client(timeout=60) as browser:
        stranger = signed_in(browser, door, "4")
        assert stranger.status_code == 401 and "admit a group of theirs" in stranger.text
        assay(door, "access", "admit", "%measurers", "--role", "operator")
        until(lambda: signed_in(browser, door, "4").status_code == 303)
        assert "gus@elsewhere.org" in browser.get(f"{door.api}/costs").text
        gone = "/v1/runs/00000000-0000-7000-8000-000000000000/retraction"
        assert browser.post(f"{door.api}{gone}", json={"reason": "x"}, headers={"Origin": door.api}).status_code == 404
        assert browser.get(f"{door.api}/v1/acts").status_code == 403
        listed = {one["key_id"]: one for one in assay(door, "access", "list")["keys"]}
        assert (listed["oidc:%measurers"]["role"], listed["oidc:%measurers"]["last_used"] is None) == ("operator", False)
        assay(door, "access", "revoke", "%measurers")
        until(lambda: browser.get(f"{door.api}/v1/runs").status_code == 401)


def test_a_program_shows_a_token_of_the_provider(door: Settings, issuer: str) -> None:
    """One that was made out for this API; one for another opens nothing."""
    with httpx.Client(timeout=60) as browser:
        come_in(browser, door, "1")
    token, foreign = (_token(issuer, client) for client in ("assay", "another"))
    mine = {"Authorization": f"Bearer {token}"}
    assert get(f"{door.api}/v1/runs", headers=mine).status_code == 200
    retracted = post(f"{door.api}/v1/runs/00000000-0000-7000-8000-000000000000/retraction", json={"reason": "x"}, headers=mine)
    assert retracted.status_code in (403, 404), retracted.text
    refused = get(f"{door.api}/v1/runs", headers={"Authorization": f"Bearer {foreign}"})
    assert refused.status_code == 401 and "no token of" in refused.json()["detail"]


def _token(issuer: str, client: str) -> str:
    """A token that a program gets for Ann."""
    asked = {"response_type": "code", "client_id": client, "redirect_uri": "http://127.0.0.1:1/", "scope": "openid email", "nonce": "n"}
    back = post(f"{issuer}/oauth2/authorize", params=asked, data={"sub": "1"}).headers["location"]
    code = parse_qs(urlsplit(back).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": asked["redirect_uri"]}
    return str(post(f"{issuer}/oauth2/token", data=form, auth=(client, "any")).raise_for_status().json()["id_token"])
