"""Runs that can be judged: their plans and states, folded from the log, and their answers, read back as documents of derived tasks."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from infra.builds import Builds, contents_of, samples_of
from infra.harness.data import Given
from infra.harness.derived.likeness import referring
from infra.kafka import Ends, Log
from schemas.builds import TaskBuilt
from schemas.event import Visibility
from schemas.measurements import SampleAnswered
from schemas.requests import EvaluationRequested, TaskChoice
from schemas.runs import Plan, PlannedTask, RunChanged, Subject
from streams.errors import Invalid
from streams.quality import judging
from streams.runs import step
from streams.topics import ANSWERS, RUNS
from streams.trust.stretches import run_of_key
from streams.trust.visibility import Seen

# Answers are looked for from this long before their run was planned, for the clocks of two machines differ.
BEFORE_US = 3600 * 10**6
Answers = dict[str, dict[tuple[int, int], SampleAnswered]]


@dataclass(frozen=True, slots=True)
class Judged:
    """What a judging request comes to: its tasks, one for each that is judged, with their documents, and whom it judges."""

    choices: list[TaskChoice]
    given: Mapping[str, Given]
    builds: Mapping[str, str]
    subject: Subject
    against: Subject | None


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the log tells it."""

    run_id: str
    plan: Plan
    planned_us: int
    visibility: Visibility


class Judging:
    """Runs as they may be judged, read from the log when they are asked for."""

    def __init__(self, log: Log, builds: Builds) -> None:
        self._log = log
        self._builds = builds

    async def _over(self, run_id: str, seen: Seen) -> Run:
        """The run, which must be over. Raises: Invalid, where there is nothing to judge (yet), or nothing that may be seen."""
        state, run = None, None
        async with aclosing(self._log.of_key(RUNS, run_id.encode())) as records:
            async for record in records:
                event = record.event
                if isinstance(event, RunChanged) and event.run_id == run_id and seen.takes(event):
                    state = step(state, event.state)
                    if event.plan is not None and run is None:
                        run = Run(run_id, self._log.vault.opened(event).plan or event.plan, record.written_us, event.visibility)
        judging.check_state(run_id, state)
        if run is None:
            raise Invalid(f"run {run_id} was {state} before it was planned; it has no answers", code="nothing-to-judge")
        judging.check_audit(run_id, run.plan)
        return run

    async def judged(self, request: EvaluationRequested) -> Judged:
        """What a judging request comes to. Raises: Invalid, where there is nothing to judge (yet)."""
        seen = Seen(request.organisation_id)
        runs = [await self._over(run_id, seen) for run_id in (request.parent_run, request.against_run) if run_id is not None]
        for run in runs:
            judging.check_visibility(request, run.run_id, run.visibility)
        answers = [await self._answers(run) for run in runs]
        shared = [one for one in runs[0].plan.tasks if all(run.plan.planned(one.task) for run in runs)]
        judging.check_setups(runs[0].run_id, shared)
        draws = {one.task: count for one in shared if (count := judging.draws_of(answers[0].get(one.task, {})))}
        builds = {one.task: one.build_id for one in shared if one.task in draws}
        choices = [one for choice in request.tasks for one in judging.chosen(choice, draws)]
        of = {one.name: (one.name.partition(judging.OF)[2], judging.gathers(one.name)) for one in choices}
        given = {
            (task, together): Given(await self._documents(task, runs, answers, together=together), f"answers:{task}")
            for task, together in dict.fromkeys(of.values())
        }
        subjects = [judging.subject_of(run.run_id, run.plan) for run in runs]
        return Judged(
            choices, {name: given[kind] for name, kind in of.items()}, {name: builds[task] for name, (task, _) in of.items()},
            subjects[0], subjects[1] if subjects[1:] else None,
        )  # fmt: skip

    async def referring(self, judged: Judged, asked: Sequence[TaskChoice], work: Callable[..., Awaitable[Any]]) -> Judged:
        """The same, with the right answers in the documents of tasks that compare with them; `work` is done in the builder's process.

        Without the tasks that have none, where one is left that was not asked for by name. Raises: Invalid, where none is left.
        """
        told = dict[str, Given | None](judged.given)
        for name in [name for name in told if judging.derived_name(name) in judging.REFERRING]:
            told[name] = await work(referring, (await self._built(judged.builds[name])).config_json, told[name])
        given = {name: one for name, one in told.items() if one is not None}
        without = [name for name in told if name not in given]
        if refused := [name for name in without if not given or name in {choice.name for choice in asked}]:
            raise Invalid(f"task {refused[0]}: the judged task has no right answers to compare with; judge tasks that have them",
                          code="nothing-to-judge")  # fmt: skip
        return replace(judged, choices=[choice for choice in judged.choices if choice.name in given], given=given)

    async def _built(self, build_id: str) -> TaskBuilt:
        built = await self._builds.of(build_id)
        if built is None:
            raise Invalid(f"no build {build_id} in the log; its run cannot be judged", code="nothing-to-judge")
        return built

    async def _answers(self, run: Run) -> Answers:
        """Task → the run's answers; of several to one sample the first in the log.

        They are looked for from an hour before its plan on; where some are not there, before that too: where topics have the times of
        their writers, an agent's clock may be wrong.
        """
        found: Answers = {}
        since, ends = await self._log.offsets_at([ANSWERS], written_us=max(0, run.planned_us - BEFORE_US)), await self._log.ends([ANSWERS])
        await self._look_between(run.run_id, found, since=since, until=ends)
        if any(_lacks(planned, len(found.get(planned.task, ()))) for planned in run.plan.tasks):
            earlier: Answers = {}
            await self._look_between(run.run_id, earlier, since={}, until=since)
            found = {task: found.get(task, {}) | earlier.get(task, {}) for task in found.keys() | earlier.keys()}
        return found

    async def _look_between(self, run_id: str, found: Answers, *, since: Ends, until: Ends) -> None:
        until = {at: end for at, end in until.items() if since.get(at, 0) < end}
        if not until:
            return
        of_run = self._log.follow([ANSWERS], since=since, until=until, wanted=lambda key, _place: run_of_key(key) == run_id)
        async with aclosing(of_run) as records:
            async for record in records:
                event = record.event
                if isinstance(event, SampleAnswered) and event.run_id == run_id:
                    found.setdefault(event.task, {}).setdefault((event.ordinal, event.repeat), self._log.vault.opened(event))

    async def _documents(
        self,
        task: str,
        runs: Sequence[Run],
        answers: Sequence[Mapping[str, Mapping[tuple[int, int], SampleAnswered]]],
        *,
        together: bool,
    ) -> tuple[str, ...]:
        """A task's answers as documents."""
        sides = [
            judging.Side(run.run_id, planned, answered.get(task, {}))
            for run, answered in zip(runs, answers, strict=True) if (planned := run.plan.planned(task))
        ]  # fmt: skip
        planned = sides[0].planned
        built = await self._built(planned.build_id)
        samples = await samples_of(self._log, built, wanted=range(planned.samples))
        return tuple(judging.documents(samples, await contents_of(self._log, built.contents), sides, together=together))


def _lacks(planned: PlannedTask, answers: int) -> bool:
    """Answers of a task are missing; one that may stop early has as many as it has."""
    return answers == 0 if planned.stopping else answers < planned.samples * planned.repeats
