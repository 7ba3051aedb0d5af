"""Where a document is, as a refusal names it: its number, and the file and line that it was read from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Lines:
    """The file that a split was read from, and the line, or row, of each document; None: each is the row of its number."""

    file: str = ""
    numbers: Sequence[int] | None = None
    word: str = "line"

    def place(self, number: int) -> str:
        """Where the document of that number is."""
        if self.numbers is None:
            return f"{self.file}, row {number + 1}"
        return f"{self.file}, {self.word} {self.numbers[number]}" if number < len(self.numbers) else self.file


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
    return f" ({lines.file})" if (lines := _lines(task, split)).file else ""


def _row(task: Any, split: str | None, number: int, *, made: bool) -> str:
    lines = _lines(task, split)
    if not lines.file:
        return ""
    return f" (of what process_docs makes of {lines.file})" if made else f" ({lines.place(number)})"


def _lines(task: Any, split: str | None) -> Lines:
    found: Lines = getattr(getattr(task, "dataset", None), "lines", {}).get(split, Lines())
    return found
