"""Dead letters put back, and requests tried dry, on the real stack by the command line."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from infra.kafka import Log
from infra.settings import Settings
from schemas.requests import EvaluationRequested
from streams.topics import REQUESTS
from tests.conftest import environment
from tests.flow import PATIENCE_S, request
from tests.integration.test_cli import ECHO, assay, document

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def letters(flow: Settings, *, at_least: int, holding: str) -> list[dict[str, Any]]:
    """The dead letters of requests for that reason, once there are so many."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        found = document(assay(flow, "dead-letters", "list", "--all", "-n", "1000", "--json"))["dead_letters"]
        kept = [one for one in found if (one["topic"], one["reason_code"]) == (REQUESTS.name, holding)]
        if len(kept) >= at_least:
            return kept
    raise AssertionError(f"not {at_least} letters within {PATIENCE_S} s")


def broken(flow: Settings) -> None:
    """Puts a torn request on the log."""

    async def act() -> None:
        async with Log(flow, client_id="test") as log:
            await log.publish_raw(REQUESTS.name, log.codec.encode(request("assay_copy"))[:-30], key=b"torn")

    asyncio.run(act())


def test_a_dead_letter_is_listed_shown_and_requeued_once(flow: Settings) -> None:
    """On its own topic, at a new place; a second time is refused; as it fails again, it is a letter of its own."""
    broken(flow)
    first = letters(flow, at_least=1, holding="corrupt-avro")[0]
    shown = document(assay(flow, "dead-letters", "show", first["letter_id"][:18], "--json"))
    assert (shown["letter_id"], shown["topic"], shown["requeued_as"]) == (first["letter_id"], REQUESTS.name, None)
    told = document(assay(flow, "dead-letters", "requeue", first["letter_id"], "--json"))
    assert told["requeued_as"].startswith(f"{REQUESTS.name}/{first['partition']}@")
    again = assay(flow, "dead-letters", "requeue", first["letter_id"])
    assert (again.returncode, len(again.stderr.splitlines())) == (1, 1)
    assert f"was requeued before, as {told['requeued_as']}" in again.stderr
    found = {f"{one['topic']}/{one['partition']}@{one['offset']}": one for one in letters(flow, at_least=2, holding="corrupt-avro")}
    assert found[told["requeued_as"]]["requeued_as"] is None
    left = document(assay(flow, "dead-letters", "list", "--json"))["dead_letters"]
    assert first["letter_id"] not in {one["letter_id"] for one in left}


def completed(flow: Settings, *words: str) -> list[str]:
    """What the shell is offered for the last word, as bash asks for it."""
    asked = {"_ASSAY_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(("assay", *words)), "COMP_CWORD": str(len(words))}
    command = [sys.executable, "-c", "import sys; sys.argv[0] = 'assay'; from query_api.cli.main import main; main()"]
    done = subprocess.run(command, env=environment(flow) | asked, capture_output=True, text=True, check=False)
    return done.stdout.split()


def test_the_shell_completes_runs_and_letters(flow: Settings) -> None:
    """By their beginning; where there is no API and no log it offers nothing, and says nothing."""
    before = len(letters(flow, at_least=0, holding="corrupt-avro"))
    broken(flow)
    letter = letters(flow, at_least=before + 1, holding="corrupt-avro")[-1]["letter_id"]
    told = document(assay(flow, "submit", *ECHO, "--task", "assay_copy", "--limit", "1", "--wait", "--json"))
    assert completed(flow, "run", told["run_id"][:30]) == [told["run_id"]]
    assert told["run_id"] in completed(flow, "samples", told["run_id"][:2])
    assert completed(flow, "run", "none") == []
    assert completed(flow, "dead-letters", "show", letter[:30]) == [letter]
    away = flow.model_copy(update={"api": "http://127.0.0.1:9", "kafka": "127.0.0.1:9"})
    assert completed(away, "run", "") == completed(away, "dead-letters", "show", "") == []


def test_a_dry_run_plans_and_produces_nothing(flow: Settings, tmp_path: Path) -> None:
    """Samples, requests and jobs as the planner would have them; no request reaches the log."""
    path = tmp_path / "request.yaml"
    path.write_text("model: echo-dry\nengine: {name: echo}\ntasks: [{name: assay_agreement, limit: 30, repeats: 2}, assay_copy]\n")
    plan = document(assay(flow, "submit", str(path), "--dry-run", "--json"))
    tasks = {task["task"]: task for task in plan["tasks"]}
    assert (tasks["assay_agreement"]["samples"], tasks["assay_agreement"]["requests"]) == (30, 60)
    assert plan["samples"] == 2 * 30 + tasks["assay_copy"]["samples"]
    assert plan["jobs"] == 2 + -(-tasks["assay_copy"]["samples"] // flow.samples_per_job)
    assert plan["s"] is None
    assert "echo-dry" not in asyncio.run(asked(flow))


async def asked(flow: Settings) -> set[str]:
    """The models that the log's requests are for."""
    async with Log(flow, client_id="test") as log:
        return {record.event.model.uri async for record in log.read([REQUESTS]) if isinstance(record.event, EvaluationRequested)}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((*ECHO, "--task", "assay_copi"), "did you mean assay_copy"),
        (("--model", "/nowhere/model", "--task", "assay_copy"), "no such folder"),
        ((*ECHO, "--task", "assay_copy", "--limit", "0"), "give 1 or more"),
        (("--engine", "ecko", "--model", "echo", "--task", "assay_copy"), "unknown engine 'ecko'"),
        (ECHO, "nothing to do"),
    ],
)
def test_a_dry_run_refuses_what_would_be_rejected(flow: Settings, arguments: tuple[str, ...], says: str) -> None:
    """With the planner's reason, in one line."""
    done = assay(flow, "submit", *arguments, "--dry-run", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("assay:")]) == 1
