"""One attempt on the real log with the real engine: what it publishes while it works."""

import asyncio
import uuid
from pathlib import Path

import psutil
import pytest
from uuid6 import uuid7

from gpu_agent.engines.engine import EngineRequest
from gpu_agent.runner import Engines
from gpu_agent.work import Attempt
from infra.identity import now_us, producer
from infra.kafka import Log
from infra.settings import Settings
from schemas.builds import BuiltRequest, SampleBuilt
from schemas.event import Text
from schemas.jobs import BuildPlace, Job, JobReleased
from schemas.requests import Chat, EngineChoice, ModelRef
from streams.topics import ANSWERS, JOB_STATUS
from tests.flow import events_of
from tests.models import tiny_llama

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]
SAMPLES = 200


async def lease_on(log: Log, model: ModelRef, engine: EngineChoice) -> JobReleased:
    """A lease of a job of long contexts, whose build is in the log."""
    build_id, run_id = uuid.uuid4().hex, str(uuid7())
    built = [
        SampleBuilt(
            occurred_us=now_us(), producer=producer("test"), build_id=build_id, ordinal=n, doc_id=n, document=Text.plain("{}"),
            requests=tuple(
                BuiltRequest(request_type="loglikelihood", context=Text.plain(f"{n}. " + "a garden " * 40), continuation=Text.plain(answer))
                for answer in (" yes", " no")
            ),
            arguments_sha=f"{n}",
        )
        for n in range(SAMPLES)
    ]  # fmt: skip
    places = await log.publish_all(built)
    build = BuildPlace(
        build_id=build_id, task="t", partition=places[0].partition, first_offset=places[0].offset, last_offset=places[-1].offset
    )
    job = Job(
        run_id=run_id, job_id=f"{run_id}/t/0/0", kind="answer", pool="p", submitter="me", organisation_id="local", priority=0, model=model,
        engine=engine, chat=Chat(), build=build, count=SAMPLES,
    )  # fmt: skip
    return JobReleased(
        occurred_us=now_us(), producer=producer("test"), pool="p", term=1, kind="release", run_id=run_id, job_id=job.job_id, job=job,
        attempt=1, agent_id="a", incarnation=1,
    )  # fmt: skip


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
                await Attempt(lease, agent_id="a", log=log, engines=engines, environment_sha="e").run()
                steps = await events_of(log, JOB_STATUS, lease.run_id or "")
                answers = await events_of(log, ANSWERS, lease.run_id or "")
        finally:
            await engines.close()
        told = [step.engine.batch for step in steps if step.state == "out_of_memory_retried"]
        assert told[:1] == ["30000 tokens"]
        assert (steps[0].state, steps[-1].state, steps[-1].engine.batch) == ("loading", "finished", told[-1])
        assert sorted(answer.ordinal for answer in answers) == list(range(SAMPLES))

    asyncio.run(act())
