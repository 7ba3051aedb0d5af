"""Runs of a model behind an address, through every process, beside the same model on the transformers engine."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.settings import Settings
from tests.conftest import end, free_ports, tied
from tests.flow import PATIENCE_S, get, post, until, until_listed
from tests.integration.test_cli import assay, document
from tests.models import tiny_llama
from tests.openai_server import NAME
from tests.secrecy import files_with

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
KEY = "sk-nobody-may-read-this"
TASKS = ("--task", "assay_agreement", "--task", "assay_copy", "--limit", "12")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model."""
    return tiny_llama(tmp_path_factory.mktemp("model"), template=True)


@pytest.fixture(scope="module")
def url(folder: Path, flow: Settings) -> Iterator[str]:
    """The address of a server, a process of its own, that has the model and wants a key; the agents keep it."""
    (port,) = free_ports(1)
    child = subprocess.Popen(tied("-m", "tests.openai_server", str(folder), str(port), NAME, KEY, at_our_end=signal.SIGKILL))
    address = f"http://127.0.0.1:{port}"
    (flow.home / "credentials").mkdir(exist_ok=True)
    (flow.home / "credentials" / "mine").write_text(f"{address}\n{KEY}\n")
    give_up = time.monotonic() + PATIENCE_S
    try:
        while True:
            try:
                httpx.get(f"{address}/version", timeout=60)
                break
            except httpx.TransportError:
                assert time.monotonic() < give_up and child.poll() is None, "the server does not start"
                time.sleep(0.2)
        yield address
    finally:
        end(child)


def ranked(flow: Settings) -> dict[str, dict[str, Any]]:
    """The rows of the task's board by their runs."""
    return {row["run_id"]: row for row in document(assay(flow, "rank", "--task", "assay_copy", "--json"))["rows"]}


def values(flow: Settings, run_id: str) -> dict[tuple[str, int, str], float]:
    """Every sample's values."""
    lines = map(json.loads, assay(flow, "samples", run_id, "--json").stdout.splitlines())
    return {(one["task"], one["doc_id"], one["metric"]): one["value"] for one in lines}


def test_a_served_model_has_the_scores_of_its_files(flow: Settings, url: str, folder: Path) -> None:
    """By likelihoods and by texts, sample by sample; its row says what is not known, and is not the other's. The server fails midway."""
    served = ("submit", "--url", url, "--credential", "mine", "--model", NAME, *TASKS, "--option", "retries=0", "--wait", "--json")
    # What is asked first is what the server can do; then it ends one connection of the first job's, which is then tried again.
    post(f"{url}/faults", json={"faults": [*[""] * 16, "drop"]})
    own, its = document(assay(flow, *served)), document(assay(flow, "submit", "--model", str(folder), *TASKS, "--wait", "--json"))
    assert post(f"{url}/faults", json={"faults": []}).is_success
    until_listed(flow, own["run_id"], its["run_id"], samples=24)
    found, wanted = values(flow, own["run_id"]), values(flow, its["run_id"])
    assert found == wanted
    assert {task for task, *_ in found} == {"assay_agreement", "assay_copy"}
    run = document(assay(flow, "run", own["run_id"], "--json"))
    assert (run["model_sha"], run["engine"]) == ("unknown", "openai")
    assert run["server"] == {
        "address": url, "model": NAME, "owner": "tests", "version": "1.2", "header": "tests/1", "max_len": 512,
        "apis": ["completions", "chat"], "likelihoods": "echo",
    }  # fmt: skip
    told = " ".join(assay(flow, "run", own["run_id"]).stdout.split())
    assert f"{url}, model {NAME}, tests 1.2 (tests/1), completions, chat, likelihoods by echo" in told
    assert "weights, dtype, quantisation and hardware are unknown" in told
    page = httpx.get(f"{flow.api}/runs/{own['run_id']}", timeout=60).text
    assert "likelihoods by echo" in page
    until(lambda: {own["run_id"], its["run_id"]} <= ranked(flow).keys())
    rows = ranked(flow)
    assert (rows[own["run_id"]]["hardware"], rows[own["run_id"]]["model_sha"]) == ("", "unknown")
    assert rows[its["run_id"]]["hardware"]
    assert "weights, dtype, quantisation unknown" in httpx.get(f"{flow.api}/leaderboard?board=task:assay_copy", timeout=60).text
    attempts = [json.loads(line) for line in assay(flow, "tail", "job-status", "-n", "200").stdout.splitlines()]
    failed = [one["error"]["message"] for one in attempts if one["run_id"] == own["run_id"] and one["state"] == "failed"]
    assert any("ended in the middle" in message for message in failed)


def test_a_chat_is_asked_for_as_one(flow: Settings, url: str) -> None:
    """Its messages reach the server, examples as turns; likelihoods of it are refused, once, in words."""
    chat = ("submit", "--url", url, "--credential", "mine", "--model", NAME, "--chat", "--wait", "--json")
    told = document(assay(flow, *chat, "--task", "assay_copy", "--limit", "3", "--fewshot", "1", "--multiturn"))
    assert told["scores"][0]["samples"] == 3
    asked = [one["messages"] for one in get(f"{url}/seen").json()["seen"] if "messages" in one]
    assert [one["role"] for one in asked[-1]] == ["user", "assistant", "user"]
    done = assay(flow, *chat, "--task", "assay_agreement", "--limit", "3")
    assert done.returncode != 0
    assert "leave --chat out" in done.stderr


def test_without_the_key_nothing_runs_and_it_is_nowhere(flow: Settings, url: str) -> None:
    """The run fails with what to do; no event, log or argument of a process holds a key that was used."""
    done = assay(flow, "submit", "--url", url, "--model", NAME, "--task", "assay_copy", "--limit", "2", "--wait", "--json")
    assert done.returncode != 0
    assert "answers 401" in done.stderr and "--credential NAME" in done.stderr
    assert files_with(flow.home, KEY) == []
