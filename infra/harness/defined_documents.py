"""A task's documents, looked through before requests are made of them: what cannot be asked or scored is told with document and field.

Every task is looked through where lm-eval cannot make its requests; a client's own also where it could, but what came of it would be
wrong without a word: a label that is none of the choices, a choice alone, a null shown as "None".
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any, Final

from jinja2 import meta
from jinja2.sandbox import SandboxedEnvironment

from infra.harness.defined_targets import TARGET, answer_of, hidden, wrong_asked, wrong_target, wrong_text
from infra.harness.definition_files import Fields, line_of
from infra.harness.document_places import file_of, place_of
from infra.harness.limits import words
from infra.harness.rows import HALF, half_a_letter, kind_of, shown
from infra.harness.wrongly_shown import shows_number, wrongly_shown
from streams.errors import Invalid

CODE: Final = "task-document"
FIELDS: Final = ("doc_to_text", "doc_to_choice", "doc_to_target")
QUERY: Final = "doc_to_decontamination_query"  # what a document asks, by which others ask the same
BESIDE: Final = ("description", "gen_prefix")  # of each document too
COLUMN: Final = re.compile(r"[A-Za-z_]\w*")
UNKNOWN: Final = re.compile(r"'([^']+)'(?: is undefined)?")  # as Jinja says it, and a dict
ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")  # an object's, another each time
CLOSE: Final = 0.7
NO_LIST: Final = "what it makes is no list of texts: write {{ [a, b] }} of columns, a list, or the name of a column that has one"
TEMPLATES: Final = SandboxedEnvironment()


def check_own(task: Any, definition: Fields) -> None:
    """Raises: Invalid for the first document of a client's task that would be asked or scored wrongly; with its line in the definition."""
    if fault := _no_column(task, definition):
        raise fault
    if fault := _first(task, lambda document: faults(task, document, own=True), definition):
        raise fault
    if task.OUTPUT_TYPE == "loglikelihood_rolling" and not any(task.doc_to_target(document) for document in task.eval_docs):
        raise Invalid(f"{line_of(definition, 'doc_to_target')}every document's text is empty: nothing can be measured", code=CODE)
    check_hidden(task, definition)


def check_labels(task: Any) -> None:
    """Raises: Invalid for the first document of one of lm-eval's tasks whose label is none of its choices: whatever is said is wrong then.

    So it is where the labels are hidden, as many test splits have it, or where the data are not those that the task was written for.
    """
    chooses = task.OUTPUT_TYPE == "multiple_choice" and task.config.doc_to_choice is not None
    if chooses and (fault := _first(task, lambda document: _wrong_label(task, task.doc_to_choice(document), document), None)):
        raise fault
    check_hidden(task, {})


def check_hidden(task: Any, definition: Fields) -> None:
    """Raises: Invalid for a task whose every right answer is empty: no answer of a model's could be right.

    An empty one that the definition itself says, reading no column, hides nothing: it is what the task's author compares with.
    """
    told = task.config.doc_to_target
    if (not isinstance(told, str) or _columns(told)) and hidden(task):
        told = "every document's right answer is empty, as where labels are hidden: no answer can be right; give a split that has them"
        raise Invalid(f"{line_of(definition, TARGET) or f'task {task.config.task}: '}{told}", code=CODE)


def explained(task: Any, definition: Fields | None = None) -> Invalid | None:
    """Why a task, or its requests, cannot be made, where a document is the reason; with its line in a definition of the client's."""
    if not hasattr(task, "features"):
        return _no_documents(task, definition)
    if not len(task.task_docs):
        why = "its process_docs leaves none" if task.config.process_docs else "its split is empty"
        where = file_of(task, task.config.test_split or task.config.validation_split)
        return Invalid(f"task {task.config.task} has no document: {why}{where}", code="task-broken")
    if definition is not None and (fault := _no_column(task, definition)):
        return fault
    of_all = (lambda document: unmade(task, document), lambda document: _wrong(task, document))
    return next((fault for found in of_all if (fault := _first(task, found, definition))), None)


def _no_documents(task: Any, definition: Fields | None) -> Invalid | None:
    """That a task's process_docs gives something else than a data set."""
    docs = getattr(task, "task_docs", None)
    if not hasattr(task, "task_docs") or hasattr(docs, "features") or task.config.process_docs is None:
        return None
    where = line_of(definition, "process_docs") if definition is not None else f"task {task.config.task}, "
    hint = "; does it return what it makes?" if docs is None else ""
    must = "it must give a data set, as docs.map(…) and docs.filter(…) do"
    return Invalid(f"{where}process_docs gives {kind_of(docs)}: {must}{hint}", code=CODE)


def faults(task: Any, document: Any, *, own: bool) -> Iterator[tuple[str, str]]:
    """What is wrong with a document, each field with the reason: what cannot be asked, and of a client's own task, scored."""
    yield from unmade(task, document)
    if own:
        yield from _wrong(task, document)


