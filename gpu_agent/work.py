"""One attempt of one job: samples from the log, answers from the engine, events to the log. It measures; it never scores."""

import asyncio
import time
from contextlib import suppress

from gpu_agent.engines.engine import Halved, Loaded
from gpu_agent.engines.failures import QUOTING, OfRequest, frames_of, words_of
from gpu_agent.measuring import Measuring
from gpu_agent.metering import Metering
from gpu_agent.outbox import Outbox
from gpu_agent.runner import Engines
from gpu_agent.samples import Open, check_whole, read_prefixes, read_samples
from infra.credentials import owned
from infra.identity import now_us, producer
from infra.kafka import MOST_BYTES, Log
from infra.metrics import ATTEMPTS
from schemas.builds import SampleBuilt
from schemas.jobs import BuildPlace, EngineUsed, Job, JobChanged, JobError, JobReleased, ModelLoaded
from schemas.measurements import Answer, SampleAnswered
from streams.errors import AssayError, Invalid, Permanent, Temporary
from streams.fitting import answered_within
from streams.queue.bits import pack, unpack
from streams.trust.privacy import PRIVATE
from streams.trust.sealing import room

PUBLISH_EVERY_S = 0.2
REPORT_EVERY_S = 1.0
# What reading a job raises where its data is not as it should be: no JSON, no UTF-8, a sealed text, a field that is not there.
OF_DATA = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
BROKEN = "job-broken"


