"""Rows that cannot be asked or scored, left out where the request says so (`skip_bad_rows`), and counted.

lm-eval tries a task's first document as it makes the task; so its documents are looked through where it first asks for them.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from infra.harness.data import Used
from infra.harness.defined_documents import faults
from infra.harness.defined_examples import example_faults
from infra.harness.document_places import example_place, examples_split, place_of
from streams.errors import Invalid

CODE: Final = "no-rows"
ALL: Final = "documents"  # what is left out by a task's documents, beside the rows that are left out by their split
Docs = Any  # a data set, or a list


@dataclass(frozen=True, slots=True)
class _Looking:
    """Looks for documents to leave out; of a client's `own` task also for those that would be scored or shown wrongly."""

    used: Used
    own: bool

    def asked(self, task: Any, docs: Docs) -> list[int]:
        """The numbers of the documents that stay. Raises: Invalid where none does."""
        _ready(task, docs)
        found = {number: fault for number, one in enumerate(docs) if (fault := next(faults(task, one, own=self.own), None)) is not None}
        told = [f"{place_of(task, number)}, {field}: {reason}" for number, (field, reason) in found.items()]
        if told and len(told) == len(docs):
            raise Invalid(f"none of its {len(told):,} rows can be asked; the first: {told[0]}", code=CODE)
        self.used.skipped[ALL] = told
        return [number for number in range(len(docs)) if number not in found]

    def examples(self, task: Any, docs: Docs) -> list[int]:
        """The numbers of the documents that examples may be drawn from."""
        _ready(task, docs)
        found = {n: fault for n, one in enumerate(docs) if (fault := next(example_faults(task, one, own=self.own), None)) is not None}
        self.used.examples[:] = [f"{example_place(task, number)}, {field}: {reason}" for number, (field, reason) in found.items()]
        return [number for number in range(len(docs)) if number not in found]


_looking: ContextVar[_Looking | None] = ContextVar("looking", default=None)


@contextmanager
def skipping(used: Used, *, own: bool) -> Iterator[None]:
    """While it lasts, tasks that are made leave out, for ever, documents that cannot be asked or (of a client's `own`) scored.

    So they do with what few-shot examples are drawn from.
    """
    _patch()
    token = _looking.set(_Looking(used, own))
    try:
        yield
    finally:
        _looking.reset(token)


def skipped_of(task: Any, used: Used) -> list[str]:
    """What was left out of a task's own documents, each with its place and why."""
    split = task.config.test_split or task.config.validation_split
    return [*used.skipped.get(str(split), []), *used.skipped.get(ALL, [])]


def examples_left_out(task: Any, used: Used) -> list[str]:
    """What no few-shot example is made of, each with its place and why; nothing of a task that shows none."""
    if not task.config.num_fewshot:
        return []
    split, asked = examples_split(task), task.config.test_split or task.config.validation_split
    rows = used.skipped.get(str(split), []) if split != asked else []  # else they are told as the task's own
    return [*rows, *used.examples]


@functools.cache
def _patch() -> None:
    from lm_eval.api.task import ConfigurableTask, Task

    every, examples = Task.eval_docs.fget, ConfigurableTask.fewshot_docs

    def eval_docs(self: Any) -> Docs:
        docs, look = every(self), _looking.get()
        if look is not None and not hasattr(self, "kept"):
            self.kept = look.asked(self, docs)
        return docs.select(self.kept) if getattr(self, "kept", None) is not None and len(self.kept) < len(docs) else docs

    def fewshot_docs(self: Any) -> Docs:
        docs, look = examples(self), _looking.get()
        if look is None or docs is None:
            return docs
        kept = look.examples(self, docs)
        return docs.select(kept) if hasattr(docs, "select") else [docs[number] for number in kept]

    Task.eval_docs, ConfigurableTask.fewshot_docs = property(eval_docs), fewshot_docs


def _ready(task: Any, docs: Docs) -> None:
    """Tells a task that is being made of its documents what it learns of the first one, where that may be one to leave out."""
    task.features, task.multiple_input, task.multiple_target = _fields(docs), 0, 0
    sound = [one for one in docs if next(faults(task, one, own=False), None) is None]
    if task.config.doc_to_target is not None and task.config.process_results is None:
        lists = [gold for gold in map(task.doc_to_target, sound) if isinstance(gold, list)]
        task.multiple_target = max(map(len, lists), default=0) if 2 * len(lists) > len(sound) else 0
    if sound and task.config.doc_to_choice is not None and isinstance(task.doc_to_text(sound[0]), int):
        task.multiple_input = len(task.doc_to_choice(sound[0]))


def _fields(docs: Docs) -> list[str]:
    """The fields of a data set's documents, or of those that a list has."""
    if hasattr(docs, "features"):
        return list(docs.features)
    return list(dict.fromkeys(name for one in docs if isinstance(one, dict) for name in one))
