"""One attempt on the real log with the real engine: what it publishes while it works."""

import asyncio
import re
import uuid
from pathlib import Path
from typing import Any

import psutil
import pytest
from uuid6 import uuid7

from gpu_agent.engines.engine import EngineRequest
from gpu_agent.runner import Engines
from infra.identity import now_us, producer
from infra.kafka import Log
from infra.settings import Settings
from schemas.builds import BuiltRequest, SampleBuilt
from schemas.event import Text
from schemas.jobs import BuildPlace, Job, JobReleased
from schemas.requests import Chat, EngineChoice, ModelRef
from streams.topics import ANSWERS, JOB_STATUS
from tests.attempts import attempt
from tests.flow import events_of
from tests.models import tiny_llama

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SAMPLES = 200


def _request(number: int, answer: str) -> BuiltRequest:
    context = Text.plain(f"{number}. " + "a garden " * 40)
    return BuiltRequest(request_type="loglikelihood", context=context, continuation=Text.plain(answer))


async def lease_on(log: Log, model: ModelRef, engine: EngineChoice, *, count: int = SAMPLES, **told: Any) -> JobReleased:
    """A lease of a job of long contexts, whose build is in the log; `told` are other fields of its requests."""
    build_id, run_id = uuid.uuid4().hex, str(uuid7())
    built = [
        SampleBuilt(
            occurred_us=now_us(), producer=producer("test"), build_id=build_id, ordinal=n, doc_id=n, document=Text.plain("{}"),
            requests=tuple(_request(n, answer).model_copy(update=told) for answer in (" yes", " no")),
            arguments_sha=f"{n}",
        )
        for n in range(count)
    ]  # fmt: skip
    places = await log.publish_all(built)
    build = BuildPlace(
        build_id=build_id, task="t", partition=places[0].partition, first_offset=places[0].offset, last_offset=places[-1].offset
    )
    job = Job(
        run_id=run_id, job_id=f"{run_id}/t/0/0", kind="answer", pool="p", submitter="me", organisation_id="local", priority=0, model=model,
        engine=engine, chat=Chat(), build=build, count=count,
    )  # fmt: skip
    return JobReleased(
        occurred_us=now_us(), producer=producer("test"), pool="p", term=1, kind="release", run_id=run_id, job_id=job.job_id, job=job,
        attempt=1, agent_id="a", incarnation=1,
    )  # fmt: skip


def altered(lease: JobReleased, **job: Any) -> JobReleased:
    """The lease with other fields of its job."""
    return lease.model_copy(update={"job": lease.job.model_copy(update=job) if lease.job else None})


def test_what_a_job_holds_ends_its_attempt_and_nothing_else(stack: Settings) -> None:
    """Whatever was produced straight to Kafka: the attempt fails for good, in words, and the agent goes on."""
    model, echo = ModelRef(uri="m"), EngineChoice(name="echo")
    raising = EngineChoice(name="echo", options={"fail": "raise", "fail_after": "2"})
    key = {"context": Text(bytes=b"sealed", key_id="k")}
    hostile: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
        ({}, {"generation_json": "no"}, "generation", "no JSON"),
        ({}, {"generation_json": "[" * 100_000}, "generation", "no JSON"),
        ({"generation_json": "[1]"}, {}, "job-broken", "submit it again"),
        ({"context": Text(bytes=b"\xff")}, {}, "job-broken", "UnicodeDecodeError"),
        (key, {}, "job-broken", "sealed under key k"),
        (key, {"visibility": "private"}, "job-broken", "withheld"),
        ({"prefix_ref": "nowhere"}, {}, "job-broken", "KeyError"),
        ({}, {"count": 10**12}, "samples-missing", "1000000000000 samples"),
        ({}, {"kind": "perf", "build": None}, "job-kind", "not perf"),
        ({}, {"engine": raising}, "engine-failed", "sample 1 of t: the engine failed: LookupError"),
    ]  # fmt: skip

    async def act() -> None:
        engines = Engines("cpu")
        try:
            async with Log(stack, client_id="test") as log:
                for request, job, code, said in hostile:
                    lease = altered(await lease_on(log, model, echo, count=8, **request), **job)
                    await attempt(lease, log=log, engines=engines)
                    error = (await events_of(log, JOB_STATUS, lease.run_id or ""))[-1].error
                    assert (error.code, error.permanent) == (code, True)
                    assert re.search(said, error.message)
                    assert len(error.message) < 1000
        finally:
            await engines.close()

    asyncio.run(act())


def test_a_job_outlives_running_out_of_memory_and_says_so(stack: Settings, tmp_path: Path) -> None:
    """Under a real limit of the engine's process the packs are halved, every halving is told with its batch, and all is answered."""
    model = ModelRef(uri=str(tiny_llama(tmp_path)))
    engine = EngineChoice(name="transformers", options={"batch_tokens": "60000", "threads": "1"})

    async def act() -> None:
        engines = Engines("cpu")
        try:
            async with Log(stack, client_id="test") as log:
                lease = await lease_on(log, model, engine)
                await engines.load(model, engine)
                # What libraries take once, for their threads, is taken before the limit.
                async for _ in engines.answer([EngineRequest(0, "loglikelihood", "a garden", continuation=" yes")] * 2):
                    pass
                process = psutil.Process(engines.pid)
                limit = process.memory_info().vms + 32 * 2**20
                process.rlimit(psutil.RLIMIT_AS, (limit, limit))
                await attempt(lease, log=log, engines=engines)
                steps = await events_of(log, JOB_STATUS, lease.run_id or "")
                answers = await events_of(log, ANSWERS, lease.run_id or "")
        finally:
            await engines.close()
        told = [step.engine.batch for step in steps if step.state == "out_of_memory_retried"]
        assert told[:1] == ["30000 tokens"]
        assert (steps[0].state, steps[-1].state, steps[-1].engine.batch) == ("loading", "finished", told[-1])
        assert sorted(answer.ordinal for answer in answers) == list(range(SAMPLES))

    asyncio.run(act())


def test_a_request_that_would_be_truncated_fails_its_job_where_it_is_asked(stack: Settings, tmp_path: Path) -> None:
    """For good, with its document, and nothing of it is published; where it is not asked, all is answered and counted."""
    model, engine = ModelRef(uri=str(tiny_llama(tmp_path, max_length=32))), EngineChoice(name="transformers")

    async def act() -> None:
        engines = Engines("cpu")
        try:
            async with Log(stack, client_id="test") as log:
                for refused in (True, False):
                    lease = altered(await lease_on(log, model, engine, count=2), no_truncation=refused)
                    await attempt(lease, log=log, engines=engines)
                    last = (await events_of(log, JOB_STATUS, lease.run_id or ""))[-1]
                    answers = await events_of(log, ANSWERS, lease.run_id or "")
                    if refused:
                        assert (last.state, last.error.code, last.error.permanent, answers) == ("failed", "truncated", True, [])
                        assert re.match(r"document \d of t: request \d has \d+ tokens, .* window of 32;", last.error.message)
                    else:
                        assert (last.state, len(answers)) == ("finished", 2)
                        assert all(one.truncated_tokens > 0 for answer in answers for one in answer.answers)
        finally:
            await engines.close()

    asyncio.run(act())
