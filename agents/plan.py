"""Turns requests into builds, plans and jobs, or says why not: the reaching around streams/planning.py.

Planning the same request twice writes the same events again, which readers pass over; so a crash anywhere in between is mended by
the request's redelivery.
"""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import structlog

from agents.app import consume
from agents.judged import Judged, Judging
from infra.harness.building import Build, BuiltCall, BuiltSample, beside, build, identify
from infra.harness.catalogue import DERIVED_TASKS
from infra.harness.chat import Dress
from infra.harness.data import Given
from infra.harness.processes import prepare
from infra.identity import now_us, producer
from infra.kafka import Log, Place, Record
from infra.models import ModelFacts
from infra.pools import pool
from infra.preparing import dress_of, estimate_of, expanded, facts_of, leaves_of
from infra.retrying import until_available
from infra.settings import Settings
from infra.suites import reading as suites
from schemas.builds import BuiltRequest, ContentPlace, ContentPublished, SampleBuilt, TaskBuilt
from schemas.event import Text
from schemas.jobs import BuildPlace, JobPlanned
from schemas.requests import EvaluationRequested, TaskChoice
from schemas.runs import Estimate, Plan, PlannedTask, Published, RunChanged, SkippedTask
from streams import planning
from streams.errors import Conflict, Invalid, NotFound, Permanent
from streams.planning import Chosen
from streams.quality import judging, pins, stopping
from streams.queue import limits
from streams.topics import BUILDS, REQUESTS, RUNS, TOPICS
from streams.trust.privacy import PRIVATE, of_build

SAMPLES_AT_ONCE = 1000
T = TypeVar("T")
P = ParamSpec("P")
log_line = structlog.get_logger()
NOT_THE_BODY = {"event_id", "occurred_us", "producer", "trace_parent"}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A task that can run: what of it the plan says, and where its samples lie."""

    chosen: Chosen
    planned: PlannedTask
    licence: str | None
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for: its tasks, how their prompts are dressed, and, where they judge, whom."""

    choices: list[TaskChoice]
    dress: Dress
    judged: Judged | None = None

    def given(self, choice: TaskChoice) -> Given | None:
        """The documents of a derived task."""
        return self.judged.given[choice.name] if self.judged else None

    def build(self, choice: TaskChoice) -> str | None:
        """The build whose answers a derived task is about."""
        return self.judged.builds[choice.name] if self.judged else None


