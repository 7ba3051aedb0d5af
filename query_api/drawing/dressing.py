"""A board's rows in words: how prompts were dressed, for two rows of one model differ in nothing else that can be seen; who is left out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

NAMED: Final = 8  # models that a remark names


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


def left_out(runs: Sequence[Mapping[str, Any]]) -> str:
    """Which models a board leaves out, by the reason."""
    by: dict[str, list[str]] = {}
    for one in runs:
        by.setdefault(one["reason"], []).append(one["model"].rstrip("/").rpartition("/")[2])
    return "\n".join(
        f"{len(names)} model{'s' if len(names) > 1 else ''} left out: {reason} ({', '.join(names[:NAMED])}"
        f"{f' and {len(names) - NAMED} more' if len(names) > NAMED else ''})"
        for reason, names in by.items()
    )  # fmt: skip
