"""Tasks with several requests a document, one for each form that it takes: both orders of two answers, or every draw."""

from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

Document = Mapping[str, Any]


class Forms(ConfigurableTask):  # type: ignore[misc]  # lm-eval is untyped here
    """A task that asks about a document in each of its forms; lm-eval's seam for that is this class."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config={name: value for name, value in config.items() if name != "class"})

    def forms(self, doc: Document) -> list[Document]:
        """The document in its forms, in the order of the requests."""
        return [doc]

    def fewshot_context(self, doc: Document, *given: Any, **named: Any) -> list[Any]:
        """The contexts of all forms."""
        return [super(Forms, self).fewshot_context(one, *given, **named) for one in self.forms(doc)]

    def construct_requests(self, doc: Document, ctx: Sequence[Any], **named: Any) -> list[Instance]:
        """A request for each context."""
        made = [super(Forms, self).construct_requests(doc, context, **named) for context in ctx]
        for place, one in enumerate(made):
            one.idx = place
        return made


class BothOrders(Forms):
    """As it is, and with the two answers in each other's place."""

    def forms(self, doc: Document) -> list[Document]:
        """Both orders."""
        return [doc, {**doc, "answer": doc["other"], "other": doc["answer"]}]


class EveryDraw(Forms):
    """Each of its `answers` by itself."""

    def forms(self, doc: Document) -> list[Document]:
        """One for each draw."""
        return [{**doc, "answer": answer} for answer in doc["answers"]]