class Planner:
    """The builds that the log holds, the first request of every run, and how the runs stand that may be judged."""

    def __init__(self, log: Log, settings: Settings) -> None:
        self._log = log
        self._settings = settings
        self._processes = pool(1)
        self._builds: dict[str, TaskBuilt] = {}
        self._first: dict[str, tuple[Place, dict[str, Any]]] = {}
        self._judging = Judging(log, self._builds)

    async def rebuild(self) -> None:
        """Folds builds and requests from the log."""
        started = time.perf_counter()
        async for record in self._log.read((BUILDS, REQUESTS)):
            if isinstance(record.event, TaskBuilt):
                self._builds.setdefault(record.event.build_id, record.event)
            elif isinstance(record.event, EvaluationRequested):
                self._remember(record.event, record.place)
        await self._judging.catch_up()
        log_line.info("rebuilt", builds=len(self._builds), requests=len(self._first), took_s=round(time.perf_counter() - started, 3))

    def _remember(self, request: EvaluationRequested, place: Place) -> tuple[Place, dict[str, Any]]:
        body = request.model_dump(exclude=NOT_THE_BODY)
        known = self._first.setdefault(request.run_id, (place, body))
        if place.offset < known[0].offset:
            self._first[request.run_id] = known = (place, body)
        return known

    async def handle(self, records: Sequence[Record]) -> None:
        """Plans a batch of requests, one after the other, and asks for judgements of what is complete.

        Raises: Conflict for a second request of another content under one id.
        """
        for record in records:
            if isinstance(record.event, EvaluationRequested):
                await self._request(record.event, record)
            elif isinstance(record.event, RunChanged):
                self._judging.fold(record)
                await self._ended(record.event)

    async def _ended(self, change: RunChanged) -> None:
        """Asks for the judgements that a complete run's request wants; what was asked for before is not asked for again."""
        if change.state != "completed" or not self._judging.completed(change.run_id) or change.run_id not in self._first:
            return
        _, body = self._first[change.run_id]
        if not body["judgements"] and not body["judges"]:
            return
        request = EvaluationRequested.model_validate(body | {"occurred_us": change.occurred_us, "producer": producer("agents.plan")})
        wanted = judging.requests_of(request, change, stamp=producer("agents.plan"))
        await self._log.publish_all([one for one in wanted if one.run_id not in self._first])
        log_line.info("judgements asked for", run_id=change.run_id, judgements=len(wanted))

    async def _request(self, request: EvaluationRequested, record: Record) -> None:
        first, body = self._remember(request, record.place)
        if first != record.place:
            if body != request.model_dump(exclude=NOT_THE_BODY):
                raise Conflict(f"run_id {request.run_id} was used before for another request; draw a new one", code="run-id-used")
            return
        started = time.perf_counter()
        try:
            # Kafka's time of the request, not the clock: planned again after a crash, it is planned alike.
            limits.check(request, asked_us=record.written_us)
            jobs = await self._plan(request)
        except Permanent as error:
            await self._log.publish(_changed(request, "rejected", reason_code=error.code, message=str(error)))
            said = {} if request.visibility == PRIVATE else {"message": str(error)}
            log_line.info("rejected", run_id=request.run_id, reason_code=error.code, **said)
            return
        log_line.info("planned", run_id=request.run_id, jobs=jobs, took_s=round(time.perf_counter() - started, 3))

    async def _plan(self, request: EvaluationRequested) -> int:
        planning.check(request)
        judging.check_judges(request, DERIVED_TASKS)
        facts = await asyncio.to_thread(facts_of, request)
        asked = await self._asked(request, dress_of(request, facts))
        prepared, skipped = await self._prepare_all(request, asked)
        pins.check([told for one in prepared for told in one.differences], pinned=request.pinned)
        guess = estimate_of(facts)
        need = planning.need_of(request, guess)
        jobs = planning.jobs(request, [one.chosen for one in prepared], per_job=self._settings.samples_per_job, need=need)
        plan = _plan(request, prepared, skipped, facts=facts, estimate=guess, jobs=len(jobs), judged=asked.judged)
        await self._log.publish(_changed(request, "planned", plan=plan))
        stamp, when = producer("agents.plan"), request.occurred_us
        await self._log.publish_all(
            JobPlanned(occurred_us=when, producer=stamp, organisation_id=request.organisation_id,
                       visibility=request.visibility, pool=job.pool, job_id=job.job_id, run_id=job.run_id, job=job)
            for job in jobs
        )  # fmt: skip
        return len(jobs)

    async def _asked(self, request: EvaluationRequested, dress: Dress) -> Asked:
        if judging.check_request(request, DERIVED_TASKS):
            judged = await self._judging.referring(await self._judging.judged(request), request.tasks, self._in_process)
            return Asked(judged.choices, dress, judged)
        leaves = [await self._in_process(leaves_of, choice) for choice in request.tasks]
        return Asked(expanded(request.tasks, leaves), dress)

    async def _prepare_all(self, request: EvaluationRequested, asked: Asked) -> tuple[list[Prepared], list[SkippedTask]]:
        """The tasks that can run, and those that cannot. That some cannot is found before any is built: building may take minutes.

        Raises: Permanent, naming every task that cannot run, where the request does not go on without them, or none is left.
        """
        errors = dict[str, Permanent]()
        ids = await _tried(asked.choices, lambda one: self._of_task(identify, one, asked), errors)
        if errors and not request.skip_missing:
            raise pins.refused(errors, asked=len(asked.choices))
        there = [choice for choice in asked.choices if choice.name in ids]
        prepared = await _tried(there, lambda one: self._prepare(request, one, asked, ids[one.name]), errors)
        if errors and not (request.skip_missing and prepared):
            raise pins.refused(errors, asked=len(asked.choices))
        return list(prepared.values()), [SkippedTask(task=name, reason=str(error)) for name, error in errors.items()]

    async def _of_task(self, function: Any, choice: TaskChoice, asked: Asked) -> Any:
        return await self._in_process(function, choice, dress=asked.dress, settings=self._settings, given=asked.given(choice))

    async def _prepare(self, request: EvaluationRequested, choice: TaskChoice, asked: Asked, build_id: str) -> Prepared:
        built = self._builds.get(build_id)
        if built is None:
            made = await self._of_task(build, choice, asked)
            visibility = of_build(request, choice, judges=asked.judged is not None)
            built = await self._publish(made, {"organisation_id": request.organisation_id, "visibility": visibility})
            self._builds.setdefault(built.build_id, built)
        samples = min(choice.limit or built.samples, built.samples)
        place = BuildPlace(build_id=built.build_id, task=built.task, partition=built.partition, first_offset=built.first_offset,
                           last_offset=built.last_offset, contents=built.contents)  # fmt: skip
        more = await self._in_process(beside, built.config_json, choice.metrics) if choice.metrics else ()
        expected = (*built.expected, *more)
        rule = stopping.rule_of(request.stopping, expected, main=(built.main_filter, built.main_metric))
        planned = PlannedTask(task=built.task, task_version=built.task_version, build_id=built.build_id, samples=samples,
                              repeats=choice.repeats, expected=expected, main_metric=built.main_metric, stopping=rule,
                              main_filter=built.main_filter, chance=built.chance, group=choice.group,
                              trust_code=choice.trust_code, judged=asked.build(choice),
                              data_published=suites.published().get(built.task))  # fmt: skip
        differences = pins.differences(choice, version=built.task_version, data_sha=built.data_sha)
        ordinals = stopping.order(built.build_id, samples) if rule else ()
        chosen = Chosen(choice.model_copy(update={"name": built.task}), place, samples, ordinals)
        return Prepared(chosen, planned, built.licence, differences)

    async def _publish(self, made: Build, header: dict[str, Any]) -> TaskBuilt:
        """Writes a build to the log: contents, samples, and last the event that says it is whole."""
        started = time.perf_counter()
        header |= {"occurred_us": now_us(), "producer": producer("agents.plan")}
        contents = await self._publish_contents(made, header)
        places: list[Place] = []
        for first in range(0, len(made.samples), SAMPLES_AT_ONCE):
            chunk = made.samples[first : first + SAMPLES_AT_ONCE]
            places += await self._log.publish_all(_sample(made.build_id, sample, contents, header) for sample in chunk)
        used = {place.content_id: place for place in contents.values()}
        named = ("build_id", "task", "task_version", "harness_version", "data_sha", "data_source", "licence", "fewshot", "seed", "chat_sha",
                 "expected", "main_metric", "main_filter", "chance", "config_json")  # fmt: skip
        built = TaskBuilt.model_validate(header | {name: getattr(made, name) for name in named} | {
            "samples": len(made.samples), "partition": places[0].partition, "contents": tuple(used.values()),
            "first_offset": min(place.offset for place in places), "last_offset": max(place.offset for place in places),
        })  # fmt: skip
        await self._log.publish(built)
        log_line.info("built", task=made.task, samples=len(made.samples), took_s=round(time.perf_counter() - started, 3))
        return built

    async def _publish_contents(self, made: Build, header: dict[str, Any]) -> dict[str, ContentPlace]:
        """Text → its place, for every text that samples refer to."""
        texts = dict.fromkeys(text for sample in made.samples for call in sample.requests if (text := _apart(call)))
        found: dict[str, ContentPlace] = {}
        for text in texts:
            # A private text is another content than the same one in a public build, for the first that is told counts.
            salt = made.build_id if header["visibility"] == PRIVATE else ""
            name, pieces = planning.content_id(salt + text), planning.chunks(text)
            places = await self._log.publish_all(
                ContentPublished(
                    **header, content_id=name, media_type="text/plain", chunk=number, chunks=len(pieces), text=Text(bytes=piece)
                )
                for number, piece in enumerate(pieces)
            )
            offsets = [place.offset for place in places]
            found[text] = ContentPlace(content_id=name, partition=places[0].partition, first_offset=min(offsets), last_offset=max(offsets))
        return found

    async def _in_process(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Runs in the builder's process, so that Kafka's client stays alive and a crash of a library is one failed task."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._processes, functools.partial(function, *arguments, **named))
        except BrokenProcessPool as error:
            self._processes = pool(1)
            raise Invalid(
                f"the builder's process died at {getattr(arguments[0], 'name', arguments[0])!r}; is there memory enough?",
                code="builder-died",
            ) from error

    def prepare(self) -> None:
        """Lets the builder's process import what it needs, while others start."""
        asyncio.get_running_loop().run_in_executor(self._processes, prepare)

    def close(self) -> None:
        """Ends the builder's process."""
        self._processes.shutdown(cancel_futures=True)


async def _tried(choices: Sequence[TaskChoice], work: Callable[[TaskChoice], Awaitable[T]], errors: dict[str, Permanent]) -> dict[str, T]:
    """What comes of each task by its name; why nothing does goes to `errors`. Raises: NotFound: a slip of the finger."""
    done = dict[str, T]()
    for choice in choices:
        try:
            done[choice.name] = await work(choice)
        except NotFound:
            raise
        except Permanent as error:
            errors[choice.name] = error
    return done


def _apart(call: BuiltCall) -> str:
    """The text of a request that is published once by itself: the shared prefix, or all of a context too long for an event."""
    return call.prefix + call.context if len(call.context) > planning.LONGEST_INLINE else call.prefix


def _sample(build_id: str, sample: BuiltSample, contents: dict[str, ContentPlace], header: dict[str, Any]) -> SampleBuilt:
    return SampleBuilt(
        **header, build_id=build_id, ordinal=sample.ordinal, doc_id=sample.doc_id, document=Text.plain(sample.document),
        requests=tuple(_request(call, contents) for call in sample.requests), arguments_sha=sample.arguments_sha,
        target=Text.plain(sample.target) if sample.target is not None else None,
    )  # fmt: skip


def _request(call: BuiltCall, contents: dict[str, ContentPlace]) -> BuiltRequest:
    apart = _apart(call)
    return BuiltRequest(
        request_type=call.request_type, prefix_ref=contents[apart].content_id if apart else None,
        context=Text.plain("" if len(call.context) > planning.LONGEST_INLINE else call.context),
        continuation=Text.plain(call.continuation) if call.continuation is not None else None,
        generation_json=call.generation_json, repeats=call.repeats,
    )  # fmt: skip


def _plan(
    request: EvaluationRequested,
    prepared: list[Prepared],
    skipped: list[SkippedTask],
    *,
    facts: ModelFacts | None,
    estimate: Estimate,
    jobs: int,
    judged: Judged | None,
) -> Plan:
    name = planning.content_id(request.model.uri)
    return Plan(
        submitter=request.submitter, model=request.model, engine=request.engine, chat=request.chat, suite=request.suite,
        model_sha=facts.model_sha if facts else name, tokenizer_sha=facts.tokenizer_sha if facts else name,
        chat_template_sha=dress_of(request, facts).sha, tasks=tuple(one.planned for one in prepared),
        licences=tuple(sorted({one.licence for one in prepared if one.licence})), skipped=tuple(skipped), estimate=estimate, jobs=jobs,
        perf_requests=planning.perf_requests(request.workload), parameters=facts.parameters if facts else None,
        suite_version=request.suite_version,
        warnings=(
            *(told for one in prepared for told in _warnings(one)), *stopping.told_of(request.stopping, [one.planned for one in prepared])
        ),
        subject=judged.subject if judged else None, against=judged.against if judged else None,
        model_published=_published(request, facts),
    )  # fmt: skip


def _published(request: EvaluationRequested, facts: ModelFacts | None) -> Published | None:
    """When the model was published, by the request, else by its card."""
    if request.model_published:
        return Published(date=request.model_published, source="request")
    return Published(date=facts.published, source="README.md") if facts and facts.published else None


def _warnings(one: Prepared) -> Iterator[str]:
    yield from one.differences
    if one.planned.trust_code:
        yield f"{one.planned.task} may run Python, and read files where it was planned: its request trusts its definition"


def _changed(request: EvaluationRequested, state: str, **told: Any) -> RunChanged:
    return RunChanged.model_validate({
        "occurred_us": request.occurred_us, "producer": producer("agents.plan"), "organisation_id": request.organisation_id,
        "visibility": request.visibility, "run_id": request.run_id, "state": state,
    } | told)  # fmt: skip


async def main(settings: Settings) -> None:
    """Plans until SIGTERM."""
    async with Log(settings, client_id="agents.plan") as log:
        await until_available(lambda: log.create_topics(TOPICS), what="topics")
        planner = Planner(log, settings)
        try:
            planner.prepare()
            await planner.rebuild()
            await consume("plan", (REQUESTS, RUNS), planner.handle, log=log, settings=settings)
        finally:
            planner.close()
