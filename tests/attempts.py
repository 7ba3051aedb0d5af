"""An agent's attempt at a load, in this process: what it publishes, without a stack."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from uuid6 import uuid7

from gpu_agent.metering import Metering
from gpu_agent.outbox import Outbox
from gpu_agent.runner import Engines
from gpu_agent.work import Attempt
from infra.identity import now_us, producer
from infra.kafka import Log
from infra.settings import Settings
from schemas.event import Event
from schemas.jobs import Job, JobReleased
from schemas.requests import Chat, EngineChoice, ModelRef, Objective, Workload
from tests.in_memory import InMemory


async def attempt(lease: JobReleased, *, log: Log, engines: Engines) -> None:
    """Runs the lease as agent a does, whose meters are this machine's."""
    with TemporaryDirectory() as folder:
        async with Outbox(log, Path(folder)) as outbox:
            metering = Metering(outbox, engines, agent_id="a", hz=Settings().meter_hz, rated_w=None)
            own = Attempt(lease, agent_id="a", log=log, outbox=outbox, engines=engines, metering=metering, environment_sha="e")
            await own.run()


async def attempted(
    workload: Workload, model: str, *, slo: Objective | None = None, engine: EngineChoice | None = None, engines: Engines | None = None
) -> list[Event]:
    """What an agent publishes of such a load, in its order, with the generator in its process; `engines` of the caller's stay open."""
    run_id, log, used = str(uuid7()), InMemory(), engines or Engines("cpu")
    job = Job(
        run_id=run_id, job_id=f"{run_id}/perf", kind="perf", pool="p", submitter="me", organisation_id="local", priority=0,
        model=ModelRef(uri=model), engine=engine or EngineChoice(), chat=Chat(), workload=workload, slo=slo,
    )  # fmt: skip
    lease = JobReleased(
        occurred_us=now_us(), producer=producer("test"), pool="p", term=1, kind="release", run_id=run_id, job_id=job.job_id, job=job,
        attempt=1, agent_id="a", incarnation=1,
    )  # fmt: skip
    await attempt(lease, log=cast(Log, log), engines=used)
    if engines is None:
        await used.close()
    written = sorted((record for records in log.records.values() for record in records), key=lambda record: record.written_us)
    return [record.event for record in written if record.event]
