"""A run of as many documents as MMLU has, its agent killed again and again: it ends, every sample counts once, and what broke is said."""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from infra.kafka import Log
from infra.replay import verify
from schemas.requests import EngineChoice, TaskChoice
from schemas.trust import DeadLettered
from streams.topics import ANSWERS, DEAD_LETTERS, NOT_SCORED, SCORES
from tests.conftest import environment
from tests.faults import Stack, faulty
from tests.flow import events_of, get, request

pytestmark = [pytest.mark.kill, pytest.mark.timeout(600), pytest.mark.filterwarnings("ignore")]
SAMPLES, KILLS, BROKEN = 14_042, 5, 7_021
SAID = "1 of 14,042 not scored"
# The last number of the answer counts; one of them is mapped to nothing, over which lm-eval's metric raises.
NUMBERS = json.dumps({str(n): str(n) for n in range(97)} | {str(BROKEN): None})
TASK = rf"""task: shelf
dataset_path: me/shelf
output_type: generate_until
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs:
  until: ["\n"]
filter_list:
  - name: last
    filter:
      - function: regex
        regex_pattern: "(\\d+)"
        group_select: -1
      - function: map
        mapping_dict: {NUMBERS}
        default_value: none
      - function: take_first
metric_list:
  - metric: exact_match
"""
PROCESSES = ("agents.plan", "agents.dispatch", "agents.score", "agents.settle", "agents.rank", "agents.project", "gpu_agent", "query_api")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own, with a data set in which one document is odd."""
    folder = tmp_path_factory.mktemp("data") / "me__shelf" / "default"
    folder.mkdir(parents=True)
    rows = [{"question": f"book {n}" + ("" if n == BROKEN else f" costs {n % 97}"), "answer": f"{n % 97}"} for n in range(SAMPLES)]
    (folder / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    # A job that meets every kill is otherwise given up after its third attempt.
    with faulty(tmp_path_factory.mktemp("home"), datasets=folder.parents[1], max_attempts=KILLS + 3) as made:
        made.start("broker", "registry", "clickhouse", *PROCESSES)
        made.until(made.ready, what="the stack is up")
        yield made


def told(stack: Stack, run_id: str) -> dict[str, Any]:
    """The run, as the API tells it; nothing while it does not."""
    answer = stack.get(f"/v1/runs/{run_id}")
    return dict(answer.json()) if answer is not None and answer.is_success else {}


def answered(stack: Stack, run_id: str) -> int:
    """How many samples have an answer."""
    return sum(task["answered"] for task in told(stack, run_id).get("tasks", ()))


def test_a_long_run_goes_on_where_its_agent_was_killed_and_says_what_it_could_not_score(stack: Stack) -> None:
    """Killed at random moments of its progress; one document breaks its scorer, is a dead letter, and holds up nothing."""
    chance = random.Random(os.environ.get("ASSAY_TEST_SEED", "long run"))
    engine = EngineChoice(name="echo", options={"delay_ms": "1"})
    asked = request(tasks=(TaskChoice(name="shelf", definition=TASK),), engine=engine)

    async def ask() -> None:
        async with Log(stack.settings, client_id="test") as log:
            await log.publish(asked)

    asyncio.run(ask())
    for moment in sorted(chance.sample(range(1, SAMPLES * 9 // 10), KILLS)):
        stack.until(lambda least=moment: answered(stack, asked.run_id) >= least, what=f"{moment} answers")  # type: ignore[misc]
        stack.kill("gpu_agent")
        stack.start("gpu_agent")
    stack.until(lambda: told(stack, asked.run_id).get("state") not in (None, "requested", "planned", "running"), what="the run's end")
    stack.until(lambda: bool(told(stack, asked.run_id)["unscored"]), what="the sample that was not scored is told")
    run = told(stack, asked.run_id)
    assert (run["state"], run["message"], run["unscored"]) == ("completed", None, SAID)
    asyncio.run(counted(stack, asked.run_id))
    said_everywhere(stack, asked.run_id)
    verdict = asyncio.run(verify(stack.settings, run_id=None, told=lambda _text: None))
    assert verdict.equal, verdict.difference
    assert stack.ended == []


async def counted(stack: Stack, run_id: str) -> None:
    """Every sample is answered and settled once; little was answered twice; the letter of the broken one holds its answer."""
    async with Log(stack.settings, client_id="test") as log:
        (broken,) = await events_of(log, NOT_SCORED, run_id)
        scored = await events_of(log, SCORES, run_id)
        records = [record async for record in log.read([ANSWERS]) if getattr(record.event, "run_id", None) == run_id]
        letters = [record.event async for record in log.read([DEAD_LETTERS]) if isinstance(record.event, DeadLettered)]
    times = Counter(record.event.ordinal for record in records)  # type: ignore[union-attr]
    assert sorted(times) == list(range(SAMPLES))
    assert sum(times.values()) - SAMPLES < KILLS * stack.settings.samples_per_job
    assert sorted(event.ordinal for event in scored) == [n for n in range(SAMPLES) if n != BROKEN]
    assert broken.ordinal == BROKEN
    assert "TypeError" in broken.reason
    letter = next(one for one in letters if one.event_id == broken.dead_letter_ref)
    assert letter.reason_code == "not-scorable"
    assert letter.payload in [record.payload for record in records if record.event.ordinal == BROKEN]  # type: ignore[union-attr]


def said_everywhere(stack: Stack, run_id: str) -> None:
    """The page and the command line say it in the same words; the page leads to why."""
    assert SAID in get(f"{stack.settings.api}/runs/{run_id}").text
    samples = get(f"{stack.settings.api}/runs/{run_id}/samples", params={"sort": "value"}).text
    assert f"sample {BROKEN}" in samples
    assert "TypeError" in samples
    command = [sys.executable, "-m", "query_api.cli.main", "run", run_id]
    shown = subprocess.run(command, check=False, env=environment(stack.settings), capture_output=True, text=True, timeout=120)
    assert SAID in shown.stdout, shown.stderr
