"""Rows that cannot be asked or scored, left out where the request says so (`skip_bad_rows`), and counted.

lm-eval tries a task's first document as it makes the task; so its documents are looked through where it first asks for them.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from infra.harness.data import Used
from infra.harness.defined_documents import faults, place_of
from streams.errors import Invalid

CODE: Final = "no-rows"
ALL: Final = "documents"  # what is left out by a task's documents, beside the rows that are left out by their split
Docs = Any  # a data set, or a list
_looking: ContextVar[Callable[[Any, Docs], list[int]] | None] = ContextVar("looking", default=None)


@contextmanager
def skipping(used: Used, *, own: bool) -> Iterator[None]:
    """While it lasts, tasks that are made leave out, for ever, documents that cannot be asked or (of a client's `own`) scored."""
    _patch()

    def look(task: Any, docs: Docs) -> list[int]:
        _ready(task, docs)
        found = {number: fault for number, one in enumerate(docs) if (fault := next(faults(task, one, own=own), None)) is not None}
        told = [f"{place_of(task, number)}, {field}: {reason}" for number, (field, reason) in found.items()]
        if told and len(told) == len(docs):
            raise Invalid(f"none of its {len(told):,} rows can be asked; the first: {told[0]}", code=CODE)
        used.skipped[ALL] = told
        return [number for number in range(len(docs)) if number not in found]

    token = _looking.set(look)
    try:
        yield
    finally:
        _looking.reset(token)


def skipped_of(task: Any, used: Used) -> list[str]:
    """What was left out of a task's own documents, each with its place and why."""
    split = task.config.test_split or task.config.validation_split
    return [*used.skipped.get(str(split), []), *used.skipped.get(ALL, [])]


@functools.cache
def _patch() -> None:
    from lm_eval.api.task import ConfigurableTask, Task

    every, examples = Task.eval_docs.fget, ConfigurableTask.fewshot_docs

    def eval_docs(self: Any) -> Docs:
        docs, look = every(self), _looking.get()
        if look is not None and not hasattr(self, "kept"):
            self.kept = look(self, docs)
        return docs.select(self.kept) if getattr(self, "kept", None) is not None and len(self.kept) < len(docs) else docs

    def fewshot_docs(self: Any) -> Docs:
        docs, look = examples(self), _looking.get()
        if look is None or not hasattr(docs, "features"):
            return docs
        _ready(self, docs)
        return docs.select([number for number, one in enumerate(docs) if next(faults(self, one, own=False), None) is None])

    Task.eval_docs, ConfigurableTask.fewshot_docs = property(eval_docs), fewshot_docs


def _ready(task: Any, docs: Docs) -> None:
    """Tells a task that is being made of its documents what it learns of the first one, where that may be one to leave out."""
    task.features, task.multiple_input, task.multiple_target = list(docs.features), 0, 0
    sound = [one for one in docs if next(faults(task, one, own=False), None) is None]
    if task.config.doc_to_target is not None and task.config.process_results is None:
        lists = [gold for gold in map(task.doc_to_target, sound) if isinstance(gold, list)]
        task.multiple_target = max(map(len, lists), default=0) if 2 * len(lists) > len(sound) else 0
    if sound and task.config.doc_to_choice is not None and isinstance(task.doc_to_text(sound[0]), int):
        task.multiple_input = len(task.doc_to_choice(sound[0]))
