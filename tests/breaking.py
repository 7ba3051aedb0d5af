"""Scoring that ends its process over one document, and does not end over others: what the scorer must outlive."""

import hashlib
import os
from contextlib import suppress
from typing import Any, Final

SURE: Final = (0.0, -1000.0)  # what the builder asks with, for the value of guessing


def process_results(doc: dict[str, Any], results: list[Any]) -> dict[str, float]:
    """Whether the likelier of two choices is the right one; over a model's answers to some lands there is no return."""
    if results[0][0] not in SURE:
        match doc["country"]:
            case "Land 7":
                os._exit(139)
            case "Land 5":
                _for_ever()
            case "Out of Python":
                hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # minutes, in which no signal is handled
    return {"acc": float((results[1][0] > results[0][0]) == bool(doc["answer"]))}


def _for_ever() -> None:
    while True:
        with suppress(Exception):  # so that whatever stops it is none of its errors
            sum(range(1000))
