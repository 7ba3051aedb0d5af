"""The command line as people and scripts use it, on the real stack: one JSON document on stdout, one line on stderr, exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from infra.settings import Settings
from tests.conftest import environment
from tests.flow import PATIENCE_S, get, until, until_listed

pytestmark = pytest.mark.integration
ECHO = ("--engine", "echo", "--model", "echo-cli")


def assay(flow: Settings, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """A command's end."""
    command = [sys.executable, "-m", "query_api.cli.main", *arguments]
    return subprocess.run(command, env=environment(flow), capture_output=True, text=True, timeout=PATIENCE_S, check=False, input=stdin)


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one document of a command that succeeded."""
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return dict(json.loads(done.stdout))


def test_submit_wait_samples_and_rank(flow: Settings) -> None:
    """The shapes that scripts rely on."""
    told = document(assay(flow, "submit", *ECHO, "--task", "assay_copy", "--limit", "8", "--wait", "--json"))
    assert told["state"] == "completed"
    (score,) = told["scores"]
    assert {"task", "metric", "filter", "value", "stderr", "samples", "not_scored"} <= score.keys()
    assert (score["task"], score["samples"]) == ("assay_copy", 8)
    run = document(assay(flow, "run", told["run_id"], "--json"))
    assert (run["state"], run["progress"]) == ("completed", 1.0)
    until_listed(flow, told["run_id"], samples=8)
    lines = assay(flow, "samples", told["run_id"], "--json").stdout.splitlines()
    assert [json.loads(line)["doc_id"] for line in lines] == list(range(8))
    until(lambda: told["run_id"] in {row["run_id"] for row in get(f"{flow.api}/v1/rankings?task=assay_copy").json().get("rows", ())})
    board = document(assay(flow, "rank", "--task", "assay_copy", "--json"))
    assert {"rank", "model", "score", "low", "high", "sealed", "audited"} <= board["rows"][0].keys()
    assert told["run_id"] in {one["run_id"] for one in document(assay(flow, "runs", "--json"))["runs"]}


def test_several_models_are_a_batch(flow: Settings) -> None:
    """A run for each, followed to its end."""
    told = document(
        assay(flow, "submit", "--engine", "echo", "--model", "cli-a", "--model", "cli-b", "--task", "assay_copy", "--limit", "2", "--wait",
              "--json")
    )  # fmt: skip
    assert [(run["model"], run["state"]) for run in told["runs"]] == [("cli-a", "completed"), ("cli-b", "completed")]
    assert all(run["scores"] for run in told["runs"])


def test_perf_has_its_shape(flow: Settings) -> None:
    """Figures in seconds; what is undefined is null."""
    told = document(
        assay(flow, "perf", *ECHO, "--profile", "constant", "--rate", "20", "--requests", "10", "--output-tokens", "4", "--wait", "--json")
    )
    assert (told["requests"], told["errors"], told["energy"]["joules"]) == (10, 0, None)
    assert {"mean", "p50", "p95", "p99"} == told["ttft_s"].keys() == told["itl_s"].keys() == told["e2e_s"].keys()
    assert told["client"]["overloaded"] in (True, False)  # which of them is this machine's load's matter


def test_a_load_is_run_again_and_again_and_told_together(flow: Settings) -> None:
    """One run after the other, of the same load."""
    told = document(assay(flow, "perf", *ECHO, "--profile", "constant", "--rate", "30", "--requests", "12", "--repeat", "2", "--json"))
    assert [(run["state"], run["requests"]) for run in told["runs"]] == [("completed", 12)] * 2
    assert set(told["repeated"]["runs"]) == {run["run_id"] for run in told["runs"]}
    assert {figure["n"] for figure in told["repeated"]["figures"]} == {2}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("submit", "--task", "assay_copy"), "which model?"),
        (("submit", *ECHO, "--task", "assay_copi", "--wait", "--json"), "did you mean assay_copy"),
        (("submit", "--model", "/nowhere/model", "--task", "assay_copy", "--wait", "--json"), "no such folder"),
        (("submit", *ECHO, "--task", "assay_copy", "--option", "fast"), "write name=value"),
        (("submit", "/nowhere.yaml"), "there is no file"),
        (("run", "none"), "no run none"),
        (("rank", "none"), "no board 'none'"),
        (("tail", "none"), "no topic 'none'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(flow: Settings, arguments: tuple[str, ...], says: str) -> None:
    """On stderr, with exit code 1 and no traceback."""
    done = assay(flow, *arguments)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_yaml_error_names_its_line(flow: Settings, tmp_path: Path) -> None:
    """Where to look."""
    path = tmp_path / "request.yaml"
    path.write_text("model: echo\ntasks: [assay_copy\nengine: {name: echo}\n")
    assert f"{path}, line 3" in assay(flow, "submit", str(path)).stderr


def test_a_request_file_runs(flow: Settings, tmp_path: Path) -> None:
    """Tasks by name or with settings, and a workload."""
    path = tmp_path / "request.yaml"
    path.write_text(
        "model: echo-file\nengine: {name: echo}\ntasks: [{name: assay_copy, limit: 3}, assay_text]\n"
        "workload: {profile: single, requests: 3, output_tokens: 2}\n"
    )
    told = document(assay(flow, "submit", str(path), "--wait", "--json"))
    assert {score["task"] for score in told["scores"]} == {"assay_copy", "assay_text"}


def test_ctrl_c_leaves_the_run_and_says_how_to_go_on(flow: Settings) -> None:
    """How to follow it, how to cancel it."""
    command = [sys.executable, "-m", "query_api.cli.main", "submit", *ECHO, "--option", "delay_ms=1000", "--task", "assay_copy", "--wait"]
    # A shell that runs tests in the background has SIGINT ignored, and children inherit that: here is a terminal's child.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    waiting = subprocess.Popen(command, env=environment(flow), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    with waiting:
        known: list[dict[str, Any]] = []
        give_up = time.monotonic() + PATIENCE_S
        while not known and time.monotonic() < give_up:
            known = [run for run in document(assay(flow, "runs", "--state", "running", "--json"))["runs"] if run["model"] == "echo-cli"]
        os.kill(waiting.pid, signal.SIGINT)
        _, errors = waiting.communicate(timeout=PATIENCE_S)
    run_id = known[0]["run_id"]
    assert waiting.returncode == 130
    assert f"assay run {run_id}" in errors and f"assay cancel {run_id}" in errors
    assert assay(flow, "cancel", run_id).returncode == 0


def test_topics_and_tail_read_the_log(flow: Settings) -> None:
    """Counts, and events as JSON lines."""
    rows = document(assay(flow, "topics", "--json"))["topics"]
    assert {row["topic"] for row in rows} >= {"assay.requests.v1", "assay.scores.v1"}
    told = assay(flow, "tail", "runs", "-n", "3").stdout.splitlines()
    assert [json.loads(line)["event"] for line in told] == ["RunChanged"] * len(told)


def test_without_an_api_the_reason_is_said(flow: Settings) -> None:
    """And what to look at."""
    done = assay(flow.model_copy(update={"api": "http://127.0.0.1:9"}), "runs")
    assert (done.returncode, "is the stack up? `assay status`" in done.stderr) == (1, True)


@pytest.mark.slow
def test_a_run_says_that_its_data_are_older_than_the_model(flow: Settings) -> None:
    """On the command line, for people and for scripts, on the page, and in its row of the board."""
    told = document(assay(flow, "submit", "--engine", "echo", "--model", "dated", "--task", "assay_copy", "--limit", "4",
                          "--model-published", "2024-07", "--wait", "--json"))  # fmt: skip
    run = document(assay(flow, "run", told["run_id"], "--json"))
    assert run["model_published"] == {"date": "2024-07", "source": "request"}
    (said,) = run["exposure"]
    assert said == "whether the model (2024-07, as its request says) has seen assay_copy is unknown: when these data were published is"
    assert [(task["data_published"], task["data_age"]) for task in run["tasks"]] == [(None, "unknown")]
    assert said in " ".join(assay(flow, "run", told["run_id"]).stdout.split())
    assert said in get(f"{flow.api}/runs/{told['run_id']}").text
    board = document(assay(flow, "rank", "--task", "assay_copy", "--json"))
    assert {row["data_age"] for row in board["rows"]} == {"unknown"}
    refused = assay(flow, "submit", "--engine", "echo", "--model", "dated", "--task", "assay_copy", "--model-published", "last July")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert "'last July' is no date; give the month or the day as YYYY-MM or YYYY-MM-DD" in refused.stderr
