"""Prompts of a data set: read from lines, refused by line, shuffled by the seed, none sent again before all were; what is said of them."""

import asyncio
import functools
from pathlib import Path
from typing import cast

import pytest

from agents.building import Building
from agents.preparing import Preparing
from gpu_agent.workloads.schedule import schedule
from gpu_agent.workloads.wording import prompt_of
from infra.harness.chat import Dress
from infra.harness.prompting import prompts_of
from infra.kafka import Log
from infra.settings import Settings
from query_api.cli.measuring import prompts_said
from query_api.cli.request_files import from_file
from schemas.jobs import Job
from schemas.requests import Chat, EvaluationRequested, Prompt, Workload
from schemas.runs import Plan
from streams.errors import Invalid, NotFound
from streams.speed.prompts import read_prompts, repeats_said
from tests.in_memory import InMemory
from tests.pool import STAMP
from tests.runs import run_named
from tests.unit.test_task_fitness import Here

TEXTS = [f"number {number}" for number in range(7)]
LOAD = Workload(requests=19, warmup_requests=2, url="http://h", prompts=tuple(Prompt(text=text) for text in TEXTS))


def test_every_prompt_is_sent_before_any_is_sent_again() -> None:
    """As it is, without a mark; in another order each time, and in the same for the same seed, however many warm up."""
    sent = list(schedule(LOAD, seed=5)[1])
    assert [prompt_of(one, mark="run/perf/1") for one in sent] == [TEXTS[one.prompt or 0] for one in sent]
    passes = [[one.prompt for one in sent[first : first + 7]] for first in (0, 7, 14)]
    assert [sorted(one, key=lambda place: place or 0) for one in passes[:2]] == [list(range(7))] * 2
    assert len(set(passes[2])) == 5 and len({tuple(one[:5]) for one in passes}) == 3
    again, other = ([one.prompt for one in schedule(LOAD, seed=seed)[1]] for seed in (5, 6))
    assert again == [one.prompt for one in sent] and other != again
    assert [one.prompt for one in schedule(LOAD.model_copy(update={"warmup_requests": 6}), seed=5)[1]] == again


def test_a_warm_up_sends_no_prompt_ahead() -> None:
    """Or a server's cache would answer it in the load: words are sent that nobody has seen, as many as a text has, at four bytes each."""
    prompts = tuple(Prompt(text=letter * 4 * 30) for letter in "abc")
    warmup, steady = schedule(LOAD.model_copy(update={"prompts": prompts, "warmup_requests": 3, "requests": 3}), seed=5)
    ahead = [prompt_of(one, mark="run/perf/1") for one in warmup]
    assert [len(text.split()) for text in ahead] == [1 + 30] * 3 and len(set(ahead)) == 3
    assert [(one.prompt, one.text) for one in warmup] == [(None, None)] * 3
    assert sorted(prompt_of(one, mark="run/perf/1") for one in steady) == [one.text for one in prompts]
    (short,), _ = schedule(LOAD.model_copy(update={"prompts": (Prompt(text="a"),), "warmup_requests": 1}), seed=5)
    assert short.input_tokens == 1


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (['{"text": "a"}', "{"], "line 2: it is no JSON"),
        (['{"text": "a"}', "", '{"prompt": "b"}'], "line 3: give an object with a text"),
        (['{"text": " "}'], "line 1: give an object with a text"),
        (["[1]"], "line 1: give an object with a text"),
        (['{"text": "a", "text": "b"}'], "line 1: it is no JSON"),
        ([], "there is no prompt"),
    ],
)
def test_a_line_without_a_prompt_is_refused_by_its_number(lines: list[str], says: str) -> None:
    """With what to write."""
    with pytest.raises(Invalid, match=says):
        read_prompts(lines)


def test_a_file_of_prompts_and_a_task_are_told_apart(tmp_path: Path) -> None:
    """On the command line and in a request's file; what is wrong names the file."""
    file = tmp_path / "own.jsonl"
    file.write_text('{"text": "a", "id": 7}\n{"text": "b"}\n')
    assert prompts_said(str(file), limit=1) == {"prompts": [{"text": "a"}]}
    assert prompts_said("gsm8k", limit=5) == {"prompts_task": "gsm8k", "prompts_limit": 5} and prompts_said(None, limit=None) == {}
    with pytest.raises(Invalid, match="give --prompts"):
        prompts_said(None, limit=5)
    request = tmp_path / "request.yaml"
    request.write_text(f"model: m\nworkload: {{url: 'http://h', requests: 3, prompts: {file}, extra_body: {{top_k: 5}}}}\n")
    assert from_file(request)["workload"] == {
        "url": "http://h", "requests": 3, "prompts": [{"text": "a"}, {"text": "b"}], "extra_body": '{"top_k": 5}',
    }  # fmt: skip
    file.write_text("{}\n")
    with pytest.raises(Invalid, match=r"own.jsonl, line 1: give an object"):
        prompts_said(str(file), limit=None)


def test_what_repeats_is_said_before() -> None:
    """Where it is known that more is asked than there are prompts."""
    (told,) = repeats_said(LOAD.prompts, requests=19, task="t")
    assert told.startswith("the load asks with 7 prompts of task t") and "19 requests are more" in told
    assert "are more" not in repeats_said(LOAD.prompts, requests=7)[0]
    assert repeats_said((), requests=7) == ()


@pytest.mark.slow
def test_a_tasks_documents_are_asked_as_the_task_asks_them() -> None:
    """With its words around them, the first so many; not of a task that asks about other answers."""
    request = EvaluationRequested.model_validate({"occurred_us": 0, "producer": STAMP, "run_id": run_named("r"), "model": {"uri": "m"}})
    of = functools.partial(prompts_of, request, dress=Dress(Chat()), settings=Settings())
    prompts = of("assay_arithmetic", limit=3)
    assert len(prompts) == 3 and len({one.text for one in prompts}) == 3
    assert prompts[0].text == "sum: 42+27="
    with pytest.raises(Invalid, match="another run's answers"):
        of("assay_judge_writing", limit=None)


@pytest.mark.slow
def test_the_planner_puts_a_tasks_documents_into_the_loads_job_and_says_so() -> None:
    """So that the log holds what was sent; what does not fit is refused before anything is written."""
    preparing = Preparing(cast(Log, InMemory()), Settings(), cast(Building, Here()))

    def planned(**told: object) -> tuple[Plan, list[Job]]:
        workload = {"url": "http://h", "profile": "single", "requests": 9, "prompts_task": "assay_arithmetic"} | told
        about = {"occurred_us": 1, "producer": STAMP, "run_id": run_named("r"), "model": {"uri": "m"}, "workload": workload}
        brought, facts = asyncio.run(preparing.brought(EvaluationRequested.model_validate(about)))
        plan, jobs = asyncio.run(preparing.plan(brought, facts, asked_us=1))
        return plan, list(jobs.each)

    plan, (job,) = planned(prompts_limit=4)
    assert job.workload is not None and [one.text for one in job.workload.prompts][:1] == ["sum: 42+27="]
    assert len(job.workload.prompts) == 4 and job.workload.prompts_task == "assay_arithmetic"
    assert any("4 prompts of task assay_arithmetic" in told and "9 requests are more" in told for told in plan.warnings)
    with pytest.raises(NotFound, match="assay_arithmetik"):
        planned(prompts_task="assay_arithmetik")
