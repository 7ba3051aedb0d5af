"""Where a score's variance comes from, in words."""

from collections.abc import Mapping
from typing import Any


def varied(score: Mapping[str, Any]) -> str:
    """How much of the variance is between documents, and what buys the most precision; empty without repeats, or where nothing varies."""
    between, within = score.get("between_documents"), score.get("within_documents")
    if between is None or within is None or between + within == 0:
        return ""
    share, repeats = between / (between + within), score.get("repeats", 1)
    # Of the score's variance, between + within / repeats, more repeats can take away the second part alone.
    more = "more documents, not more repeats, make it surer" if between > within / repeats else "more repeats make it surer too"
    return f"; {share:.0%} of the variance is between documents: {more}"
