"""Pages that keep themselves up to date, and what they leave alone while they do."""

import pytest
from playwright.sync_api import Browser, expect

from infra.settings import Settings
from tests.e2e.pages import PATIENCE_MS, completed, opened, submit, visit

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.e2e]
BAR = "document.querySelector(\"progress[aria-label='progress of live-model']\")"
MOVED = f"first => !{BAR} || {BAR}.value > first"


def test_a_run_appears_moves_and_is_ranked_without_a_reload(flow: Settings, browser: Browser) -> None:
    """From its submission to its row on the board, on one open page."""
    page = opened(browser, flow)
    visit(page, flow.api)
    expect(page.locator("[data-live]")).to_have_text("live", timeout=PATIENCE_MS)
    submit(flow, model="live-model", delay_ms=40, limit=60)
    running = page.locator(".runs progress[aria-label='progress of live-model']")
    expect(running).to_be_visible(timeout=PATIENCE_MS)
    first = int(running.get_attribute("value") or 0)
    page.wait_for_function(MOVED, arg=first, timeout=PATIENCE_MS)
    expect(page.locator("#ended")).to_contain_text("live-model", timeout=PATIENCE_MS)
    visit(page, f"{flow.api}/leaderboard?board=task:assay_copy")
    row = page.locator(".ranking tbody tr", has_text="live-model")
    expect(row).to_be_visible(timeout=PATIENCE_MS)
    expect(row.locator("svg.interval")).to_have_attribute("aria-label", "from 0.000 to 0.060")


def test_the_page_of_a_run_grows_and_keeps_what_is_open(flow: Settings, browser: Browser) -> None:
    """Scores and strips come as it runs; an opened table stays open, and the focused link focused."""
    run_id = submit(flow, model="growing-model", delay_ms=60, limit=40)
    page = opened(browser, flow)
    visit(page, f"{flow.api}/runs/{run_id}")
    table = page.locator("#timeline details", has_text="Attempts as a table")
    table.locator("summary").click(timeout=PATIENCE_MS)
    page.get_by_role("link", name="As JSON", exact=True).focus()
    completed(flow, run_id)
    expect(page.locator("h1 .state")).to_have_text("completed", timeout=PATIENCE_MS)
    expect(page.locator("#scores tbody tr")).to_have_count(2, timeout=PATIENCE_MS)
    expect(table).to_have_attribute("open", "")
    expect(page.locator(":focus")).to_have_text("As JSON")


def test_the_keyboard_reaches_content_first_and_the_menu_next(flow: Settings, browser: Browser) -> None:
    """The first stop skips to the content; then come the pages, in their order."""
    page = opened(browser, flow)
    visit(page, flow.api)
    stops = []
    for _ in range(4):
        page.keyboard.press("Tab")
        stops.append(page.locator(":focus").inner_text())
    assert stops == ["Skip to content", "Assay", "Overview", "Leaderboard"]
