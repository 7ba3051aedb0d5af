"""Scoring that ends its process over one document: what the scorer must outlive."""

import os
from typing import Any, Final

SURE: Final = (0.0, -1000.0)  # what the builder asks with, for the value of guessing


def process_results(doc: dict[str, Any], results: list[Any]) -> dict[str, float]:
    """Whether the likelier of two choices is the right one; over a model's answer to Land 7 there is no return."""
    if doc["country"] == "Land 7" and results[0][0] not in SURE:
        os._exit(139)
    return {"acc": float((results[1][0] > results[0][0]) == bool(doc["answer"]))}
