"""A task that the client brings: planned, answered, scored and aggregated by real processes, from the request alone."""

import asyncio
import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from infra.harness.building import build
from infra.harness.chat import Dress
from infra.harness.processes import ToScore, score_all
from infra.kafka import Log
from infra.pools import pool
from infra.settings import Settings
from query_api.cli.task_files import tasks_in
from schemas.measurements import Answer
from schemas.requests import Chat, EngineChoice, EvaluationRequested, TaskChoice
from streams.errors import Invalid
from streams.runs import TERMINAL
from streams.topics import BUILDS, DEAD_LETTERS, NOT_SCORED, RUN_SCORES, RUNS
from tests.conftest import end, spawn, stack_in
from tests.flow import PATIENCE_S, events_of, request
from tests.integration.test_harness import on_the_wire
from tests.integration.test_task_files import TASKS
from tests.unit.test_definitions import WHOLE

# What lm-eval and the libraries below it warn of is not ours to mend.
pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
TASK = WHOLE + "metadata:\n  version: 2.5\n"
LIMIT_S = 3.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Processors and an agent with a mirror of one data set; in a stack where no other shares their consumer groups."""
    folder = tmp_path_factory.mktemp("data") / "me__capitals" / "default"
    folder.mkdir(parents=True)
    rows = [{"country": f"Land {n}", "choices": ["Here", "There"], "answer": n % 2} for n in range(20)]
    (folder / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    holes = folder.parents[1] / "me__holes" / "default"
    holes.mkdir(parents=True)
    (holes / "train.jsonl").write_text("\n".join(map(json.dumps, [*rows[:5], {"country": "Far", "choices": ["a", "b"], "answer": 9}])))
    (holes / "test.jsonl").write_text("\n".join(map(json.dumps, [*rows[:5], {"country": "No land", "choices": [], "answer": 0}])))
    with stack_in(tmp_path_factory.mktemp("home")) as bare:
        settings = bare.model_copy(update={"datasets": folder.parents[1], "score_limit_s": LIMIT_S})
        children = [spawn("agents", name, settings=settings) for name in ("plan", "dispatch", "score", "settle", "rank")]
        children.append(spawn("gpu_agent", settings=settings.model_copy(update={"agent_id": "own"})))
        try:
            yield settings
        finally:
            for child in children:
                end(child)


async def run_of(settings: Settings, asked: EvaluationRequested) -> tuple[list[Any], list[Any], Any]:
    """The run's changes and figures once it is over, and the build of its task."""
    async with Log(settings, client_id="test") as log:
        await log.publish(asked)
        give_up = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up:
            changes = await events_of(log, RUNS, asked.run_id)
            if any(change.state in TERMINAL for change in changes):
                mine = {task.name for task in asked.tasks}
                built = [record.event async for record in log.read([BUILDS]) if getattr(record.event, "task", "") in mine]
                return changes, await events_of(log, RUN_SCORES, asked.run_id), built[-1] if built else None
            await asyncio.sleep(0.2)
    raise AssertionError(f"not over within {PATIENCE_S} s")


def test_a_task_of_ones_own_is_evaluated_from_the_request_alone(stack: Settings, tmp_path: Path) -> None:
    """Its definition travels in the request and is kept in the build: scoring and aggregating need no file."""
    file = tmp_path / "capitals.yaml"
    file.write_text(TASK)
    (told,) = tasks_in([file], trust_code=False)
    file.unlink()
    changes, figures, built = asyncio.run(run_of(stack, request(tasks=(TaskChoice.model_validate(told),))))
    assert changes[-1].state == "completed"
    complete = next(event for event in figures if event.complete)
    assert (complete.task, complete.scored) == ("capitals", 20)
    assert 0 <= complete.figures[0].value <= 1
    assert (built.task, built.task_version, json.loads(built.config_json)["definition"]) == ("capitals", "2.5", TASK)


