"""Predicted scores as people read them: in per cent, and their errors in points."""

from collections.abc import Mapping
from typing import Any


def score(ratio: float) -> str:
    """A score in per cent."""
    return f"{100 * ratio:.1f} %"


def interval(one: Mapping[str, Any]) -> str:
    """Its interval."""
    return f"{100 * one['low']:.1f} – {score(one['high'])}"


def points(ratio: float) -> str:
    """A difference of scores, in points of 100."""
    return f"{100 * ratio:.1f} points"
