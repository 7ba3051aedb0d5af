"""Scoring that ends its process over one document: what the scorer must outlive."""

import os
from typing import Any


def process_results(doc: dict[str, Any], results: list[Any]) -> dict[str, float]:
    """Whether the likelier of two choices is the right one; over the document of Land 7 there is no return."""
    if doc["country"] == "Land 7":
        os._exit(139)
    return {"acc": float((results[1][0] > results[0][0]) == bool(doc["answer"]))}
