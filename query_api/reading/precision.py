"""What would make a score surer: the half-width of its interval with twice the documents, and with twice the set-ups."""

from collections.abc import Mapping
from typing import Any

from streams.statistics.components import Crossed


def precision(score: Mapping[str, Any]) -> dict[str, float]:
    """The half-widths, about, of a score of several set-ups; nothing of any other."""
    parts = score["between_documents"], score["within_documents"], score["between_setups"]
    if None in parts or score["samples"] < 2 or score["setups"] < 2:
        return {}
    found = Crossed(*parts, documents=score["samples"], setups=score["setups"])
    return {
        "half_width": found.half_width(), "half_width_documents": found.half_width(documents=2),
        "half_width_setups": found.half_width(setups=2),
    }  # fmt: skip
