"""A document among its own few-shot examples: its prompt then shows the answer that is asked for.

lm-eval 0.4.13 draws examples without the document only where the task names the evaluated split as its split of examples (api/task.py,
fewshot_context). A task that has no other split, and names none, may draw the document itself.

A document is known among them by what is shown, its text and answer: rows of one document may differ in what no prompt shows, as in an id,
and process_docs may make another row of it for each use. lm-eval compares rows.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from streams.errors import Invalid

FIELDS: Final = ("doc_to_text", "doc_to_choice", "doc_to_target")
Shown = tuple[str, str]  # what a prompt shows of a document: its text and its answer


def draws(task: Any) -> bool:
    """The task's prompts have examples that are drawn by chance, so that another seed gives others."""
    sampler = type(getattr(task, "sampler", None)).__name__
    return bool(task.config.num_fewshot) and sampler not in ("NoneType", "FirstNSampler")


@dataclass(slots=True)
class Examples:
    """Counts, while a task's requests are built, the documents that are among their own examples. `exclude`: they are left out instead.

    `look`: what looks at each that is drawn, once.
    """

    name: str
    exclude: bool
    look: Callable[[Any], None] | None = None
    own: int = 0
    _task: Any = None
    _asked: Any = None
    _looked: dict[int, Any] = field(default_factory=dict)
    _made: dict[int, tuple[Any, Shown | None]] = field(default_factory=dict)

    def watch(self, task: Any) -> None:
        """Looks from now on at what the task draws; tasks that draw without lm-eval's samplers leave the document out by themselves."""
        if getattr(task, "sampler", None) is not None:
            self._task = task
            self._watch(task, draw=task.sampler.sample, contexts=task.fewshot_context)

    def _watch(self, task: Any, *, draw: Any, contexts: Any) -> None:
        def context(doc: Any, *arguments: Any, **named: Any) -> Any:
            self._asked = _Asked(doc, task, self._as_example)
            return contexts(doc, *arguments, **named)

        def sample(n: int, *arguments: Any, **named: Any) -> Sequence[Any]:
            try:
                found: Sequence[Any] = draw(n, *arguments, **named | ({"eval_doc": self._asked} if self.exclude else {}))
            except ValueError as error:  # a draw of more than there are
                told = f"task {self.name} at {n} shots has fewer than {n} examples beside one that is asked, for rows are copies of it"
                raise Invalid(f"{told}; ask for fewer, or leave the copies out", code="no-fewshot-data") from error
            self._look(found)
            self._count(found)
            return found

        task.fewshot_context, task.sampler.sample = context, sample

    def _look(self, found: Sequence[Any]) -> None:
        for one in found:
            if self.look is not None and id(one) not in self._looked:
                self.look(one)
                self._looked[id(one)] = one

    def _as_example(self, row: Any) -> Shown | None:
        """What is shown of a row as an example, made once; kept with the row, so that no other has its id."""
        if id(row) not in self._made:
            self._made[id(row)] = (row, _shown(self._task, row, self._task.fewshot_cfg))
        return self._made[id(row)][1]

    def _count(self, found: Sequence[Any]) -> None:
        if not any(self._asked == one for one in found):
            return
        self.own += 1
        if self.exclude:
            raise Invalid(
                f"the sampler of task {self.name} cannot leave a document out of its own examples; ask without fewshot_exclude_self, or "
                "for fewshot 0", code="fewshot",
            )  # fmt: skip


class _Asked(dict[str, Any]):  # noqa: PLW1641  a dict has no hash either
    """A document that equals each row of which an example would show the same: lm-eval's samplers leave out what equals it."""

    def __init__(self, document: Any, task: Any, as_example: Callable[[Any], Shown | None]) -> None:
        super().__init__(document)
        self._task, self._as_example = task, as_example

    def __eq__(self, row: object) -> bool:
        return super().__eq__(row) or self._as_example(row) in self._shown

    def __ne__(self, row: object) -> bool:
        return not self == row

    @functools.cached_property
    def _shown(self) -> set[Shown]:
        return {one for one in _ways(self._task, dict(self)) if one is not None}


def _ways(task: Any, document: Any) -> Iterator[Shown | None]:
    """What is shown of a document as an example, and, where the task itself says that otherwise, by the task."""
    yield _shown(task, document, task.fewshot_cfg)
    if any(getattr(task.fewshot_cfg, name) != getattr(task.config, name) for name in FIELDS):
        yield _shown(task, document, task.config)


def _shown(task: Any, document: Any, says: Any) -> Shown | None:
    """A document's text and answer as a prompt shows them by what `says`; None where that cannot be made of it.

    Source: lm-eval 0.4.13, api/task.py, fewshot_context and build_qa_turn.
    """
    try:
        text, answer = task.doc_to_text(document, says.doc_to_text), task.doc_to_target(document, says.doc_to_target)
        choices: Any = task.doc_to_choice(document, says.doc_to_choice) if says.doc_to_choice else None
        if isinstance(text, int):
            text, choices = choices[text], None
        if isinstance(answer, list) or (choices and isinstance(answer, int)):
            answer = answer[0] if isinstance(answer, list) else choices[answer]
    except Exception:  # noqa: BLE001  a task's definition is code of others: what it cannot make of a row shows no answer of it
        return None
    return str(text).strip(), str(answer).strip()


def own_examples(task: str, count: int, *, samples: int) -> tuple[str, ...]:
    """What is said of a task whose prompts show their own answers; nothing of any other. `samples`: how many the whole build has."""
    if not count:
        return ()
    return (
        f"{task} draws few-shot examples from the split that is asked, or from copies of its documents: {count:,} of its {samples:,} "
        "documents are among their own examples, with their answers; fewshot_exclude_self (--fewshot-exclude-self) leaves them out",
    )
