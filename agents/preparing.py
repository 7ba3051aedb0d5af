"""From a request to its plan and jobs: the model's facts, the tasks' builds, what cannot run. The reaching around streams/planning.py."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from agents.adapting import Sources, sources_of
from agents.building import Builder, Building
from agents.hearing import Hearing
from agents.judged import Judged, Judging
from agents.repeating import planned_again
from infra.fetching import Told
from infra.first_seals import FirstSeals
from infra.hanging import Bringing
from infra.harness.building import Identity, beside, build, identify, setups_of
from infra.harness.catalogue import DERIVED_TASKS
from infra.harness.chat import Dress
from infra.harness.data import Given
from infra.harness.examples import own_examples
from infra.harness.prompting import prompts_of
from infra.kafka import Log
from infra.models import ModelFacts
from infra.preparing import brought, dress_of, estimate_of, expanded, leaves_of, placed, put, remarks_of
from infra.settings import Settings
from infra.suites import reading as suites
from infra.task_fitness import check_asked
from schemas.builds import TaskBuilt
from schemas.jobs import BuildPlace
from schemas.requests import EvaluationRequested, Prompt, TaskChoice, Workload
from schemas.runs import Adaptive, Estimate, ModelCard, Placement, Plan, PlannedTask, Published, Setup, SkippedTask
from streams import bounds, planning
from streams.engines import UNKNOWN, is_elsewhere
from streams.errors import NotFound, Permanent
from streams.planning import Chosen
from streams.quality import adaptive, judging, matching, pins, skipping, stopping
from streams.speed import rules, workloads
from streams.speed.prompts import repeats_said
from streams.trust.privacy import has_own_dress, of_build

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A task that can run: what of it the plan says, and where its samples lie."""

    chosen: Chosen
    planned: PlannedTask
    licence: str | None
    differences: tuple[str, ...]
    asked: matching.Asked
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for: its tasks, how their prompts are dressed, of whom; where they judge, whom; adaptively, by whose runs."""

    choices: list[TaskChoice]
    dress: Dress
    builder: Builder
    judged: Judged | None = None
    sources: Sources = field(default_factory=dict)

    def given(self, choice: TaskChoice) -> Given | None:
        """The documents of a derived task."""
        return self.judged.given[choice.name] if self.judged else None

    def build(self, choice: TaskChoice) -> str | None:
        """The build whose answers a derived task is about."""
        return self.judged.builds[choice.name] if self.judged else None


class Preparing:
    """Prepares requests, as many at once as are asked for."""

    def __init__(self, log: Log, settings: Settings, building: Building) -> None:
        self._log = log
        self._settings = settings
        self._building = building
        self._judging = Judging(log, building.builds)
        self._seals = FirstSeals(log, settings)
        self._hearing = Hearing(log, lease_s=settings.lease_s)
        self._bringing = Bringing(hang_s=settings.model_hang_s)

    async def brought(self, request: EvaluationRequested) -> tuple[EvaluationRequested, ModelFacts | None]:
        """The request with its model pinned, and the model's facts, once it is here. Raises: Permanent where it cannot run."""
        planning.check(request)
        if request.audit_of is not None:
            return request, None  # what it is an audit of says which model that is
        judging.check_judges(request, DERIVED_TASKS)
        return await self._bring(request)

    async def _bring(self, request: EvaluationRequested) -> tuple[EvaluationRequested, ModelFacts | None]:
        return await self._bringing.of(request.model.uri, functools.partial(_brought, request, self._settings))

    async def plan(
        self, request: EvaluationRequested, facts: ModelFacts | None, *, asked_us: int, before: Plan | None = None
    ) -> tuple[Plan, planning.Jobs]:
        """What will come of a request whose model was brought; `asked_us`: Kafka's time of it; `before`: its plan that is in the log.

        Raises: Permanent where it cannot be.
        """
        if request.audit_of is not None:
            return await planned_again(request, log=self._log, seals=self._seals, bring=self._bring)
        placement = before.placement if before else await self._placed(request, facts)
        request = put(request, facts, placement)
        asked = await self._asked(request, dress_of(request, facts))
        if request.adaptive is not None:
            names, own = {choice.name for choice in asked.choices}, facts.model_sha if facts else planning.content_id(request.model.uri)
            sources = await sources_of(self._log, request, tasks=names, model_sha=own, before_us=asked_us)
            asked = replace(asked, sources=sources)
        remarks = await asked.builder.run(remarks_of, request, facts)
        prepared, skipped = await self._prepare_all(request, facts, asked)
        pins.check([told for one in prepared for told in one.differences], pinned=request.pinned)
        request = await self._prompted(request, asked)
        guess = estimate_of(facts, engine=request.engine, placement=placement)
        jobs = planning.jobs(
            request, [one.chosen for one in prepared], per_job=self._settings.samples_per_job,
            need=planning.need_of(request, guess, placement), model_sha=facts.model_sha if facts else None,
        )  # fmt: skip
        plan = _plan(request, prepared, skipped, facts=facts, estimate=guess, jobs=jobs.count, judged=asked.judged, remarks=remarks)
        name = self._dress_name(request, plan.chat_template_sha)
        return plan.model_copy(update={"placement": placement, "chat_template_sha": name}), jobs

    async def _prompted(self, request: EvaluationRequested, asked: Asked) -> EvaluationRequested:
        """The request with the prompts of its load, where they are a task's documents. Raises: NotFound, Invalid."""
        load = request.workload
        if load is None or load.prompts_task is None:
            return request
        work = functools.partial(
            prompts_of, request, load.prompts_task, limit=load.prompts_limit, dress=asked.dress, settings=self._settings
        )
        found: tuple[Prompt, ...] = await asked.builder.run(work)
        bounds.check_prompts(found)
        return request.model_copy(update={"workload": load.model_copy(update={"prompts": found})})

    def _dress_name(self, request: EvaluationRequested, sha: str) -> str:
        """The hash of how prompts are dressed, as the log tells it."""
        visibility = request.visibility if has_own_dress(request.chat) else "organisation"
        return self._log.vault.named(sha, organisation=request.organisation_id, visibility=visibility)

    async def _placed(self, request: EvaluationRequested, facts: ModelFacts | None) -> Placement | None:
        return placed(request, facts, await self._hearing.machines(request.pool)) if facts else None

    async def _asked(self, request: EvaluationRequested, dress: Dress) -> Asked:
        builder = self._building.asked_by(request.submitter)
        if judging.check_request(request, DERIVED_TASKS):
            judged = await self._judging.referring(await self._judging.judged(request), request.tasks, builder.run)
            return Asked(judged.choices, dress, builder, judged)
        leaves = [await builder.run(leaves_of, choice) for choice in request.tasks]
        return Asked(expanded(request.tasks, leaves), dress, builder)

    async def _prepare_all(
        self, request: EvaluationRequested, facts: ModelFacts | None, asked: Asked
    ) -> tuple[list[Prepared], list[SkippedTask]]:
        """The tasks that can run, and those that cannot. That some cannot is found before any is built: building may take minutes.

        Raises: Permanent, naming every task that cannot run, where the request does not go on without them, or none is left.
        """
        errors = dict[str, Permanent]()
        ids = await _tried(asked.choices, lambda one: self._identified(request, facts, one, asked), errors)
        if errors and not request.skip_missing:
            raise pins.refused(errors, asked=len(asked.choices))
        there = [choice for choice in asked.choices if choice.name in ids]
        prepared = await _tried(there, lambda one: self._prepare(request, one, asked, *ids[one.name]), errors)
        if errors and not (request.skip_missing and prepared):
            raise pins.refused(errors, asked=len(asked.choices))
        return _matched([*prepared.values()]), [SkippedTask(task=name, reason=str(error)) for name, error in errors.items()]

    def _work(self, function: Any, choice: TaskChoice, asked: Asked, **named: Any) -> Callable[[], Any]:
        return functools.partial(function, choice, dress=asked.dress, settings=self._settings, given=asked.given(choice), **named)

    async def _identified(
        self, request: EvaluationRequested, facts: ModelFacts | None, choice: TaskChoice, asked: Asked
    ) -> tuple[Identity, tuple[Setup, ...]]:
        """The task's build by its id, and how each repeat is built where that varies. Raises: Permanent."""
        setups = await asked.builder.run(self._work(setups_of, choice, asked)) if choice.vary else ()
        found = await asked.builder.run(self._work(identify, choice, asked))
        check_asked(found, choice, request, facts)
        return found, setups

    async def _prepare(
        self, request: EvaluationRequested, choice: TaskChoice, asked: Asked, own: Identity, setups: tuple[Setup, ...]
    ) -> Prepared:
        visibility = of_build(request, choice, judges=asked.judged is not None)
        header = {"organisation_id": request.organisation_id, "visibility": visibility}
        name = functools.partial(self._log.vault.named, organisation=request.organisation_id, visibility=visibility)
        setups = tuple(one.model_copy(update={"build_id": name(one.build_id)}) for one in setups)
        built = await asked.builder.of(name(own.build_id), self._work(build, choice, asked), header)
        bounds.check_setups(built.task, documents=built.samples, setups=len({one.build_id for one in setups}))
        places = await self._places(setups, choice, asked, header)
        samples = planning.samples_of(choice, built.samples)
        more = await asked.builder.run(beside, built.config_json, choice.metrics) if choice.metrics else ()
        expected = (*built.expected, *more)
        rule = stopping.rule_of(request.stopping, expected, main=(built.main_filter, built.main_metric))
        part = await self._part(request, built, asked, samples)
        ordinals = part.ordinals if part else stopping.order(built.build_id, samples) if rule else ()
        planned = PlannedTask(task=built.task, task_version=built.task_version, build_id=built.build_id, samples=len(ordinals) or samples,
                              repeats=choice.repeats, expected=expected, main_metric=built.main_metric, stopping=rule,
                              main_filter=built.main_filter, chance=built.chance, group=choice.group, weight_by_size=choice.weight_by_size,
                              trust_code=choice.trust_code, judged=asked.build(choice),
                              data_published=suites.published().get(built.task), rows_skipped=built.rows_skipped, setups=setups,
                              adaptive=part)  # fmt: skip
        differences = pins.differences(choice, version=built.task_version, data_sha=built.data_sha)
        chosen = Chosen(choice.model_copy(update={"name": built.task}), _place(built), planned.samples, ordinals, places)
        told = [*own.told, *own_examples(built.task, built.own_examples, samples=built.samples),
                *filter(None, [skipping.told_of(built.task, built.rows_skipped, built.skipped_first)])]  # fmt: skip
        same = matching.Asked(built.data_sha, built.samples, built.questions)
        return Prepared(chosen, planned, built.licence, differences, same, tuple(told))

    async def _part(self, request: EvaluationRequested, built: TaskBuilt, asked: Asked, samples: int) -> Adaptive | None:
        """The part of a task that is asked adaptively; None where it is asked whole."""
        if request.adaptive is None:
            return None
        sources = asked.sources.get(built.task, ())
        fit = functools.partial(adaptive.adapted, built.task, built.build_id, sources, documents=samples, asked=request.adaptive)
        return await asyncio.to_thread(fit)

    async def _places(self, setups: Sequence[Setup], choice: TaskChoice, asked: Asked, header: dict[str, Any]) -> tuple[BuildPlace, ...]:
        """Where the build of each repeat lies; each is built once."""
        found = dict[str, BuildPlace]()
        for one in setups:
            if one.build_id not in found:
                work = self._work(build, choice, asked, seed=one.seed, format=one.format)
                found[one.build_id] = _place(await asked.builder.of(one.build_id, work, header))
        return tuple(found[one.build_id] for one in setups)


