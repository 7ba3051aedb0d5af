"""What tests of the dashboard share: a browser that reaches nothing but the stack, runs to look at, and waiting for them."""

import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from infra.settings import Settings
from tests.flow import PATIENCE_S, get, post

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
PATIENCE_MS = 180_000  # a stack that has just started, on a machine that may be busy
WIDTHS = (1280, 390)


def opened(browser: Browser, flow: Settings, *, width: int = 1280, script: bool = True, scheme: Any = "light") -> Page:
    """A page that fails the test on an error of its script, and on a request to anywhere but the API."""
    context = browser.new_context(viewport={"width": width, "height": 900}, java_script_enabled=script, color_scheme=scheme)
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"script error: {error}"))
    page.on("request", lambda request: _own(request.url, flow))
    return page


def _own(url: str, flow: Settings) -> None:
    if urlsplit(url).scheme != "data" and urlsplit(url).netloc != urlsplit(flow.api).netloc:
        pytest.fail(f"a page asks for something elsewhere: {url}")


def submit(flow: Settings, *, model: str, delay_ms: int = 0, limit: int = 20, perf: bool = True) -> str:
    """A run of the echo engine on two tasks."""
    body: dict[str, Any] = {
        "model": {"uri": model}, "engine": {"name": "echo", "options": {"delay_ms": str(delay_ms)}},
        "tasks": [{"name": "assay_copy", "limit": limit}, {"name": "assay_agreement", "limit": limit}],
    }  # fmt: skip
    if perf:
        body["workload"] = {"profile": "constant", "rate_per_s": 10, "duration_s": 3, "output_tokens": 6}
    return str(post(f"{flow.api}/v1/evaluations", json=body).raise_for_status().json()["run_id"])


def completed(flow: Settings, run_id: str) -> str:
    """The run's id, once it has ended and its scores and figures are there."""
    give_up, told = time.monotonic() + PATIENCE_S, {}
    while time.monotonic() < give_up:
        told = get(f"{flow.api}/v1/runs/{run_id}").json()
        complete = {score["task"] for score in told["scores"] if score["complete"]}
        if told["state"] == "completed" and complete == {task["task"] for task in told["tasks"]} and told["performance"]:
            return run_id
        time.sleep(0.2)
    raise AssertionError(f"{run_id} is not completed: {told}")


def visit(page: Page, address: str) -> None:
    """Opens the page; what the server breaks at is no page to look at."""
    answer = page.goto(address)
    assert answer is not None
    assert answer.status < 500, f"{address}: {answer.status}"


def addresses(run_id: str, other: str) -> dict[str, str]:
    """Every page with something on it, by name."""
    return {
        "overview": "/", "leaderboard": "/leaderboard", "board": "/leaderboard?board=task:assay_copy&sort=-score",
        "run": f"/runs/{run_id}", "samples": f"/runs/{run_id}/samples", "choices": f"/runs/{run_id}/samples?task=assay_agreement",
        "recommend": "/recommend?tasks=assay_copy&points=quality,goodput_per_s", "history": "/history?task=assay_copy",
        "predict": "/predict?model=some-8b&parameters=8000000000&weights_bytes=16000000000&kv_bytes_per_token=131072&engine=echo"
        "&hardware=NVIDIA+L40S&in_flight=8&input_tokens=512&output_tokens=128",
        "scores": "/predict/scores?model=some-1B&parameters=1000000000&tasks=assay_copy",
        "savings": f"/savings?run={run_id}&tasks=assay_copy&rate=1/s&input=5+tokens&output=5+tokens",
        "costs": "/costs?purchase=250141.8&running=6.37&rent=98.32&years=5&tokens_per_s=30576&spread=20+%25&source=quotes+of+2026-11",
        "form": "/compare", "compare": f"/compare?a={run_id}&b={other}",
        "parity": f"/parity?reference={run_id}&run={other}",
        "cluster": "/cluster", "dead letters": "/dead-letters", "acts": "/acts", "docs": "/docs", "missing": "/runs/none",
    }  # fmt: skip
