"""A document among its own few-shot examples: its prompt then shows the answer that is asked for.

lm-eval 0.4.13 draws examples without the document only where the task names the evaluated split as its split of examples (api/task.py,
fewshot_context). A task that has no other split, and names none, may draw the document itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from streams.errors import Invalid


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
    _asked: Any = None
    _looked: dict[int, Any] = field(default_factory=dict)

    def watch(self, task: Any) -> None:
        """Looks from now on at what the task draws; tasks that draw without lm-eval's samplers leave the document out by themselves."""
        if getattr(task, "sampler", None) is not None:
            self._watch(task, draw=task.sampler.sample, contexts=task.fewshot_context)

    def _watch(self, task: Any, *, draw: Any, contexts: Any) -> None:
        def context(doc: Any, *arguments: Any, **named: Any) -> Any:
            self._asked = doc
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

    def _count(self, found: Sequence[Any]) -> None:
        if self._asked not in found:
            return
        self.own += 1
        if self.exclude:
            raise Invalid(
                f"the sampler of task {self.name} cannot leave a document out of its own examples; ask without fewshot_exclude_self, or "
                "for fewshot 0", code="fewshot",
            )  # fmt: skip


def own_examples(task: str, count: int, *, samples: int) -> tuple[str, ...]:
    """What is said of a task whose prompts show their own answers; nothing of any other. `samples`: how many the whole build has."""
    if not count:
        return ()
    return (
        f"{task} draws few-shot examples from the split that is asked: {count:,} of its {samples:,} documents are among their own "
        "examples, with their answers; fewshot_exclude_self (--fewshot-exclude-self) leaves them out",
    )