def _first(task: Any, found: Callable[[Any], Iterator[tuple[str, str]]], definition: Fields | None) -> Invalid | None:
    """The first thing that is wrong with a document."""
    for number, document in enumerate(task.eval_docs):
        for field, told in found(document):
            where = line_of(definition, field) if definition is not None else f"task {task.config.task}, "
            return Invalid(f"{where}{place_of(task, number)}, {field}: {told}", code=CODE)
    return None


def _no_column(task: Any, definition: Fields) -> Invalid | None:
    """Why a field that is one word, and no column's name, is refused: lm-eval would take it for a text, or, of choices, for Python."""
    for field in (*FIELDS, *([QUERY] if task.config.should_decontaminate else [])):
        told = getattr(task.config, field)
        if not isinstance(told, str) or not COLUMN.fullmatch(told) or told in task.features:
            continue
        close = difflib.get_close_matches(told, task.features, n=1, cutoff=CLOSE)
        if close or field != TARGET or _compared(task):
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(task.features)}{_else_a_text(field, told)}"
            return Invalid(f"{line_of(definition, field)}{field}: there is no column {told!r}; {hint}", code=CODE)
    return None


def _compared(task: Any) -> bool:
    """Whether a right answer is compared with a model's as it stands: no choice, and no matter of the task's own function."""
    return task.config.process_results is None and task.config.doc_to_choice is None


def _else_a_text(field: str, told: str) -> str:
    """How a word is written that is meant as a text."""
    if field == TARGET:
        return f"; a word that is right for every document is written {{{{ '{told}' }}}}"
    return "; a text to show needs more than a word" if field == "doc_to_text" else ""


def unmade(task: Any, document: Any, *, told: Any = None) -> Iterator[tuple[str, str]]:
    """The fields that cannot be made of a document, each with the reason. `told`: what says them, where that is not the task itself."""
    if not isinstance(document, Mapping):
        yield "process_docs", f"{shown(document)}: a document must be an object of fields; leave it out, or make it one"
        return
    says = told if told is not None else task.config
    for field in FIELDS:
        if getattr(says, field) is None:
            continue
        try:
            made = getattr(task, field)(document, *([getattr(says, field)] if told is not None else []))
        except Exception as error:  # noqa: BLE001  templates and functions are a task's own: whatever one raises is told as its refusal
            no_list = field == "doc_to_choice" and isinstance(error, ValueError | SyntaxError)
            yield field, (_no_list if no_list else _because)(error, getattr(says, field), document)
            return
        if isinstance(made, str) and half_a_letter(made):
            yield field, HALF
        if field == "doc_to_text" and (fault := wrong_text(task, made)) is not None:
            yield field, fault
            return
        if field == "doc_to_choice" and (fault := _choices(made)) is not None:
            yield field, fault
            return
    yield from _unmade_around(task, document, BESIDE if told is None else BESIDE[1:], says)


def _unmade_around(task: Any, document: Mapping[str, Any], fields: Sequence[str], says: Any) -> Iterator[tuple[str, str]]:
    """What stands before a document's own text, or begins its answer, and cannot be made."""
    for field in fields:
        template = getattr(says, field, None)
        if not isinstance(template, str) or not template or not (template in document or "{" in template):
            continue
        try:
            made = task.resolve_field(document, template)
        except Exception as error:  # noqa: BLE001  as above
            yield field, _because(error, template, document)
            continue
        if not isinstance(made, str):
            yield field, f"{shown(made)}: it must be a text"


def _because(error: Exception, told: Any, document: Mapping[str, Any]) -> str:
    if unknown := UNKNOWN.fullmatch(str(error)):
        name = unknown[1]
        close = difflib.get_close_matches(name, list(document), n=1, cutoff=CLOSE)
        return f"there is no {name!r}; " + (f"did you mean {close[0]}?" if close else f"the columns are {', '.join(document)}")
    if seen := _seen(told, document):
        return f"{seen}, of which it cannot be made; give what the other rows have, leave the row out, or mend the template"
    if callable(told):
        return f"its function raised {words(error)}"
    return f"it is no template that can be filled: {ADDRESS.sub('', str(error) or type(error).__name__)}"


def _no_list(error: Exception, told: Any, document: Mapping[str, Any]) -> str:
    seen = _seen(told, document)
    return f"{seen + ': ' if seen else ''}{NO_LIST}"


def _seen(told: Any, document: Mapping[str, Any]) -> str:
    """What a document has in the columns that a template reads."""
    return "; ".join(f"{name} is {shown(document[name])}" for name in _columns(told) if name in document)


def _columns(told: Any) -> list[str]:
    """The columns that a template reads."""
    if not isinstance(told, str):
        return []
    return [told] if COLUMN.fullmatch(told) else sorted(meta.find_undeclared_variables(TEMPLATES.parse(told)))


def _choices(choices: Any) -> str | None:
    if not isinstance(choices, list | tuple):
        return f"{shown(choices)}: it must be a list of texts"
    if not choices:
        return "there are no choices; give two or more, or leave the row out"
    wrong = next(((place, one) for place, one in enumerate(choices) if not isinstance(one, str) or not one), None)
    return f"choice {wrong[0]} is {shown(wrong[1])}: it must be a text of a letter or more" if wrong else None


