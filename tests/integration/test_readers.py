"""A sentence read by a model that a real server process serves: whatever it writes is text, and stands beside what rules read."""

import signal
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest
from pydantic import SecretStr

from infra.settings import Settings
from tests.conftest import api_ready, end, free_ports, spawn, tied
from tests.flow import PATIENCE_S, get, post
from tests.models import tiny_llama
from tests.openai_server import NAME

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
KEY = "sk-of-the-reader"
SENTENCE = "a chatbot, 2 requests a second, prompts of 8 tokens, answers of 4 tokens"


@pytest.fixture(scope="module")
def reading(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """An API whose sentences a small random model reads too."""
    folder = tiny_llama(tmp_path_factory.mktemp("model"), template=True)
    served, api = free_ports(2)
    child = subprocess.Popen(tied("-m", "tests.openai_server", str(folder), str(served), NAME, KEY, at_our_end=signal.SIGKILL))
    reader = {"reader_url": f"http://127.0.0.1:{served}", "reader_model": NAME, "reader_key": SecretStr(KEY)}
    settings = stack.model_copy(update={"api": f"http://127.0.0.1:{api}", **reader})
    own = spawn("query_api", settings=settings)
    give_up = time.monotonic() + PATIENCE_S
    try:
        while not _answers(f"http://127.0.0.1:{served}/version"):
            assert time.monotonic() < give_up and child.poll() is None, "the server does not start"
            time.sleep(0.2)
        api_ready(settings, [own])
        yield settings
    finally:
        end(own)
        end(child)


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=60).is_success
    except httpx.TransportError:
        return False


def test_what_a_model_writes_is_shown_and_not_acted_on(reading: Settings) -> None:
    """A random model writes nonsense: nothing of it counts, it says so, and the rules' reading is there as without it."""
    told = post(f"{reading.api}/v1/requirements", json={"sentence": SENTENCE, "reader": True}).raise_for_status().json()
    plain = post(f"{reading.api}/v1/requirements", json={"sentence": SENTENCE}).json()
    assert told["requirement"] == plain["requirement"] and plain["by_model"] is None
    by_model = told["by_model"]
    assert (by_model["model"], by_model["requirement"]) == (NAME, {}) and by_model["refused"]
    assert {one["field"] for one in by_model["compared"]} >= {"traffic.rate"} and not any(one["same"] for one in by_model["compared"])
    page = get(f"{reading.api}/recommend", params={"sentence": SENTENCE, "reader": "1"}).text
    assert "What the model wrote" in page and "differs" in page and 'value="2/s"' in page and "Who may be chosen" not in page
    (asked, *_) = httpx.get(f"{reading.reader_url}/seen", timeout=60).json()["seen"]
    assert (
        asked["body"]["response_format"]["type"] == "json_schema" if "body" in asked else asked["response_format"]["type"] == "json_schema"
    )


@pytest.mark.parametrize("fault", ["html", "half", "nothing", "inside", "drop", "500"])
def test_a_server_that_fails_takes_nothing_away(reading: Settings, fault: str) -> None:
    """It is away, or has said nothing; the page keeps the sentence and says so."""
    httpx.post(f"{reading.reader_url}/faults", json={"faults": [fault] * 3}, timeout=60)
    answer = post(f"{reading.api}/v1/requirements", json={"sentence": SENTENCE, "reader": True})
    assert answer.status_code in (202, 200, 503), answer.text
    if answer.is_success:
        assert answer.json()["by_model"]["requirement"] == {}
    page = get(f"{reading.api}/recommend", params={"sentence": SENTENCE, "reader": "1"})
    assert page.status_code == 200 and SENTENCE in page.text
    httpx.post(f"{reading.reader_url}/faults", json={"faults": []}, timeout=60)
