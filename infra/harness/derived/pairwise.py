"""Two answers compared by one judge, twice: in one order and in the other, so that what a judge feels for a place cancels out."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from streams.errors import Invalid

# The line that says which is better; the last of several counts.
VERDICT: Final = re.compile(r"^[\s*#>-]*verdict[\s*]*:[\s*]*\[*(first|second|tie)\b", re.IGNORECASE | re.MULTILINE)
WORTH: Final = {"first": 1.0, "tie": 0.5, "second": 0.0}


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


def preference(_doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """`preference`: the mean over both orders of 1 where the answer is better, 0 where the other is, 0.5 for a tie.

    `position_bias`: 1 where the judge, asked in the other order, contradicts itself, else 0. `first_preferred`: the mean worth of the first
    place, 0.5 for a judge that feels nothing for places. Raises: Invalid, where a verdict is missing.
    """
    worth = [_worth(text, order) for text, order in zip(results, ("one", "other"), strict=True)]
    return {
        "preference": (worth[0] + 1 - worth[1]) / 2,
        "position_bias": float(worth[0] != 1 - worth[1]),
        "first_preferred": sum(worth) / 2,
    }


def _worth(text: str, order: str) -> float:
    said = VERDICT.findall(text)
    if not said:
        raise Invalid(f"the judge wrote no line `Verdict: first, second or tie` in the {order} order", code="no-score")
    return WORTH[said[-1].lower()]
