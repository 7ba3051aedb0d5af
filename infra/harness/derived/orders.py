"""A task whose documents are asked about twice: as they are, and with the two answers in each other's place."""

from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask


class BothOrders(ConfigurableTask):  # type: ignore[misc]  # lm-eval is untyped here
    """A task with two requests a document: as it is, and with the answers in each other's place. lm-eval's seam for that is this class."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config={name: value for name, value in config.items() if name != "class"})

    def fewshot_context(self, doc: Mapping[str, Any], *given: Any, **named: Any) -> list[Any]:
        """The contexts of both orders."""
        return [super(BothOrders, self).fewshot_context(one, *given, **named) for one in (doc, swapped(doc))]

    def construct_requests(self, doc: Mapping[str, Any], ctx: Sequence[Any], **named: Any) -> list[Instance]:
        """A request for each context."""
        made = [super(BothOrders, self).construct_requests(doc, context, **named) for context in ctx]
        for place, one in enumerate(made):
            one.idx = place
        return made


def swapped(doc: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the answers in each other's place."""
    return {**doc, "answer": doc["other"], "other": doc["answer"]}
