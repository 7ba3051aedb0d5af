"""How a run's prompts were dressed, in a few words: two rows of one model differ in nothing else that can be seen."""

from collections.abc import Iterator, Mapping
from typing import Any


def dressed(chat: Mapping[str, Any]) -> str:
    """The words, joined; empty for prompts as the tasks have them."""
    return " · ".join(_words(chat))


def _words(chat: Mapping[str, Any]) -> Iterator[str]:
    if chat.get("template") is not None:
        yield "chat template" if chat["template"] == "model" else "a chat template of its own"
    if chat.get("system"):
        yield "system text"
    if chat.get("fold_system"):
        yield "system message in the first user message"
    if chat.get("multiturn"):
        yield "examples as turns"
    if chat.get("thinking") is not None:
        limit = f", {chat['thinking_tokens']} tokens at most" if chat.get("thinking_tokens") else ""
        yield f"thinking{limit}" if chat["thinking"] else "thinking off"
