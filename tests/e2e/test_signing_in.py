"""A browser signs in and out of a query API that wants keys."""

import pytest
from playwright.sync_api import Browser, expect
from pydantic import SecretStr

from infra.addresses import is_loopback
from infra.settings import Settings
from tests.doors import assay, closed_api
from tests.e2e.pages import PATIENCE_MS, opened, visit
from tests.identity import provider

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_a_person_signs_in_with_a_key_and_out_again(flow: Settings, browser: Browser) -> None:
    """With and without a script: the page that was asked for is shown then, in the key's member's name; a wrong key is said to be one."""
    key = assay(flow, "access", "create", "--member", "a-person")["key"]
    with closed_api(flow) as closed:
        for script in (True, False):
            page = opened(browser, closed, script=script)
            visit(page, f"{closed.api}/costs")
            expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
            page.get_by_label("API key").fill("mistyped")
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_role("alert")).to_contain_text("This key opens nothing")
            page.get_by_label("API key").fill(key)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url(f"{closed.api}/costs", timeout=PATIENCE_MS)
            expect(page.get_by_text("a-person")).to_be_visible()
            page.get_by_role("button", name="Sign out").click()
            page.wait_for_url(f"{closed.api}/signin", timeout=PATIENCE_MS)


def test_a_person_signs_in_by_the_identity_provider(flow: Settings, browser: Browser) -> None:
    """The page that was asked for is shown then, in the name that the provider vouches for; whoever it does not know here is told so."""
    assay(flow, "access", "admit", "*@example.org")
    people = (
        {"sub": str(number), "email": f"bob@{domain}", "email_verified": True} for number, domain in enumerate(("example.org", "other.org"))
    )
    with (
        provider(*people) as issuer,
        closed_api(flow, oidc_issuer=issuer, oidc_client_id="assay", oidc_client_secret=SecretStr("x")) as closed,
    ):
        for sub, told in (("1", "Nobody has admitted bob@other.org here"), ("0", "bob@example.org")):
            page = browser.new_page()
            page.route(lambda url: not is_loopback(url), lambda route: route.abort())  # the provider's page would have a stylesheet
            visit(page, f"{closed.api}/costs")
            page.get_by_role("link", name="Sign in with 127.0.0.1").click()
            page.get_by_role("button", name=sub, exact=True).click()
            page.wait_for_url(f"{closed.api}/**", timeout=PATIENCE_MS)
            expect(page.get_by_text(told).first).to_be_visible()
        expect(page).to_have_url(f"{closed.api}/costs")