class Attempt:
    """A lease at work. `run` returns when the job has finished or failed, and has said so."""

    def __init__(
        self, lease: JobReleased, *, agent_id: str, log: Log, outbox: Outbox, engines: Engines, metering: Metering, environment_sha: str
    ) -> None:
        if lease.job is None:
            raise Invalid("a release without a job")
        self.lease = lease
        self.job: Job = lease.job
        self._agent_id = agent_id
        self._log = log
        self._outbox = outbox
        self._engines = engines
        self._metering = metering
        self._environment_sha = environment_sha
        self._used: EngineUsed | None = None
        self._done = set(unpack(lease.done))
        self._counts: dict[str, int] = {}
        self._readings: list[str] = []
        self._sequence = 0
        self._reported_s = 0.0

    async def run(self) -> None:
        """Runs the job; what goes wrong is reported, and the dispatcher decides what follows."""
        try:
            async with self._metering.of(self.job, attempt=self.lease.attempt) as self._readings:
                await self._run_whole()
            await self._outbox.flush()
            await self.report("finished")
            ATTEMPTS.labels("finished").inc()
        except AssayError as error:
            ATTEMPTS.labels("failed").inc()
            await self.report("failed", error=self._told(error))

    def _told(self, error: AssayError) -> JobError:
        """The error as the log has it: of a private job without words that may quote its texts."""
        quotes = self.job.visibility == PRIVATE and error.code in (*QUOTING, BROKEN)
        message = f"{error.code}; more is withheld, for the run is private; the agent's log says where" if quotes else str(error)
        return JobError(code=error.code, message=message, permanent=isinstance(error, Permanent))

    async def _run_whole(self) -> None:
        """Runs the job; what it holds is its sender's, and may be anything. Raises: Permanent, Temporary; a fault of ours is neither."""
        try:
            self.job = self._log.vault.opened(self.lease).job or self.job
            await self._run()
        except OF_DATA as error:
            frames_of(error)
            raise Permanent(f"the job holds what cannot be used: {words_of(error)}; submit it again", code=BROKEN) from error

    async def _run(self) -> None:
        await self.report("loading")
        if self.job.workload is None or self.job.workload.url is None:
            self._used = await self._load()
        else:
            await self._engines.start()
        if self.job.kind == "answer" and self.job.build is not None:
            await self._answer_all(self.job.build)
        elif self.job.kind == "perf" and self.job.workload is not None:
            measuring = Measuring(self.job, outbox=self._outbox, engines=self._engines, attempt=self.lease.attempt, header=self._header)
            async for counts in measuring.run(self.job.workload):
                self._counts = counts
                if time.monotonic() - self._reported_s > REPORT_EVERY_S:
                    await self._outbox.put([self._report("running")])
        else:
            raise Invalid(f"this agent runs jobs of kind answer and perf, not {self.job.kind}", code="job-kind")

    async def report(self, state: str, *, error: JobError | None = None) -> None:
        """Says where the attempt stands; samples count as done only once the broker has their answers."""
        await self._log.publish(self._report(state, error=error))

    def _report(self, state: str, *, error: JobError | None = None) -> JobChanged:
        self._sequence += 1
        self._reported_s = time.monotonic()
        return JobChanged.model_validate(self._header() | {
            "pool": self.job.pool, "agent_id": self._agent_id, "incarnation": self.lease.incarnation, "state": state,
            "sequence": self._sequence, "done": pack(self._done), "error": error, "environment_sha": self._environment_sha,
            "engine": self._used, "counts": self._progress(),
        })  # fmt: skip

    def _progress(self) -> dict[str, int]:
        """What the attempt says to have published: readers wait for as much before they call it whole."""
        own = self._counts if self.job.kind == "perf" else {"samples": self.job.count, "answered": len(self._done)}
        return own | {"readings": len(self._readings)}

    def _header(self) -> dict[str, object]:
        return {
            "occurred_us": now_us(), "producer": producer("gpu_agent"), "organisation_id": self.job.organisation_id,
            "visibility": self.job.visibility, "run_id": self.job.run_id, "job_id": self.job.job_id, "attempt": self.lease.attempt,
        }  # fmt: skip

    async def _load(self) -> EngineUsed:
        loaded, held = await self._engines.load(
            self.job.model,
            self.job.engine,
            model_sha=self.job.model_sha,
            credential=owned(self.job.credential_ref, self.job.organisation_id),
        )
        await self._log.publish(self._model_loaded(loaded, held=held))
        return loaded.used

    def _model_loaded(self, loaded: Loaded, *, held: bool) -> ModelLoaded:
        spent = {name: 0 if held else getattr(loaded, name) for name in ("download_ns", "load_ns", "warmup_ns")}
        sizes = {name: getattr(loaded, name) for name in ("weights_bytes", "kv_bytes", "peak_bytes", "parameters")}
        facts = {"first_answer_ns": None, "cache_hit": held or _was_here(loaded), "server": loaded.server, "origin": loaded.origin}
        return ModelLoaded.model_validate(self._header() | spent | sizes | facts)

    async def _answer_all(self, build: BuildPlace) -> None:
        """Gives the engine all that is left to answer, and publishes what is whole while it works."""
        samples = await read_samples(self._log, self.job, build, done=self._done)
        prefixes = await read_prefixes(self._log, build, samples)
        open_, ended = Open(samples), asyncio.Event()
        publishing = asyncio.create_task(self._publish(open_, build, ended))
        try:
            async for reply in self._engines.answer(list(open_.requests(self.job, prefixes))):
                if isinstance(reply, Halved):
                    await self._halved(reply)
                else:
                    if self.job.no_truncation:
                        window = self._used.max_len if self._used else 0
                        check_whole(reply, open_.sample_of(reply.index), task=build.task, window=window)
                    open_.take(reply)
        except OfRequest as error:
            sample = open_.sample_of(error.index)
            raise Permanent(f"sample {sample.ordinal} of {build.task}: {error}", code=error.code) from error
        finally:
            # However it ends, what is whole is not lost.
            ended.set()
            await publishing
        if open_.answers:
            raise Temporary(f"the engine ended with {len(open_.answers)} samples half answered", code="engine-answers")

    async def _publish(self, open_: Open, build: BuildPlace, ended: asyncio.Event) -> None:
        """Until the end, publishes samples as they become whole."""
        last, places = False, {ordinal: place for place, ordinal in enumerate(self.job.samples)}
        while not last:
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), PUBLISH_EVERY_S)
            last = ended.is_set()
            if events := [_fitting(self._answered(*one, build)) for one in open_.whole()]:
                await self._log.publish_all(events)
                self._done |= {places[ordinal] for ordinal in open_.told(len(events))}
            if not last and time.monotonic() - self._reported_s > REPORT_EVERY_S:
                await self.report("running")

    async def _halved(self, reply: Halved) -> None:
        if self._used is not None:
            self._used = self._used.model_copy(update={"batch": reply.batch})
        await self.report("out_of_memory_retried")

    def _answered(
        self, sample: SampleBuilt, answers: tuple[Answer, ...], moments: dict[str, int | None], build: BuildPlace
    ) -> SampleAnswered:
        return SampleAnswered.model_validate(self._header() | moments | {
            "task": build.task, "build_id": sample.build_id, "ordinal": sample.ordinal, "repeat": self.job.repeat, "seed": self.job.seed,
            "arguments_sha": sample.arguments_sha, "answers": answers,
        })  # fmt: skip


def _was_here(loaded: Loaded) -> bool:
    """Whether nothing of a hub's model had to be fetched."""
    return loaded.origin is not None and not loaded.origin.fetched_bytes


def _fitting(event: SampleAnswered) -> SampleAnswered:
    """The answers as a record holds them: thoughts and texts beyond that are cut, and it is said how much."""
    most_bytes = room(MOST_BYTES, texts=3 * len(event.answers)) if event.visibility == PRIVATE else MOST_BYTES
    return answered_within(event, most_bytes=most_bytes)