def test_a_group_with_its_files_and_functions_is_evaluated_from_the_request_alone(stack: Settings, tmp_path: Path) -> None:
    """They are planned, scored and aggregated by processes that see none of the files; its tasks share their group."""
    for name, text in TASKS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    told = tasks_in([tmp_path / "tasks" / "lands.yaml"], trust_code=True)
    shutil.rmtree(tmp_path)
    changes, figures, _ = asyncio.run(run_of(stack, request(tasks=tuple(map(TaskChoice.model_validate, told)))))
    assert changes[-1].state == "completed"
    assert {(task.task, task.group, task.samples) for task in changes[0].plan.tasks} == {
        ("north", "lands", 4), ("lands::south", "lands", 4),
    }  # fmt: skip
    assert {event.task: event.scored for event in figures if event.complete} == {"north": 4, "lands::south": 4}


def test_rows_that_are_left_out_are_counted_in_the_log(stack: Settings) -> None:
    """In the build and in the plan, which says so."""
    definition = TASK.replace("task: capitals", "task: holes").replace("me/capitals", "me/holes")
    choice = TaskChoice(name="holes", definition=definition, skip_bad_rows=True)
    changes, figures, built = asyncio.run(run_of(stack, request(tasks=(choice,))))
    assert changes[-1].state == "completed"
    assert (built.samples, built.rows_skipped, changes[0].plan.tasks[0].rows_skipped) == (5, 1, 1)
    assert "me__holes/default/test.jsonl, line 6" in built.skipped_first
    assert (
        [warning for warning in changes[0].plan.warnings if "holes: 1 row was left out" in warning] == list(changes[0].plan.warnings) != []
    )
    assert next(event.scored for event in figures if event.complete) == 5
    rejected, _, _ = asyncio.run(run_of(stack, request(tasks=(choice.model_copy(update={"skip_bad_rows": False}),))))
    assert rejected[-1].state == "rejected" and "there are no choices" in rejected[-1].message


def test_examples_that_cannot_be_shown_are_told_apart_from_what_is_asked(stack: Settings) -> None:
    """In the plan of every run, whoever built the task. Without leave the run is refused."""
    definition = TASK.replace("task: capitals", "task: shown").replace("me/capitals", "me/holes")
    definition = definition.replace("test_split: test", "test_split: test\nfewshot_split: train")
    choice = TaskChoice(name="shown", definition=definition, fewshot=5, skip_bad_rows=True)
    for _ in range(2):
        changes, _, _ = asyncio.run(run_of(stack, request(tasks=(choice,))))
        assert changes[-1].state == "completed"
        (told,) = [warning for warning in changes[0].plan.warnings if "of which no few-shot example" in warning]
        assert told.startswith(
            "shown: 1 row was left out, of which no few-shot example can be made; few-shot document 5 (me__holes/default/"
        )
        assert told.endswith("train.jsonl, line 6), doc_to_target: the number 9 is no place of its 2 choices; give 0 to 1")
    rejected, _, _ = asyncio.run(run_of(stack, request(tasks=(choice.model_copy(update={"skip_bad_rows": False, "fewshot": 6}),))))
    assert rejected[-1].state == "rejected"


