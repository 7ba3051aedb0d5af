"""A document's right answers, where its task's metrics would take them wrongly without a word, or break over them.

What lm-eval makes of them hangs on the first document: where that has a list, all have. Source: lm-eval 0.4.13, api/task.py,
ConfigurableTask.process_results.
"""

from collections.abc import Iterator
from typing import Any, Final

from infra.harness.defined_metrics import GIVES
from infra.harness.rows import shown

TARGET: Final = "doc_to_target"
# lm-eval's metrics that compare a document with one right answer, whatever its output_type does with a list.
TAKE_ONE: Final = frozenset({
    "bleu", "chrf", "chrf++", "ter", "f1", "mcc", "brier_score", "likelihood", "acc_mutual_info", "perplexity",
    "word_perplexity", "byte_perplexity", "bits_per_byte",
})  # fmt: skip


def answer_of(task: Any, document: Any) -> Any:
    """A document's right answer, or several; numbers of NumPy's, as functions give them, as Python's, which lm-eval scores alike."""
    gold = task.doc_to_target(document)
    return [_plain(one) for one in gold] if isinstance(gold, list) else _plain(gold)


def _plain(answer: Any) -> Any:
    return answer.item() if getattr(answer, "ndim", None) == 0 else answer


def wrong_asked(task: Any, document: Any) -> Iterator[tuple[str, str]]:
    """What is wrong with a right answer that is itself asked: how likely it is after a prompt, or as a whole text."""
    if task.OUTPUT_TYPE == "loglikelihood_rolling":
        if not isinstance(text := task.doc_to_target(document), str):
            yield TARGET, f"{shown(text)}: what is measured must be a text; give one, or leave the row out"
    elif task.OUTPUT_TYPE == "loglikelihood":
        told = answer_of(task, document)
        if told is None or isinstance(told, bool | dict | list):
            yield TARGET, f"{shown(told)}, and its Python form would be asked; give a text, or leave the row out"
        elif not str(told).strip():
            yield TARGET, "it is empty, and nothing has no likelihood; give a text, or leave the row out"


def hidden(task: Any) -> bool:
    """Whether every right answer is empty, as where a test split's labels are hidden, though answers are compared with it."""
    of_fields = type(task).__name__ == "ConfigurableTask" and task.config.process_results is None
    if task.OUTPUT_TYPE != "generate_until" or not of_fields or task.config.doc_to_choice is not None:
        return False
    compared = {name for name, gives in GIVES["generate_until"].items() if gives != "nothing"}
    if not any(one.get("metric") in compared for one in task.config.metric_list or ({"metric": "exact_match"},)):
        return False
    return not any(_said(answer_of(task, document)) for document in task.eval_docs)


def _said(gold: Any) -> bool:
    return any(str(one).strip() for one in gold) if isinstance(gold, list) else bool(str(gold).strip())


def wrong_target(task: Any, document: Any) -> Iterator[tuple[str, str]]:
    """What is wrong with a document's right answer: the field, and why."""
    if task.config.process_results is not None or task.config.doc_to_target is None:
        return
    gold = answer_of(task, document)
    if getattr(gold, "ndim", 0):
        yield TARGET, "an array of NumPy's, which would be taken for one answer; give a list (.tolist()), or a number"
    elif isinstance(gold, list) and not gold:
        yield TARGET, "there is no right answer in its list; give one, or leave the row out"
    elif isinstance(gold, list) != bool(task.multiple_target):
        first = f"a list of {task.multiple_target}" if task.multiple_target else "one answer"
        yield TARGET, f"{shown(gold)}, where the first document has {first}; give all a list, or none"
    elif isinstance(gold, list):
        yield from _wrong_list(task, gold)
    elif task.OUTPUT_TYPE == "generate_until":
        yield from _wrong_answer(task, gold, document)


def _wrong_list(task: Any, gold: list[Any]) -> Iterator[tuple[str, str]]:
    if unable := [name for name in task._metric_fn_list if name in TAKE_ONE or task.OUTPUT_TYPE == "loglikelihood"]:
        yield TARGET, f"{shown(gold)}, which metric {unable[0]} does not take: give one right answer"
    kind = int if task.OUTPUT_TYPE == "multiple_choice" else str
    if wrong := [one for one in gold if not isinstance(one, kind) or isinstance(one, bool)]:
        told = "a text" if kind is str else "the place of a choice, counted from 0"
        yield TARGET, f"{shown(wrong[0])} is in its list: each must be {told}"


def _wrong_answer(task: Any, gold: Any, document: Any) -> Iterator[tuple[str, str]]:
    if task.config.doc_to_choice is not None:
        choices = task.doc_to_choice(document)
        if isinstance(gold, bool) or not isinstance(gold, int) or not 0 <= gold < len(choices):
            yield TARGET, f"{shown(gold)} is no place of its {len(choices)} choices: give 0 to {len(choices) - 1}"
    elif gold is None or isinstance(gold, bool | dict):
        yield TARGET, f"{shown(gold)}, and would be compared as its Python form; give a text, or leave the row out"


def wrong_text(task: Any, text: Any) -> str | None:
    """What is wrong with what a document's prompt is made of: a text, or the place of a choice where choices are in the prompt."""
    if isinstance(text, str) or (isinstance(text, int) and not isinstance(text, bool) and task.config.doc_to_choice is not None):
        return None
    return f"{shown(text)}: the prompt must be a text"