def _brought(request: EvaluationRequested, settings: Settings, told: Told) -> tuple[EvaluationRequested, ModelFacts | None]:
    return brought(request, settings=settings, told=told)


def _matched(prepared: list[Prepared]) -> list[Prepared]:
    """The same, told which of them ask about the same documents."""
    same = matching.matched([one.asked for one in prepared])
    told = [
        one.planned.model_copy(update={"documents": own.documents, "places": own.places}) for one, own in zip(prepared, same, strict=True)
    ]
    return [replace(one, planned=planned) for one, planned in zip(prepared, told, strict=True)]


def _place(built: TaskBuilt) -> BuildPlace:
    return BuildPlace(build_id=built.build_id, task=built.task, partition=built.partition, first_offset=built.first_offset,
                      last_offset=built.last_offset, contents=built.contents)  # fmt: skip


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


def _plan(
    request: EvaluationRequested,
    prepared: list[Prepared],
    skipped: list[SkippedTask],
    *,
    facts: ModelFacts | None,
    estimate: Estimate,
    jobs: int,
    judged: Judged | None,
    remarks: Sequence[str],
) -> Plan:
    name = UNKNOWN if is_elsewhere(request.engine.name) else planning.content_id(request.model.uri)
    return Plan(
        submitter=request.submitter, model=request.model, engine=request.engine, chat=request.chat, suite=request.suite,
        model_sha=facts.model_sha if facts else name, tokenizer_sha=facts.tokenizer_sha if facts else name,
        chat_template_sha=dress_of(request, facts).sha, tasks=tuple(one.planned for one in prepared),
        licences=tuple(sorted({one.licence for one in prepared if one.licence})), skipped=tuple(skipped), estimate=estimate, jobs=jobs,
        perf_requests=workloads.requests(request.workload), parameters=facts.parameters if facts else None,
        suite_version=request.suite_version,
        warnings=(
            *rules.said(request.labels), *_of_prompts(request.workload), *remarks, *(told for one in prepared for told in _warnings(one)),
            *stopping.told_of(request.stopping, [one.planned for one in prepared]),
            *adaptive.told_of(request.adaptive, [one.planned for one in prepared]),
        ),
        subject=judged.subject if judged else None, against=judged.against if judged else None,
        model_published=_published(request, facts), card=_card(facts),
    )  # fmt: skip


def _card(facts: ModelFacts | None) -> ModelCard | None:
    return ModelCard(licence=facts.licence, languages=facts.languages, base=facts.base) if facts else None


def _published(request: EvaluationRequested, facts: ModelFacts | None) -> Published | None:
    """When the model was published, by the request, else by its card."""
    if request.model_published:
        return Published(date=request.model_published, source="request")
    return Published(date=facts.published, source="README.md") if facts and facts.published else None


def _of_prompts(load: Workload | None) -> tuple[str, ...]:
    return repeats_said(load.prompts, requests=workloads.requests(load), task=load.prompts_task) if load else ()


def _warnings(one: Prepared) -> Iterator[str]:
    yield from one.differences
    yield from one.told
    if one.planned.trust_code:
        yield f"{one.planned.task} may run Python, and read files where it was planned: its request trusts its definition"
