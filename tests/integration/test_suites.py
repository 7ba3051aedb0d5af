"""Suites planned for real: pins against the data that are here, tasks that cannot run; and every task of every suite built and scored."""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gpu_agent.engines.echo import Echo
from gpu_agent.engines.engine import EngineRequest
from infra.harness.aggregating import aggregate
from infra.harness.building import BuiltSample, build
from infra.harness.chat import Dress
from infra.harness.scoring import Scorer
from infra.kafka import Log
from infra.settings import Settings
from infra.suites.reading import Member, names, suite
from schemas.event import Text
from schemas.measurements import Answer
from schemas.requests import Chat, EvaluationRequested, ModelRef, TaskChoice
from schemas.runs import Published, RunChanged
from streams.quality.exposure import in_words
from streams.topics import RUNS
from tests.conftest import end, spawn, stack_in
from tests.flow import PATIENCE_S, events_of, request
from tests.integration.test_harness import mirror, on_the_wire

# What lm-eval and the libraries below it warn of is not ours to mend.
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]
BUNDLED, MIRRORED, MISSING = TaskChoice(name="assay_copy"), TaskChoice(name="arc_easy"), TaskChoice(name="hellaswag")
SAMPLES = 4
SAID = "what is said of nothing"  # where the prompt's last line is empty, so is its echo, and a text without words is undefined


@pytest.fixture(scope="module")
def planner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A planner whose mirror has arc_easy, on data of our own, and nothing else; in a stack where no other shares its consumer group."""
    with stack_in(tmp_path_factory.mktemp("home")) as stack:
        settings = stack.model_copy(update={"datasets": mirror(tmp_path_factory.mktemp("data"))})
        child = spawn("agents", "plan", settings=settings)
        try:
            yield settings
        finally:
            end(child)


def planned(settings: Settings, *choices: TaskChoice, **told: Any) -> RunChanged:
    """What the planner says of a request for these tasks."""
    asked = request(tasks=choices, **told)
    return asyncio.run(_planned(settings, asked))


async def _planned(settings: Settings, asked: EvaluationRequested) -> RunChanged:
    async with Log(settings, client_id="test") as log:
        await log.publish(asked)
        give_up = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up:
            if found := await events_of(log, RUNS, asked.run_id):
                change: RunChanged = found[0]
                return change
            await asyncio.sleep(0.2)
    raise AssertionError(f"no plan within {PATIENCE_S} s")


@pytest.mark.slow
def test_other_data_than_pinned_are_told_or_refused(planner: Settings) -> None:
    """The run is planned and says so; with `pinned` it is rejected; with its own sha there is nothing to say."""
    other = MIRRORED.model_copy(update={"version": "0.9", "data_revision": "f" * 64})
    told = planned(planner, other)
    assert told.plan is not None
    assert len(told.plan.warnings) == 2
    assert "arc_easy is version 1.0 here, and pinned to 0.9" in told.plan.warnings
    refused = planned(planner, other, pinned=True)
    assert (refused.state, refused.reason_code) == ("rejected", "pins-differ")
    same = build(MIRRORED, dress=Dress(Chat()), settings=planner).data_sha
    fitting = planned(planner, MIRRORED.model_copy(update={"version": "1.0", "data_revision": same}), pinned=True)
    assert fitting.plan is not None
    assert fitting.plan.warnings == ()


def test_tasks_that_cannot_run_are_named_at_once_or_left_out(planner: Settings) -> None:
    """Rejected with every name; planned without them where the request says so; rejected where none is left."""
    gsm = TaskChoice(name="gsm8k")
    told = planned(planner, BUNDLED, MISSING, gsm)
    assert (told.state, told.reason_code) == ("rejected", "no-data")
    assert told.message is not None and "hellaswag" in told.message and "gsm8k" in told.message
    without = planned(planner, BUNDLED, MISSING, gsm, skip_missing=True)
    assert without.plan is not None
    assert [task.task for task in without.plan.tasks] == ["assay_copy"]
    assert [one.task for one in without.plan.skipped] == ["hellaswag", "gsm8k"]
    assert planned(planner, MISSING, gsm, skip_missing=True).state == "rejected"


def test_a_plan_knows_its_suite_and_groups(planner: Settings) -> None:
    """As the request had them."""
    told = planned(planner, MIRRORED.model_copy(update={"group": "g"}), suite="mine", suite_version="3")
    assert told.plan is not None
    assert (told.plan.suite, told.plan.suite_version, told.plan.tasks[0].group) == ("mine", "3", "g")


def test_a_plan_knows_when_its_data_and_its_model_were_published(planner: Settings) -> None:
    """Data by the task's name, in a suite or not; the model by the request. Bundled data and a model without files have no date."""
    told = planned(planner, MIRRORED, BUNDLED, model_published="2024-07")
    assert told.plan is not None
    assert [task.data_published for task in told.plan.tasks] == ["2018-03", None]
    assert told.plan.model_published == Published(date="2024-07", source="request")
    older, unknown = in_words(told.plan.model_published, told.plan.tasks)
    assert older.endswith("it may have seen arc_easy (2018-03)")
    assert "has seen assay_copy is unknown" in unknown
    silent = planned(planner, MIRRORED)
    assert silent.plan is not None and silent.plan.model_published is None
    refused = planned(planner, BUNDLED, model_published="July")
    assert (refused.state, refused.reason_code) == ("rejected", "date")


