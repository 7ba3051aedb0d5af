"""A task's few-shot examples, looked through before they are shown: what cannot be, or would be shown wrongly without a word.

Source: lm-eval 0.4.13, api/task.py, fewshot_context and build_qa_turn: an example's answer is a text, the place of a choice, or a list
of texts, of which the first is shown.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from infra.harness.defined_documents import CODE, either, unmade, wrong_place
from infra.harness.defined_targets import TARGET
from infra.harness.definition_files import Fields, line_of
from infra.harness.document_places import example_place
from infra.harness.rows import shown
from infra.harness.wrongly_shown import wrongly_shown
from infra.marked_yaml import pairs
from streams.errors import Invalid

TEXTS: Final = ("doc_to_text", "doc_to_choice", "doc_to_target", "gen_prefix")
PLAIN: Final = "ConfigurableTask"


def check_example(task: Any, document: Any, definition: Fields) -> None:
    """Raises: Invalid for an example of a client's task that cannot be shown, or would be wrongly; with its line in the definition."""
    if fault := next(example_faults(task, document, own=True), None):
        raise _told(task, document, fault, definition)


def explained_example(task: Any, definition: Fields | None) -> Invalid | None:
    """Why a task's prompts cannot be made, where an example is the reason."""
    if not task.config.num_fewshot:
        return None
    for document in task.sampler.df if getattr(task, "sampler", None) is not None else ():
        if fault := next(example_faults(task, document, own=False), None):
            return _told(task, document, fault, definition)
    return None


def example_faults(task: Any, document: Any, *, own: bool) -> Iterator[tuple[str, str]]:
    """What is wrong with an example, each field with the reason: what cannot be shown, and of a client's own, what would be wrongly."""
    if type(task).__name__ != PLAIN:
        yield from unmade(task, document)
        return
    if found := list(unmade(task, document, told=task.fewshot_cfg)):
        yield from found
        return
    yield from _unshown(task, document, own=own)
    told = task.fewshot_cfg
    choices = task.doc_to_choice(document, told.doc_to_choice) if told.doc_to_choice else ()
    for field in TEXTS if own else ():
        if (fault := wrongly_shown(getattr(told, field), document, meant=choices if field == TARGET else ())) is not None:
            yield field, fault


def check_shots(task: Any, name: str, *, exclude: bool = False, left_out: list[str]) -> None:
    """Raises: Invalid, where a prompt shall hold more examples than there are. `exclude`: a document is never its own example.

    `left_out`: the rows that examples are not drawn from, for they cannot be shown.
    """
    shots, sampler, told = task.config.num_fewshot or 0, getattr(task, "sampler", None), getattr(task, "fewshot_cfg", None)
    if not shots or sampler is None:
        return
    there = len(getattr(sampler, "fewshot_indices", None) or sampler.df)
    # Where the evaluated split is named as that of the examples, lm-eval leaves the document out too.
    split = told.split if told is not None and told.sampler == "default" else None
    written = told is not None and getattr(told, "samples", None) is not None  # examples that the file writes out are no documents
    own = not written and (exclude or (split is not None and split == task.config.test_split))
    if shots > there - own:
        but = " beside the one that is asked" if own else ""
        out = f" ({len(left_out):,} cannot be shown, and are left out; the first: {left_out[0]})" if left_out else ""
        raise Invalid(
            f"task {name} at {shots} shots needs {shots} examples, and has {there - own}{but}{out}; ask for fewer", code="no-fewshot-data"
        )


def _told(task: Any, document: Any, fault: tuple[str, str], definition: Fields | None) -> Invalid:
    number = next((number for number, one in enumerate(task.sampler.df) if one is document), None)
    where = _line(definition, fault[0]) if definition is not None else f"task {task.config.task}, "
    return Invalid(f"{where}{example_place(task, number)}, {fault[0]}: {fault[1]}", code=CODE)


def _line(definition: Fields, field: str) -> str:
    """Where a field is said that examples are made by: of their own, else of the task."""
    own = pairs(definition["fewshot_config"][1]) if "fewshot_config" in definition else {}
    return line_of(own, field) or line_of(definition, field) or line_of(definition, "fewshot_config")


def _unshown(task: Any, document: Mapping[str, Any], *, own: bool) -> Iterator[tuple[str, str]]:
    told = task.fewshot_cfg
    text, answer = task.doc_to_text(document, told.doc_to_text), task.doc_to_target(document, told.doc_to_target)
    choices = task.doc_to_choice(document, told.doc_to_choice) if told.doc_to_choice else None
    yield from wrong_place(task, text, choices or ())
    if isinstance(text, int):
        choices = None  # the choice is in the prompt, and what follows it is the answer
    if (fault := _unshown_answer(answer, choices)) is not None:
        yield TARGET, fault
    elif own and answer in (None, ""):
        yield TARGET, "it is empty: the example would have no answer, and the next question would follow its own; give a text"
    elif own and isinstance(answer, int) and choices and task.OUTPUT_TYPE == "multiple_choice":
        yield from either(task, told.doc_to_target, answer, choices, document)
    elif own and isinstance(answer, str) and choices and task.OUTPUT_TYPE == "multiple_choice" and answer not in choices:
        yield TARGET, f"{shown(answer)} is none of the {len(choices)} choices; give a choice's place, 0 to {len(choices) - 1}, or its text"


def _unshown_answer(answer: Any, choices: list[str] | None) -> str | None:
    """Why an example's answer cannot be shown; None where it can."""
    if getattr(answer, "ndim", None) is not None:
        return "a value of NumPy's, which an example does not show; give a text, or a number of Python's (.item())"
    if choices and isinstance(answer, int):
        placed = not isinstance(answer, bool) and 0 <= answer < len(choices)
        return None if placed else f"{shown(answer)} is no place of its {len(choices)} choices; give 0 to {len(choices) - 1}"
    if isinstance(answer, list):
        if not answer:
            return "there is no right answer in its list; give one, or leave the row out"
        answer = answer[0]
    if answer is None or isinstance(answer, str):
        return None
    return f"{shown(answer)}, and an example shows a text; give one, as {{{{ column }}}} does of a number"
