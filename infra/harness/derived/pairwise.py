"""Two answers compared by one judge, twice: in one order and in the other, so that what a judge feels for a place cancels out."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from streams.errors import Invalid

# The line that says which is better; the last of several counts.
VERDICT: Final = re.compile(r"^[\s*#>-]*verdict[\s*]*:[\s*]*\[*(first|second|tie)\b", re.IGNORECASE | re.MULTILINE)
WORTH: Final = {"first": 1.0, "tie": 0.5, "second": 0.0}


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
