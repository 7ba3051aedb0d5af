"""A sample as metrics see it, from lm-eval's task object and the sample's answered instances."""

from collections.abc import Mapping, Sequence
from typing import Any

from infra.harness.metrics.measure import Case


def case_of(task: Any, doc: Any, instances: Sequence[Any], *, filter_name: str) -> Case:
    """What metrics see under a filter. What the task does not tell of this document is empty."""
    answered = [instance.filtered_resps[filter_name] for instance in instances]
    if task.OUTPUT_TYPE == "generate_until":
        return Case(
            text=_first(answered[0]), references=references(task, doc), prompt=str(instances[0].args[0]),
            output=_first(instances[0].resps), document=doc, form=_form(doc),
        )  # fmt: skip
    if task.OUTPUT_TYPE == "multiple_choice":
        return _of_choices(task, doc, instances, [float(one[0]) for one in answered])
    if task.OUTPUT_TYPE == "loglikelihood_rolling":
        return Case(likelihood=float(answered[0]), told=str(task.doc_to_target(doc)))
    return Case(likelihood=float(answered[0][0]), told=str(instances[0].args[1]))


def _first(answered: Any) -> str | None:
    """The text, or the first of several draws."""
    while isinstance(answered, list | tuple) and answered:
        answered = answered[0]
    return answered if isinstance(answered, str) else None


def _form(doc: Any) -> tuple[int, ...]:
    told = doc.get("syllables") if isinstance(doc, Mapping) else None
    return tuple(told) if isinstance(told, list) and all(isinstance(one, int) for one in told) else ()


def references(task: Any, doc: Any) -> tuple[str, ...]:
    """The right answers to a document of a task that generates; none where the task does not tell."""
    try:
        told = task.doc_to_target(doc)
        if isinstance(told, int) and task.config.doc_to_choice is not None:
            told = task.doc_to_choice(doc)[told]
    except Exception:  # noqa: BLE001  # a task's definition is code of others; its own score does not hang on this
        return ()
    every = told if isinstance(told, list | tuple | set) else [told]
    return tuple(str(one) for one in every if one is not None)


def _of_choices(task: Any, doc: Any, instances: Sequence[Any], loglikelihoods: list[float]) -> Case:
    # A task that wants mutual information asks for each choice a second time, without its question.
    choices = loglikelihoods[: len(task.doc_to_choice(doc))]
    right = _right(task, doc, len(choices))
    if right is None:
        return Case(choices=tuple(choices))
    return Case(choices=tuple(choices), right=right, likelihood=choices[right], told=str(instances[right].args[1]))


def _right(task: Any, doc: Any, count: int) -> int | None:
    """The place of the right choice; None where there is none, or more than one."""
    told = task.doc_to_text(doc) if getattr(task, "multiple_input", 0) else task.doc_to_target(doc)
    if isinstance(told, str) and told in (choices := task.doc_to_choice(doc)):
        told = choices.index(told)
    return told if isinstance(told, int) and 0 <= told < count else None
