"""Other models' runs of tasks that are asked adaptively, read from the log when they are asked for.

What was written after the request counts for nothing: a request that is planned again, after a crash, is planned alike. Of all runs only
those that may serve are held meanwhile.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

from infra.kafka import Log
from schemas.event import Event
from schemas.requests import EvaluationRequested
from schemas.results import RunScored
from schemas.runs import Plan, RunChanged, RunState
from schemas.trust import RunRetracted
from streams.errors import Invalid
from streams.quality.adaptive import Source
from streams.runs import TERMINAL, step
from streams.settling.documents import unpacked
from streams.topics import RETRACTIONS, RUN_SCORES, RUNS, Topic
from streams.trust.privacy import PRIVATE

Sources = Mapping[str, Sequence[Source]]  # by task


@dataclass(slots=True)
class _Run:
    """A run as the log tells it: its plan, its state, and when its plan was written, in µs."""

    plan: Plan
    planned_us: int
    state: RunState | None = None


async def sources_of(log: Log, request: EvaluationRequested, *, tasks: Collection[str], model_sha: str | None, before_us: int) -> Sources:
    """The completed runs of these tasks that others may be estimated by: of its organisation, of other models, not private or retracted.

    `before_us`: Kafka's time of the request.
    """

    def serves(plan: Plan) -> bool:
        plain = plan.subject is None and plan.audit_of is None and plan.model_sha != model_sha
        return plain and any(one.task in tasks for one in plan.tasks)

    runs = await _runs(log, request.organisation_id, before_us, serves=serves)
    plans = {run_id: run.plan for run_id, run in runs.items() if run.state == "completed"}
    scores = await _scores(log, plans.keys(), before_us)
    found = dict[str, list[Source]]()
    for (run_id, task), said in scores.items():
        if (planned := plans[run_id].planned(task)) and said.documents and task in tasks:
            with suppress(Invalid):  # what cannot be read is no source; it is a dead letter of the ranker's
                source = Source(run_id, plans[run_id].model_sha, runs[run_id].planned_us, planned, unpacked(said.documents))
                found.setdefault(task, []).append(source)
    return found


async def _runs(log: Log, organisation_id: str, before_us: int, *, serves: Callable[[Plan], bool]) -> dict[str, _Run]:
    """The runs of an organisation that stand, that all of it may know, and whose plan serves."""
    runs, retracted = dict[str, _Run](), set[str]()
    async for event, written_us in _events(log, (RUNS, RETRACTIONS), before_us):
        if isinstance(event, RunRetracted):
            retracted.add(event.run_id)
        elif isinstance(event, RunChanged) and event.visibility == PRIVATE:
            runs.pop(event.run_id, None)
        elif isinstance(event, RunChanged) and event.organisation_id == organisation_id:
            if event.plan and event.run_id not in runs and serves(event.plan):
                runs[event.run_id] = _Run(event.plan, written_us)
            if run := runs.get(event.run_id):
                run.state = step(run.state, event.state)
                if run.state in TERMINAL and run.state != "completed":
                    del runs[event.run_id]
    return {run_id: run for run_id, run in runs.items() if run_id not in retracted}


async def _scores(log: Log, runs: Collection[str], before_us: int) -> dict[tuple[str, str], RunScored]:
    """(run, task) → its complete scores; a newer scorer's take the place of an older one's."""
    found = dict[tuple[str, str], RunScored]()
    async for event, _ in _events(log, (RUN_SCORES,), before_us, of=frozenset(run_id.encode() for run_id in runs)):
        if isinstance(event, RunScored) and event.complete:
            known = found.get((event.run_id, event.task))
            if known is None or event.scorer_version > known.scorer_version:
                found[event.run_id, event.task] = event
    return found


async def _events(
    log: Log, topics: Sequence[Topic], before_us: int, *, of: Collection[bytes] | None = None
) -> AsyncIterator[tuple[Event, int]]:
    """What was written by then, with its time; of these keys alone, where any are named."""
    ends = await log.ends(topics)
    wanted = None if of is None else (lambda key, _place: key in of)
    async with aclosing(log.follow(topics, until=ends, wanted=wanted)) as records:
        async for record in records:
            if record.event and record.written_us <= before_us:
                yield record.event, record.written_us
