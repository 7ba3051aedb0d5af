"""Where a score's variance comes from, in words."""

from collections.abc import Mapping
from typing import Any

from query_api.drawing.charts import number


def varied(score: Mapping[str, Any]) -> str:
    """How much of the variance is between documents, and what buys the most precision; empty without repeats, or where nothing varies."""
    between, within, apart = (score.get(name) for name in ("between_documents", "within_documents", "between_setups"))
    if score.get("setups", 1) > 1:
        return _of_setups(score, between, within, apart)
    if between is None or within is None or between + within == 0:
        return ""
    share, repeats = between / (between + within), score.get("repeats", 1)
    # Of the score's variance, between + within / repeats, more repeats can take away the second part alone.
    more = "more documents, not more repeats, make it surer" if between > within / repeats else "more repeats make it surer too"
    return f"; {share:.0%} of the variance is between documents: {more}"


def _of_setups(score: Mapping[str, Any], between: float | None, within: float | None, apart: float | None) -> str:
    told = f" in {score['setups']} set-ups"
    if between is None or within is None or apart is None or not (whole := between + within + apart):
        return told
    shares = f"{between / whole:.0%} between documents, {within / whole:.0%} within them, {apart / whole:.0%} between set-ups"
    widths = {"documents": score.get("half_width_documents"), "set-ups": score.get("half_width_setups")}
    known = {name: width for name, width in widths.items() if width is not None}
    if len(known) < len(widths):
        return f"{told}; variance: {shares}"
    best = min(known, key=lambda name: known[name])
    more = ", ".join(f"twice the {name}: ±{number(width, 3)}" for name, width in known.items())
    return f"{told}; variance: {shares}; now ±{number(score['half_width'], 3)}, {more}: more {best} buy the most"
