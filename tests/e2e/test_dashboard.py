"""The dashboard in a real browser: readable without a script, live with one, on a desk and on a phone."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from infra.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.e2e]
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
PATIENCE_MS = 60_000
BAR = "document.querySelector(\"progress[aria-label='progress of live-model']\")"
MOVED = f"first => !{BAR} || {BAR}.value > first"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, with a fresh profile."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


def page(browser: Browser, *, width: int = 1280, script: bool = True) -> Page:
    """A page that fails the test on any error of its script."""
    context = browser.new_context(viewport={"width": width, "height": 900}, java_script_enabled=script)
    opened = context.new_page()
    opened.on("pageerror", lambda error: pytest.fail(f"script error: {error}"))
    return opened


def submit(flow: Settings, *, model: str, delay_ms: int = 0, limit: int = 20) -> str:
    """A run of the echo engine."""
    engine = {"name": "echo", "options": {"delay_ms": str(delay_ms)}}
    body: dict[str, Any] = {"model": {"uri": model}, "engine": engine, "tasks": [{"name": "assay_copy", "limit": limit}],
                            "workload": {"profile": "single", "requests": 4, "output_tokens": 6}}  # fmt: skip
    return str(httpx.post(f"{flow.api}/v1/evaluations", json=body).raise_for_status().json()["run_id"])


def completed(flow: Settings, run_id: str) -> None:
    """Waits for a run's end, its ranking and its figures."""
    give_up = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < give_up:
        told = httpx.get(f"{flow.api}/v1/runs/{run_id}").json()
        if told["state"] == "completed" and told["scores"] and told["performance"]:
            return
        time.sleep(0.2)
    raise AssertionError(f"{run_id} is not completed: {told}")


def test_a_run_appears_moves_and_is_ranked_without_a_reload(flow: Settings, browser: Browser) -> None:
    """From its submission to its row on the board, on one open page."""
    opened = page(browser)
    opened.goto(flow.api)
    expect(opened.locator("[data-live]")).to_have_text("live", timeout=PATIENCE_MS)
    submit(flow, model="live-model", delay_ms=40, limit=60)
    running = opened.locator(".runs progress[aria-label='progress of live-model']")
    expect(running).to_be_visible(timeout=PATIENCE_MS)
    first = int(running.get_attribute("value") or 0)
    opened.wait_for_function(MOVED, arg=first, timeout=PATIENCE_MS)
    expect(opened.locator("section[aria-labelledby=h-ended]")).to_contain_text("live-model", timeout=PATIENCE_MS)
    opened.goto(f"{flow.api}/?board=task:assay_copy")
    row = opened.locator(".ranking tbody tr", has_text="live-model")
    expect(row).to_be_visible(timeout=PATIENCE_MS)
    expect(row.locator("svg.interval")).to_have_attribute("aria-label", "from 0.000 to 0.000")


def test_everything_is_there_without_a_script(flow: Settings, browser: Browser) -> None:
    """Ranking with intervals, latency, agents; the page of the run with its scores."""
    run_id = submit(flow, model="plain-model")
    completed(flow, run_id)
    opened = page(browser, script=False)
    opened.goto(flow.api)
    expect(opened.locator("h2")).to_contain_text(["Running", "Ranking", "Time to first token", "Ended", "Agents"])
    assert opened.locator(".latency svg").count() >= 1
    opened.get_by_role("link", name="plain-model").first.click()
    expect(opened.locator("h1")).to_contain_text("plain-model")
    expect(opened.locator("section[aria-labelledby=h-scores] tbody tr")).to_have_count(1)
    expect(opened.locator("section[aria-labelledby=h-speed]")).to_contain_text("no meter here")
    assert opened.locator("svg.histogram").count() >= 1


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_its_screen(flow: Settings, browser: Browser, width: int, tmp_path: Path) -> None:
    """On a desk and on a phone."""
    run_id = submit(flow, model=f"model-with-a-rather-long-name-{width}")
    completed(flow, run_id)
    opened = page(browser, width=width)
    for path in ("/", f"/runs/{run_id}", "/docs"):
        opened.goto(f"{flow.api}{path}")
        opened.screenshot(path=tmp_path / "page.png", full_page=True)
        assert opened.evaluate("document.documentElement.scrollWidth") <= width


def test_a_page_of_no_run_says_so(flow: Settings, browser: Browser) -> None:
    """Rather than an empty page."""
    opened = page(browser)
    answer = opened.goto(f"{flow.api}/runs/none")
    assert answer is not None and answer.status == 404
    expect(opened.locator("body")).to_contain_text("no run none")


def test_the_keyboard_reaches_content_first(flow: Settings, browser: Browser) -> None:
    """The first stop skips to the content."""
    opened = page(browser)
    opened.goto(flow.api)
    opened.keyboard.press("Tab")
    expect(opened.locator(":focus")).to_have_text("Skip to content")
