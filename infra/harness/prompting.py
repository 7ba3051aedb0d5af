"""A task's documents as prompts of a load: what the task asks of each first, as it would be asked."""

from infra.harness.building import BuiltSample, build, identify
from infra.harness.catalogue import DERIVED_TASKS, resolve
from infra.harness.chat import Dress
from infra.settings import Settings
from schemas.requests import EvaluationRequested, Prompt, TaskChoice
from streams import licences
from streams.errors import Invalid


def prompts_of(request: EvaluationRequested, name: str, *, limit: int | None, dress: Dress, settings: Settings) -> tuple[Prompt, ...]:
    """The prompts of a task, or of each task of a group, with its own few-shot examples: of each the first so many documents.

    Raises: NotFound, Invalid: also for data under a licence that the request does not take.
    """
    found = list[Prompt]()
    for leaf in resolve(name):
        if leaf.name in DERIVED_TASKS:
            raise Invalid(f"task {leaf.name} is about another run's answers, and no prompt of a load: give another", code="workload")
        choice = TaskChoice(name=leaf.name, fewshot=leaf.fewshot)
        known = identify(choice, dress=dress, settings=settings)
        licences.check_data(known.licence, taken=request.data_licences, non_commercial=request.non_commercial, task=leaf.name)
        samples = build(choice, dress=dress, settings=settings).samples[:limit]
        found += [Prompt(text=text) for one in samples if (text := _asked(one)).strip()]
    return tuple(found)


def _asked(sample: BuiltSample) -> str:
    """Its first request's context; of one that has none, as a text whose likelihood is asked, the text."""
    first = sample.requests[0]
    return first.prefix + first.context or first.continuation or ""
