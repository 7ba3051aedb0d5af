"""Runs and rows in words: how prompts were dressed, for two rows of one model differ in nothing else that can be seen; who is left out.

And of models behind an address, which server answered, and what nobody knows; of others their licence, and the hub that they are from.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from streams.engines import UNKNOWN

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


def unseen(model_sha: str) -> str:
    """What a row says of a model whose weights nobody here can see; empty for any other."""
    return "weights, dtype, quantisation unknown" if model_sha == UNKNOWN else ""


def served(server: Mapping[str, Any]) -> str:
    """A server elsewhere: its address and what it says of itself, by what it is asked and tells likelihoods, and what is not known."""
    program = " ".join(filter(None, (server["owner"], server["version"], f"({server['header']})" if server["header"] else None)))
    likelihoods = f"likelihoods by {server['likelihoods']}" if server["likelihoods"] else "no likelihoods"
    said = ", ".join([server["address"], f"model {server['model']}", program or "version unknown", *server["apis"], likelihoods])
    return f"{said}; weights, dtype, quantisation and hardware are unknown"


def provenance(told: Mapping[str, Any]) -> str:
    """Of a model with files: its licence, its commit, and what was fetched from where; empty for any other."""
    if told.get("parameters") is None:
        return ""
    origin = told.get("origin")
    fetched = _fetched(origin) if origin and origin["fetched_bytes"] else "nothing had to be fetched"
    return ", ".join(filter(None, [
        f"licence {told.get('licence') or 'not told'}", f"commit {told['revision']}" if told.get("revision") else None,
        f"from {origin['hub']}/{origin['repository']}, {fetched}" if origin else None,
    ]))  # fmt: skip


def _fetched(origin: Mapping[str, Any]) -> str:
    saved = f", {origin['peer_bytes'] / 1e6:,.1f} MB of them from other agents" if origin.get("peer_bytes") else ""
    return f"{origin['fetched_bytes'] / 1e6:,.1f} MB fetched{saved}"


def placed(told: Mapping[str, Any]) -> str:
    """Where a run's model goes, and whom it does not fit, as it was planned; empty where no agent was known then."""
    placement = told.get("placement")
    return "; ".join(placement["reasons"]) if placement else ""


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
