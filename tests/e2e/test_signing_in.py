"""A browser signs in and out of a query API that wants keys."""

import pytest
from playwright.sync_api import Browser, expect

from infra.settings import Settings
from tests.doors import assay, closed_api
from tests.e2e.pages import PATIENCE_MS, opened, visit

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
