"""Every page in a real browser: on a desk and on a phone, in light and dark, with and without its script."""

from typing import Final, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from infra.harness.catalogue import BUNDLED_TASKS
from infra.settings import Settings
from tests.e2e.pages import WIDTHS, addresses, opened, visit
from tests.flow import get, post, until

pytestmark = [pytest.mark.integration, pytest.mark.e2e]
PAGES = tuple(addresses("run", "other"))
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
# Contrast takes most of axe's time, and what is drawn by one template has one contrast: of operations and shapes the first of each part.
COLOURS = {"runOnly": ["color-contrast"], "resultTypes": ["violations"]}
ALL_ELSE = {"rules": {"color-contrast": {"enabled": False}}, "resultTypes": ["violations"]}
ALIKE = {"exclude": [".operation:nth-of-type(n+4)"]}
# It takes minutes, and is cancelled: what is not complete is on no board.
MANY = {
    "model": {"uri": "echo-many"},
    "engine": {"name": "echo", "options": {"delay_ms": "1000"}},
    "tasks": [{"name": name} for name in BUNDLED_TASKS],
}


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(flow: Settings, browser: Browser, shown: tuple[str, str], name: str) -> None:
    """On a desk and on a phone, whose colours are the same; and in these, both light and dark."""
    page = opened(browser, flow)
    visit(page, f"{flow.api}{addresses(*shown)[name]}")
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page, context=ALIKE, options=COLOURS)
        assert found.violations_count == 0, f"{scheme}: {found.generate_report()}"
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        found = Axe().run(page, options=ALL_ELSE)
        assert found.violations_count == 0, f"{width}: {found.generate_report()}"
    page.context.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_its_screen(flow: Settings, browser: Browser, shown: tuple[str, str], width: int) -> None:
    """Wide tables scroll in themselves."""
    page = opened(browser, flow, width=width)
    for path in addresses(*shown).values():
        visit(page, f"{flow.api}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_every_page_is_whole_without_a_script(flow: Settings, browser: Browser, shown: tuple[str, str]) -> None:
    """With a heading of its own, and what it is about."""
    page, found = opened(browser, flow, script=False), {}
    for name, path in addresses(*shown).items():
        visit(page, f"{flow.api}{path}")
        found[name] = page.locator("h1").inner_text()
        assert page.locator("main section").count() >= 1
    assert len(set(found.values())) >= len(found) - 3  # two pages of samples, two boards and two comparisons share theirs


def test_the_page_of_a_run_tells_all_of_it(flow: Settings, browser: Browser, shown: tuple[str, str]) -> None:
    """Scores with intervals, speed with histograms, strips on one axis, each with a table; what was asked, and where it ran."""
    page = opened(browser, flow, script=False)
    visit(page, f"{flow.api}/runs/{shown[0]}")
    expect(page.locator("#scores tbody tr")).to_have_count(2)
    expect(page.locator("#scores svg.interval")).to_have_count(2)
    expect(page.locator("#speed")).to_contain_text("no meter here")
    assert page.locator("#speed svg.histogram").count() == 3
    for name in ("Requests in flight", "Time to first token", "Between tokens", "Samples answered", "Utilisation", "Memory"):
        expect(page.locator("#timeline .strip .what", has_text=name).first).to_be_visible()
    expect(page.locator("#timeline .attempt.finished")).to_have_count(3)
    expect(page.locator("#pins")).to_contain_text("assay submit /dev/stdin")
    expect(page.locator("#pins")).to_contain_text("name: assay_agreement")
    expect(page.locator("#pins summary", has_text="Where it ran")).to_be_visible()


def test_a_run_of_many_tasks_shows_them_as_one_until_each_is_asked_for(flow: Settings, browser: Browser) -> None:
    """On a desk and on a phone."""
    run_id = str(post(f"{flow.api}/v1/evaluations", json=MANY).raise_for_status().json()["run_id"])
    until(lambda: len(get(f"{flow.api}/v1/runs/{run_id}").json()["tasks"]) == len(BUNDLED_TASKS))
    try:
        for width in WIDTHS:
            page = opened(browser, flow, width=width)
            visit(page, f"{flow.api}/runs/{run_id}")
            expect(page.locator("#run .task:visible")).to_have_count(1)
            expect(page.locator("#run .task:visible")).to_contain_text("9 tasks")
            page.locator("#run summary", has_text="Each task").click()
            expect(page.locator("#run .task:visible")).to_have_count(10)
            assert Axe().run(page, options=ALL_ELSE).violations_count == 0
    finally:  # else it keeps the agents from others' runs
        post(f"{flow.api}/v1/runs/{run_id}/cancel", json={"by": "test"}).raise_for_status()


def test_samples_are_browsed_by_task_and_outcome(flow: Settings, browser: Browser, shown: tuple[str, str]) -> None:
    """Wrong ones only, page by page, each with its prompt, answer and what was expected."""
    page = opened(browser, flow, script=False)
    visit(page, f"{flow.api}/runs/{shown[0]}/samples")
    page.locator("[name=task]").select_option("assay_copy")
    page.locator("[name=outcome]").select_option("wrong")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".sample")).to_have_count(10)
    first = page.locator(".sample").first
    for heading in ("Prompt", "Answer", "Expected"):
        expect(first.locator("h3", has_text=heading)).to_be_visible()
    expect(first.locator(".values .bad")).to_have_text("wrong")
    page.get_by_role("link", name="Next page").click()
    expect(page.locator(".sample h2").first).to_contain_text("sample 10")
    visit(page, f"{flow.api}/runs/{shown[0]}/samples?task=assay_agreement")
    expect(page.locator(".sample").first.locator(".choices tbody tr")).to_have_count(2)
    expect(page.locator(".sample").first.get_by_text("expected")).to_be_visible()


