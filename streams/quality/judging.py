"""Judging: another run's answers as documents of a derived task, whom a run judges, and the runs that judge at a run's completion.

A judgement is a run of its own: the judging model is evaluated on a task whose documents are answers. Every answer that was expected is a
document, in the order of sample, repeat, request and draw, so that all whom one judge judges on one build share their ordinals; one that
the judged model did not give is a document too, and is not scored.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.builds import SampleBuilt
from schemas.event import Producer, Visibility, derive_run_id
from schemas.measurements import Answer, SampleAnswered
from schemas.requests import EngineChoice, EvaluationRequested, Judgement, ModelRef, TaskChoice
from schemas.runs import Plan, PlannedTask, RunChanged, Subject
from streams.engines import kind_of, wants_key
from streams.errors import Invalid
from streams.runs import TERMINAL
from streams.statistics.clusters import CLUSTER, cluster_of
from streams.trust.privacy import PRIVATE

USUAL = "assay_judge_writing"
PAIRWISE = "assay_judge_pairwise"
COMPARING = frozenset({PAIRWISE})  # derived tasks about two runs' answers
GATHERING = frozenset({"assay_judge_continuations"})  # derived tasks whose documents are all draws of a request together
REFERRING = frozenset({"assay_judge_bertscore"})  # derived tasks that compare with the judged task's right answers
# Derived tasks that only one engine can answer, and what they ask of it. The fake engine can stand in for any.
ENGINES = {
    **dict.fromkeys(("assay_judge_toxicity", *GATHERING), ("classifier", "a classifier for a label")),
    "assay_judge_bertscore": ("encoder", "an encoder how alike texts are"),
}
OF = ":"  # between a derived task and the task that it judges
UNANSWERED = "assay_unanswered"
WRITTEN = "generate_until"
Answered = Mapping[tuple[int, int], SampleAnswered]  # (ordinal, repeat) → the first answer in the log


@dataclass(frozen=True, slots=True)
class Side:
    """One run's answers to one task."""

    run_id: str
    planned: PlannedTask
    answered: Answered


def derived_name(task: str) -> str:
    """The derived task in `derived:judged task`; any other name as it is."""
    return task.partition(OF)[0]


def judged_name(task: str) -> str:
    """The judged task in `derived:judged task`; empty for any other name."""
    return task.partition(OF)[2]


def subject_of(run_id: str, plan: Plan) -> Subject:
    """A run as whom another judges."""
    return Subject(run_id=run_id, model=plan.model, model_sha=plan.model_sha, engine=plan.engine, chat=plan.chat,
                   chat_template_sha=plan.chat_template_sha)  # fmt: skip


def about(plan: Plan) -> Plan | Subject:
    """Whom a run's scores are about: whom it judges, else its own model."""
    return plan.subject or plan


def identity(told: Plan | Subject) -> tuple[str, ...]:
    """What makes two runs runs of one model: its weights, engine, precision and prompt dress."""
    options = ",".join(f"{name}={value}" for name, value in sorted(told.engine.options.items()))
    return (told.model.uri, told.model_sha, told.engine.name, options, told.model.dtype or "", told.model.quantisation or "",
            told.chat.model_dump_json(), told.chat_template_sha)  # fmt: skip


def by(plan: Plan) -> str:
    """What a judging run's boards are called beside their tasks: ` by JUDGE`, with whom it compares; empty for any other run."""
    if plan.subject is None:
        return ""
    return f" by {named(plan)}" + (f" against {named(plan.against)}" if plan.against else "")


def named(told: Plan | Subject) -> str:
    """A model's short name, with a mark that tells it from others of that name."""
    mark = hashlib.sha256(repr(identity(told)).encode()).hexdigest()[:6]
    return f"{told.model.uri.rstrip('/').rpartition('/')[2] or told.model.uri} ({mark})"