def test_an_option_that_an_engine_does_not_have_rejects_the_run_before_any_agent_has_it(stack: Settings) -> None:
    """Of a foreign producer too, with the one that was meant."""
    engine = EngineChoice(name="echo", options={"delay": "5"})
    changes, _, _ = asyncio.run(run_of(stack, request("assay_arithmetic", engine=engine)))
    assert [change.state for change in changes] == ["rejected"]
    assert (changes[-1].reason_code, changes[-1].message) == ("option", "engine echo has no option 'delay'; did you mean delay_ms?")


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("capitals", ("doc_to_text:", "doc_to_txt:"), "line 5: there is no field 'doc_to_txt'"),
        ("capitals", ('"{{choices}}"', "!function os.listdir"), "runs Python"),
        ("arc_easy", ("task: capitals", "task: arc_easy"), "there is a task 'arc_easy' already"),
        ("capitals", ('{{country}}', '{{ country.__class__.__mro__ }}'), "cannot be"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_definition_rejects_the_run(stack: Settings, name: str, change: tuple[str, str], says: str) -> None:
    """Also where a foreign producer asked, whom nothing has checked."""
    changes, _, _ = asyncio.run(run_of(stack, request(tasks=(TaskChoice(name=name, definition=TASK.replace(*change)),))))
    assert changes[-1].state == "rejected"
    assert says in changes[-1].message


def test_a_run_shows_that_it_trusts(stack: Settings) -> None:
    """In its plan, among what there is to be said."""
    trusted = TASK.replace("metadata:", "process_docs: !function copy.copy\nmetadata:").replace("task: capitals", "task: trusted")
    changes, _, _ = asyncio.run(run_of(stack, request(tasks=(TaskChoice(name="trusted", definition=trusted, trust_code=True),))))
    plan = changes[0].plan
    assert plan.tasks[0].trust_code
    assert [warning for warning in plan.warnings if "trusted may run Python" in warning] == list(plan.warnings) != []


def breaking() -> TaskChoice:
    """A task that breaks its scorer over some documents."""
    definition = TASK.replace("metadata:", "process_results: !function tests.breaking.process_results\nmetadata:")
    return TaskChoice(name="breaking", definition=definition.replace("task: capitals", "task: breaking"), trust_code=True)


def test_a_document_that_breaks_its_scorer_holds_up_no_run(stack: Settings) -> None:
    """Whether it ends the process or never ends: it is a dead letter, its sample is said to be not scored, and the others are scored."""
    asked = request(tasks=(breaking(),))
    changes, figures, _ = asyncio.run(run_of(stack, asked))
    assert (changes[-1].state, changes[-1].message) == ("completed", None)
    assert next(event.scored for event in figures if event.complete) == 18

    async def said() -> tuple[list[Any], list[Any]]:
        async with Log(stack, client_id="test") as log:
            letters = [record.event async for record in log.read([DEAD_LETTERS])]
            return await events_of(log, NOT_SCORED, asked.run_id), letters

    broken, letters = asyncio.run(said())
    reasons = {5: "scoring took longer than 3 s", 7: "the scoring process died over these answers"}
    assert {one.ordinal: one.reason for one in broken} == reasons
    assert {one.dead_letter_ref for one in broken} <= {letter.event_id for letter in letters}


def test_scoring_that_hears_nothing_ends_with_its_process(stack: Settings) -> None:
    """A limit holds also where code does not come back to Python."""
    made = build(breaking(), dress=Dress(Chat()), settings=stack)
    requests, prefixes = on_the_wire(made.samples[0])
    document = json.dumps(json.loads(made.samples[0].document) | {"country": "Out of Python"})
    answers = tuple(
        Answer(request_index=n, request_type="loglikelihood", finish_reason="none", prompt_tokens=0, loglikelihood=-1.0, is_greedy=False)
        for n in range(len(requests))
    )
    with pool(1) as processes, pytest.raises(BrokenProcessPool):
        processes.submit(score_all, [ToScore(made.config_json, document, 0, requests, prefixes, answers)], 0.5).result(PATIENCE_S)


def test_a_file_that_is_wrong_is_named_with_its_line(tmp_path: Path) -> None:
    """Before anything is asked."""
    file = tmp_path / "mine.yaml"
    file.write_text(TASK.replace("doc_to_text:", "doc_to_txt:"))
    with pytest.raises(Invalid, match=r"mine\.yaml, line 5: there is no field 'doc_to_txt'; did you mean doc_to_text\?"):
        tasks_in([file], trust_code=False)
    with pytest.raises(Invalid, match="there is no file"):
        tasks_in([tmp_path / "none.yaml"], trust_code=False)
    with pytest.raises(Invalid, match="--trust-code is for the tasks of --task-file"):
        tasks_in([], trust_code=True)
