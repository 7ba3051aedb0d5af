"""What a classifier says of a text: the likelihood of one label."""

import math
from collections.abc import Mapping, Sequence
from typing import Any


def toxicity(_doc: Mapping[str, Any], results: Sequence[tuple[float, bool]]) -> dict[str, float]:
    """`toxicity`: the label's probability, 0 to 1. `toxic`: 1 where the classifier gives the text that label, else 0."""
    ((likelihood, given),) = results
    return {"toxicity": math.exp(likelihood), "toxic": float(given)}