def _wrong(task: Any, document: Any) -> Iterator[tuple[str, str]]:
    """What could be asked of a document, and would be scored wrongly without a word."""
    try:
        yield from _scored_wrongly(task, document)
    except Exception as error:  # noqa: BLE001  what functions make is a task's own: whatever comparing it raises is told as its refusal
        yield TARGET, f"what its function makes cannot be compared: {words(error)}; give texts, numbers or lists of them"


def _scored_wrongly(task: Any, document: Any) -> Iterator[tuple[str, str]]:
    choices = task.doc_to_choice(document) if task.config.doc_to_choice is not None else ()
    for field in (*FIELDS, *BESIDE):
        if (fault := wrongly_shown(getattr(task.config, field, None), document, meant=choices if field == TARGET else ())) is not None:
            yield field, fault
    yield from wrong_target(task, document)
    yield from wrong_asked(task, document)
    if task.config.doc_to_choice is not None:
        yield from wrong_place(task, task.doc_to_text(document), choices)
    if task.OUTPUT_TYPE == "multiple_choice" and task.config.doc_to_choice is not None:
        yield from _wrong_choice(task, choices, document)


def _wrong_choice(task: Any, choices: Any, document: Any) -> Iterator[tuple[str, str]]:
    if len(choices) < 2:
        yield "doc_to_choice", "there is one choice: whatever a model says is right; give two or more"
    if task.config.process_results is not None or task.multiple_input:
        return
    yield from _wrong_label(task, choices, document)
    yield from either(task, task.config.doc_to_target, answer_of(task, document), choices, document)
    yield from _alike(task, choices, document)
    binary = {name for name in ("f1",) if name in task.aggregation()}
    if binary and len(choices) > 2 and getattr(task.aggregation()["f1"], "__module__", "") == "lm_eval.api.metrics":
        yield "doc_to_choice", f"metric f1 is for two choices, and there are {len(choices)}; measure mcc or acc"


def wrong_place(task: Any, text: Any, choices: Any) -> Iterator[tuple[str, str]]:
    """A prompt of digits alone is the place of a choice to lm-eval, whose text then stands in the prompt; the first document says which."""
    if isinstance(text, int) != bool(task.multiple_input):
        first = "the place of a choice" if task.multiple_input else "a text"
        told = f"{shown(text)}, where the first document has {first}"
        yield "doc_to_text", f"{told}: digits alone are taken for a place; put a word beside them"
    elif isinstance(text, int) and not 0 <= text < len(choices):
        yield "doc_to_text", f"{shown(text)} is no place of its {len(choices)} choices; give 0 to {len(choices) - 1}"


def _alike(task: Any, choices: Any, document: Any) -> Iterator[tuple[str, str]]:
    """The right choice twice: of equal likelihoods the first counts, whichever of them is right."""
    gold = answer_of(task, document)
    labels = [one for one in (gold if isinstance(gold, list) else [gold]) if _is_choice(one, choices)]
    for right in [one if isinstance(one, str) else choices[one] for one in labels]:
        places = [place for place, choice in enumerate(choices) if choice == right]
        if len(places) > 1 and not (isinstance(gold, list) and set(places) <= set(gold)):
            told = f"choices {places[0]} and {places[1]} are alike, and one of them is right: no answer can be told right or wrong"
            yield "doc_to_choice", f"{told}; give choices that differ, or leave the row out"
            return


def either(task: Any, told: Any, gold: Any, choices: Any, document: Any) -> Iterator[tuple[str, str]]:
    """A text of digits that a template makes, which lm-eval takes for a place, and that is the text of another choice.

    `told`: the template, which made `gold`.
    """
    if not isinstance(told, str) or told in task.features or isinstance(gold, bool) or not isinstance(gold, int):
        return
    text = str(gold)
    if text in choices and choices.index(text) != gold and not shows_number(told, document):
        places = f"choice {choices.index(text)}, and taken for the place of choice {gold}"
        yield TARGET, f"its digits are the text of {places}; write the column's name alone for a text, {{{{ x|int }}}} for a place"


def _wrong_label(task: Any, choices: Any, document: Any) -> Iterator[tuple[str, str]]:
    if task.config.process_results is not None or task.multiple_input:
        return
    gold = answer_of(task, document)
    for label in gold if isinstance(gold, list) else [gold]:
        if not _is_choice(label, choices):
            wanted = f"give a choice's place, 0 to {len(choices) - 1}, or its text"
            if isinstance(label, float) and label.is_integer():
                wanted += "; where one row of a column has a fraction, all numbers of it are fractions"
            if (told := task.config.doc_to_target) == label and COLUMN.fullmatch(str(told)):
                wanted = f"there is no column {told!r}, there are {', '.join(task.features)}; {wanted}"
            yield TARGET, f"{shown(label)} is none of the {len(choices)} choices; {wanted}"


def _is_choice(label: Any, choices: Any) -> bool:
    if isinstance(label, bool) or not isinstance(label, Integral):  # numpy's among them
        return isinstance(label, str) and label in choices
    return 0 <= int(label) < len(choices)