def check_request(request: EvaluationRequested, derived: frozenset[str]) -> bool:
    """Whether the request judges. Raises: Invalid, where only part of it does, or it does not say whom. `derived`: the derived tasks."""
    judging = [choice.name for choice in request.tasks if derived_name(choice.name) in derived]
    if not judging:
        if request.tasks and request.engine.name == "encoder":
            raise Invalid(f"engine encoder says how alike texts are, which task {request.tasks[0].name} does not ask: give engine "
                          "transformers", code="engine-cannot")  # fmt: skip
        return False
    if len(judging) < len(request.tasks) or request.workload is not None:
        raise Invalid(
            f"task {judging[0]} judges another run's answers; ask for other tasks and workloads in a run of their own", code="judging"
        )
    if request.parent_run is None:
        raise Invalid(
            f"task {judging[0]} judges another run's answers: say whose, by parent_run or `assay judge RUN`", code="nobody-judged"
        )
    wanted = "one run: leave against_run out" if request.against_run is not None else "two runs: give against_run"
    for name in judging:
        if (derived_name(name) in COMPARING) != (request.against_run is not None):
            raise Invalid(f"task {name} judges {wanted}", code="nobody-judged")
        _check_engine(name, request.engine)
    if request.parent_run == request.against_run:
        raise Invalid(f"run {request.parent_run} cannot be compared with itself; give another as against_run", code="nobody-judged")
    return True


def check_state(run_id: str, state: str | None) -> None:
    """Raises: Invalid, where a run's answers cannot be judged (yet)."""
    if state is None:
        raise Invalid(f"run {run_id} is not in the log, or was rejected; `assay runs` lists runs", code="unknown-run")
    if state not in TERMINAL:
        raise Invalid(
            f"run {run_id} is {state}: its answers can be judged when it is over (`assay run {run_id} --wait`); "
            "or ask for judgements with the run itself", code="not-over",
        )  # fmt: skip


def check_audit(run_id: str, plan: Plan) -> None:
    """Raises: Invalid, where a run is an audit: what is judged stands on boards, and an audit on none."""
    if plan.audit_of is not None:
        raise Invalid(f"run {run_id} is an audit of run {plan.audit_of}: judge that one", code="nothing-to-judge")


def check_setups(run_id: str, tasks: Sequence[PlannedTask]) -> None:
    """Raises: Invalid, where a run's prompts vary, for which of them an answer is to is not told yet, or only a part was asked."""
    if varied := next((one.task for one in tasks if one.setups), None):
        raise Invalid(f"run {run_id} varied the prompts of {varied}: ask for it without vary, and judge that run", code="vary")
    if part := next((one.task for one in tasks if one.adaptive), None):
        raise Invalid(f"run {run_id} asked {part} adaptively, and a part that was chosen says nothing of the whole: judge a run that asked "
                      "all of it", code="adaptive")  # fmt: skip


def check_visibility(request: EvaluationRequested, run_id: str, visibility: Visibility) -> None:
    """Raises: Invalid, where a run that is not private would tell a private one's answers."""
    if visibility == PRIVATE and request.visibility != PRIVATE:
        raise Invalid(f"run {run_id} is private: ask for its judgement in private too (`assay judge {run_id} --private`)", code="private")


def chosen(choice: TaskChoice, tasks: Mapping[str, int]) -> list[TaskChoice]:
    """The choice for every judged task that it means: the one after the colon, else all; these then count as one. Raises: Invalid.

    `tasks` are those with written answers, each with how often a request was answered.
    """
    name, _, only = choice.name.partition(OF)
    able = [task for task, draws in tasks.items() if draws > 1 or not gathers(name)]
    meant = [task for task in able if only in ("", task)]
    if not meant:
        kind = "answers drawn several times (`repeats: 25` in a task's definition)" if gathers(name) else "written answers"
        raise Invalid(f"task {choice.name}: the judged run has no {kind} to {only or 'any task'}; it has them to: "
                      f"{', '.join(able) or 'none'}", code="nothing-to-judge")  # fmt: skip
    group = name if len(meant) > 1 else None
    return [choice.model_copy(update={"name": f"{name}{OF}{task}", "group": choice.group or group}) for task in meant]


def gathers(task: str) -> bool:
    """A document of the derived task is all draws of a request."""
    return derived_name(task) in GATHERING


def draws_of(answered: Answered) -> int:
    """How often a request was answered with a text; 0 where no answer is one."""
    return max((answer.draw + 1 for one in answered.values() for answer in one.answers if answer.request_type == WRITTEN), default=0)


