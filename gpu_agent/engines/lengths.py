"""Texts through a model, those of one length together: no padding, which not every model bears."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TypeVar

import torch

from gpu_agent.engines.engine import Halved
from gpu_agent.engines.failures import is_out_of_memory
from gpu_agent.engines.memory import Budget

Tokens = Sequence[int]
T = TypeVar("T")


def by_length(
    texts: Sequence[Tokens], run: Callable[[Sequence[Tokens]], Iterable[T]], *, budget: Budget, device: torch.device
) -> Iterator[list[tuple[int, T]] | Halved]:
    """Each text's number with its part of what `run` makes of texts of one length. Where memory runs out, the budget is halved.

    Raises: Temporary, where it cannot be halved any more.
    """
    order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
    for length, several in groupby(order, key=lambda number: len(texts[number])):
        left = list(several)
        while left:
            now = left[: max(1, budget.tokens // max(1, length))]
            try:
                with torch.inference_mode():
                    found = run([texts[number] for number in now])
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                budget.halve(device)
                yield Halved(budget.text)
                continue
            yield list(zip(now, found, strict=True))
            left = left[len(now) :]