def answers(sample: BuiltSample) -> tuple[Answer, ...]:
    """The sample's answers by the echo engine."""
    engine = Echo()
    engine.load(ModelRef(uri="echo"), options={}, device="cpu")
    asked = [
        EngineRequest(index, call.request_type, call.prefix + call.context, call.continuation, draw=draw)
        for index, call in enumerate(sample.requests) for draw in range(call.repeats)
    ]  # fmt: skip
    return tuple(
        Answer(
            request_index=one.index, request_type=sample.requests[one.index].request_type, draw=one.draw, finish_reason="stop",
            prompt_tokens=one.prompt_tokens, output=Text.plain(one.output or SAID) if one.output is not None else None,
            loglikelihood=one.loglikelihood, is_greedy=one.is_greedy,
        )
        for one in engine.answer(asked)
    )  # fmt: skip


def every_member() -> list[Member]:
    """The tasks of all suites, each once with each number of examples."""
    return list({(member.task, member.fewshot): member for name in names() for member in suite(name).members}.values())


def assert_scored(config: str, expected: Sequence[str], samples: Sequence[BuiltSample]) -> None:
    """Every expected metric has a value for the samples, or is of parts that make one."""
    scorer, parts = Scorer(config), dict[str, list[str]]()
    for sample in samples:
        requests, prefixes = on_the_wire(sample)
        for score in scorer.score(sample.document, sample.doc_id, requests, prefixes, answers(sample)):
            parts.setdefault(score.metric, []).append(str(score.parts_json))
    assert parts.keys() <= set(expected)
    values = {metric: aggregate(config, metric, told)[0] for metric, told in parts.items()}
    assert any(value is not None for value in values.values())


@pytest.mark.datasets
@pytest.mark.suites
@pytest.mark.parametrize("member", every_member(), ids=lambda member: f"{member.task}-{member.fewshot}")
def test_every_task_of_every_suite_is_built_as_pinned_and_scored(member: Member, tmp_path_factory: pytest.TempPathFactory) -> None:
    """On the data sets of ASSAY_DATASETS, with the echo engine."""
    settings = Settings(home=tmp_path_factory.getbasetemp() / "home", datasets=Path(os.environ["ASSAY_DATASETS"]))
    choice = TaskChoice(name=member.task, fewshot=member.fewshot)
    made = build(choice, dress=Dress(Chat()), settings=settings)
    assert member.pin is not None
    pin = member.pin
    assert (made.task_version, made.data_sha, made.main_metric, len(made.samples)) == (pin.version, pin.sha256, pin.metric, pin.samples)
    assert made.chance == (pytest.approx(pin.chance) if pin.chance is not None else None)
    assert made.licence == member.licence
    assert_scored(made.config_json, [one.metric for one in made.expected], made.samples[:SAMPLES])
