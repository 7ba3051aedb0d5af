"""Where a document is, as a refusal names it: its number, and the file and line that it was read from."""

from typing import Any


def place_of(task: Any, number: int) -> str:
    """A document that is asked."""
    split = task.config.test_split or task.config.validation_split
    return f"document {number}{_row(task, split, number, made=task.config.process_docs is not None)}"


def example_place(task: Any, number: int | None) -> str:
    """A document that few-shot examples are drawn from; None: its number is not known."""
    if number is None:
        return "a few-shot document"
    told = getattr(task, "fewshot_cfg", None)
    if told is not None and told.split is None and told.samples is not None:
        return f"few-shot document {number} of fewshot_config's samples"
    made = (told.process_docs if told is not None and told.split else task.config.process_docs) is not None
    return f"few-shot document {number}{_row(task, examples_split(task), number, made=made)}"


def examples_split(task: Any) -> str | None:
    """The split that few-shot examples are drawn from. Source: lm-eval 0.4.13, api/task.py, fewshot_docs."""
    told, config = getattr(task, "fewshot_cfg", None), task.config
    split: str | None = (told.split if told is not None else None) or config.training_split or config.validation_split or config.test_split
    return split


def file_of(task: Any, split: str | None) -> str:
    """The file that a split was read from, as it stands at the end of a refusal; nothing where it is not known."""
    file, _ = getattr(getattr(task, "dataset", None), "lines", {}).get(split, ("", None))
    return f" ({file})" if file else ""


def _row(task: Any, split: str | None, number: int, *, made: bool) -> str:
    file, lines = getattr(getattr(task, "dataset", None), "lines", {}).get(split, ("", None))
    if not file:
        return ""
    if made:
        return f" (of what process_docs makes of {file})"
    if lines is None:
        return f" ({file}, row {number + 1})"
    return f" ({file}, line {lines[number]})" if number < len(lines) else f" ({file})"