def documents(
    samples: Mapping[int, SampleBuilt], contents: Mapping[str, str], sides: Sequence[Side], *, together: bool = False
) -> Iterator[str]:
    """The answers of one run, or of two side by side, as JSON documents of a derived task.

    Fields: `prompt` (the whole context), `answer`, with two runs `other`; `target`, `document` (JSON) of the judged task; `ordinal`,
    `repeat`, `request`, `draw`. `together`: all draws of a request are one document, with their texts as `answers`.
    Raises: Invalid, where two runs were not asked the same.
    """
    planned = {(side.planned.asked, side.planned.samples, side.planned.repeats) for side in sides}
    if len(planned) > 1:
        runs = " and ".join(side.run_id for side in sides)
        raise Invalid(f"runs {runs} were not asked the same of {sides[0].planned.task}; compare runs of one request", code="other-build")
    first = sides[0].planned
    for ordinal in range(first.samples):
        for repeat in range(first.repeats):
            # Of a task that stopped early only what was answered is there to be judged.
            if not any(side.planned.stopping and (ordinal, repeat) not in side.answered for side in sides):
                for draws in _of_sample(samples[ordinal], repeat, contents, sides):
                    for document in [_gathered(draws)] if together else draws:
                        yield json.dumps(document, ensure_ascii=False)


def _of_sample(sample: SampleBuilt, repeat: int, contents: Mapping[str, str], sides: Sequence[Side]) -> Iterator[list[dict[str, Any]]]:
    """Of each written request its draws."""
    document = sample.document.read()
    read = json.loads(document)
    cluster = (cluster_of(read) if isinstance(read, dict) else None) or f"sample {sample.ordinal}"
    answered = [side.answered.get((sample.ordinal, repeat)) for side in sides]
    for index, request in enumerate(sample.requests):
        if request.request_type != WRITTEN:
            continue
        prompt = (contents[request.prefix_ref] if request.prefix_ref else "") + request.context.read()
        given = [[_text(one, index, draw) for one in answered] for draw in range(request.repeats)]
        yield [
            {"prompt": prompt, **dict(zip(("answer", "other"), (text or "" for text in texts), strict=False)),
             "target": sample.target.read() if sample.target else "", "document": document, "ordinal": sample.ordinal, "repeat": repeat,
             "request": index, "draw": draw, CLUSTER: cluster, UNANSWERED: None in texts}
            for draw, texts in enumerate(given)
        ]  # fmt: skip


def _gathered(draws: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A request's draws as one document. Where one is missing their highest figure is not known, so all are."""
    return draws[0] | {"answers": [one["answer"] for one in draws], UNANSWERED: any(one[UNANSWERED] for one in draws)}


def _text(answered: SampleAnswered | None, index: int, draw: int) -> str | None:
    """An answer's text; None where there is none."""
    own = [one for one in answered.answers if (one.request_index, one.draw) == (index, draw)] if answered else list[Answer]()
    return own[0].output.read() if own and own[0].output and not own[0].error else None


def judgements_of(request: EvaluationRequested) -> tuple[Judgement, ...]:
    """All judgements that a request asks for: the models among `judges` judge by the usual rubric."""
    return request.judgements + tuple(Judgement(task=USUAL, model=ModelRef(uri=uri)) for uri in request.judges)


def _check_engine(task: str, engine: EngineChoice) -> None:
    wanted, asks = ENGINES.get(derived_name(task), ("", ""))
    if wanted and engine.name not in (wanted, "echo"):
        raise Invalid(f"task {task} asks {asks}: give engine {wanted}, and a model of that kind", code=f"no-{wanted}")
    if not wanted and not kind_of(engine.name).tokens:
        raise Invalid(f"task {task} asks a language model, which engine {engine.name} does not run; give engine transformers",
                      code="engine-cannot")  # fmt: skip


def check_judges(request: EvaluationRequested, derived: frozenset[str]) -> None:
    """Raises: Invalid, where a judgement is asked for that cannot be."""
    for one in judgements_of(request):
        if derived_name(one.task) not in derived - COMPARING:
            known = ", ".join(sorted(derived - COMPARING))
            raise Invalid(f"task {one.task!r} does not judge one run; those that do: {known}", code="unknown-judgement")
        _check_engine(one.task, one.engine)


def requests_of(request: EvaluationRequested, completed: RunChanged, *, stamp: Producer) -> list[EvaluationRequested]:
    """What a completed run's request asks of judges. The runs' ids are derived, so that to ask again is to ask for the same."""
    return [
        EvaluationRequested(
            occurred_us=completed.occurred_us, producer=stamp, organisation_id=request.organisation_id, visibility=request.visibility,
            run_id=derive_run_id("Judgement", request.run_id, place), parent_run=request.run_id, submitter=request.submitter,
            campaign=request.campaign, model=one.model, engine=one.engine, chat=one.chat, tasks=(TaskChoice(name=one.task),),
            priority=request.priority, pool=request.pool,
            credential_ref=request.credential_ref if wants_key(one.engine.name, one.model) else None,
        )
        for place, one in enumerate(judgements_of(request))
    ]  # fmt: skip