def test_a_board_is_sorted_by_its_headings_without_a_script(flow: Settings, browser: Browser, shown: tuple[str, str]) -> None:
    """Again the other way round."""
    page = opened(browser, flow, script=False)
    visit(page, f"{flow.api}/leaderboard?board=task:assay_copy")
    for direction in ("descending", "ascending"):
        page.locator("thead a", has_text="Tokens/s").click()
        expect(page.locator("th", has_text="Tokens/s")).to_have_attribute("aria-sort", direction)
    assert page.locator(".ranking tbody tr").count() >= 2


def test_dead_letters_say_why_and_what_they_hold(flow: Settings, browser: Browser, shown: tuple[str, str]) -> None:
    """With the way to put them back."""
    page = opened(browser, flow, script=False)
    visit(page, f"{flow.api}/dead-letters")
    letter = page.locator(".letter", has_text="assay.requests.v1").filter(has_text="no event at all").first
    letter.locator("summary").click()
    expect(letter.locator("pre")).to_have_text("no event at all")
    expect(page.locator("#letters")).to_contain_text("assay dead-letters requeue ID")
    known = get(flow.clickhouse, params={"query": f"SELECT event_id FROM {flow.database}.dead_letters"}).text.split()
    assert letter.locator("code").first.inner_text() in known


def test_the_cluster_shows_its_agents(flow: Settings, browser: Browser, shown: tuple[str, str]) -> None:
    """By name, with their memory."""
    # Who has not been heard for some seconds is not told.
    until(lambda: {"agent-1", "agent-2"} <= {agent["agent_id"] for agent in get(f"{flow.api}/v1/agents").json()["agents"]})
    page = opened(browser, flow, script=False)
    visit(page, f"{flow.api}/cluster")
    expect(page.locator(".agent h2")).to_contain_text(["agent-1", "agent-2"])
    expect(page.locator(".agent").first).to_contain_text("GiB free")


def test_what_is_not_there_is_said_on_a_page(flow: Settings, browser: Browser, shown: tuple[str, str]) -> None:
    """In the dashboard's own style, with the status; programs get the document."""
    page = opened(browser, flow)
    for path, says in (("/runs/none", "no run none"), ("/leaderboard?board=none", "no board"), ("/nowhere", "Not Found")):
        answer = page.goto(f"{flow.api}{path}")
        assert answer is not None and answer.status == 404
        expect(page.locator("main")).to_contain_text(says)
        expect(page.get_by_role("link", name="Back to the overview")).to_be_visible()


def test_two_runs_are_compared_side_by_side(flow: Settings, browser: Browser, shown: tuple[str, str]) -> None:
    """Chosen in a form, told in words, with each task's difference."""
    page = opened(browser, flow, script=False)
    visit(page, f"{flow.api}/compare?a={shown[0]}")
    expect(page.locator("[name=a]")).to_have_value(shown[0])
    page.locator("[name=b]").select_option(shown[1])
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("#result tbody tr")).to_have_count(2)
    expect(page.locator("#result svg.interval")).to_have_count(2)
    expect(page.locator(".verdicts li", has_text="assay_copy")).to_contain_text("the same on all 20 shared samples")
    first = page.locator(".sample", has_text="assay_agreement").first
    expect(first.locator(".sides > div")).to_have_count(2)
    assert sorted(first.locator(".values b").all_inner_texts()) == ["right", "wrong"]


def test_a_slider_that_is_let_go_is_reckoned_by_the_server(flow: Settings, browser: Browser, shown: tuple[str, str]) -> None:
    """By the keyboard: the figures, the form and the address follow, and the slider keeps the focus. 98.32 - 2 = 96.32 USD an hour."""
    page = opened(browser, flow)
    visit(page, f"{flow.api}{addresses(*shown)['costs']}")
    hours = page.locator("#figures dd", has_text="hours")
    expect(hours).to_have_text("2,720 hours")
    rent = page.locator("#move input[name=rent]")
    rent.press("ArrowLeft")
    expect(hours).to_have_text("2,781 hours")
    expect(page.locator("#ask input[name=rent]")).to_have_value("96.32")
    expect(rent).to_be_focused()
    assert "rent=96.32" in page.url and "purchase=250141.8" in page.url
    page.context.close()


def test_runs_that_cannot_be_compared_are_told_why(flow: Settings, browser: Browser, shown: tuple[str, str]) -> None:
    """Beside the way back."""
    page = opened(browser, flow)
    answer = page.goto(f"{flow.api}/compare?a={shown[0]}&b=none")
    assert answer is not None and answer.status == 404
    expect(page.locator("main")).to_contain_text("no run none")
