"""Whether a model reads from left to right: what stands behind a token must not change what is said before it.

Families that see a whole text at once load where a causal model is wanted, and their likelihoods mean nothing. New ones come every month,
so the model itself is asked, beside the list of those that are known (infra/model_fitness.py).
"""

from collections.abc import Callable
from typing import Any, Final

from streams.errors import Invalid

LONG: Final = 6
# Of how much the last logits move: rows of one batch are computed alike, so that a causal model's earlier ones do not move at all.
MOST_MOVED: Final = 1e-3


def check_causal(logits_of: Callable[[list[list[int]]], Any], *, begin: int, vocabulary: int, length: int, named: str) -> None:
    """Asks the model for two texts that differ in their last token alone. Raises: Invalid where its logits before it differ.

    It is the model's first work, too. `logits_of` gives a tensor [2, tokens, vocabulary]; `begin`: the token that begins a text;
    `vocabulary`: how many tokens there are; `length`: the model's window.
    """
    text = [begin, *(number % vocabulary for number in range(1, min(LONG, length)))]
    first, second = logits_of([text, [*text[:-1], (text[-1] + 1) % vocabulary]])
    moved = [float(abs(one - other).max()) for one, other in zip(first, second, strict=True)]
    if any(one > MOST_MOVED * moved[-1] for one in moved[:-1]):
        raise Invalid(
            f"{named} sees what comes after each token: with another last token its logits before that change. No likelihood or text of it "
            "means anything; take a model for causal language modelling", code="engine-cannot",
        )  # fmt: skip
