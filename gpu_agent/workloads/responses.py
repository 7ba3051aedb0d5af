"""What a server says by the Responses interface: the texts and the end of a stream's events, or of a whole response.

Texts come as deltas. The events behind them, that a part, an item or all is done, have the same texts again, and are no tokens.

Source: OpenAI API reference, Responses, streaming events; `response.reasoning_text` as vLLM 0.32 and gpt-oss have that channel.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

DELTAS: Final[Mapping[str, bool]] = {  # and whether it is reasoning
    "response.output_text.delta": False, "response.refusal.delta": False, "response.function_call_arguments.delta": False,
    "response.reasoning_text.delta": True, "response.reasoning_summary_text.delta": True,
}  # fmt: skip
ENDED: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
TEXTS: Final = ("text", "refusal")  # of a part of an item


def is_one(told: Mapping[str, Any]) -> bool:
    """Whether it is an event of this interface, or a whole response."""
    return str(told.get("type", "")).startswith("response.") or told.get("type") == "error" or told.get("object") == "response"


def texts(told: Mapping[str, Any]) -> Iterator[tuple[object, bool]]:
    """Its texts, each with whether it is reasoning: a delta's, or all of a whole response."""
    if (kind := str(told.get("type"))) in DELTAS:
        yield told.get("delta"), DELTAS[kind]
    elif told.get("object") == "response":
        for item in told.get("output") or ():
            yield item.get("arguments"), False
            parts = [*(item.get("summary") or ()), *(item.get("content") or ())]
            yield from ((part.get(name), item.get("type") == "reasoning") for part in parts for name in TEXTS)


def end(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """The response that has ended: a whole one, or the one in a stream's last event; empty in all others."""
    if told.get("object") == "response":
        return told
    return told.get("response") or {} if told.get("type") in ENDED else {}


def failure(told: Mapping[str, Any]) -> str | None:
    """What it says to have gone wrong; None where it says nothing of that."""
    ended = end(told)
    error = told.get("error") or ended.get("error") or (told if told.get("type") == "error" else None)
    if (
        error is None
        and ended.get("status") not in ("failed", "cancelled")
        and told.get("type") not in ("response.failed", "response.cancelled")
    ):
        return None
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or f"the response is {ended.get('status') or told.get('type')}")


def filtered(told: Mapping[str, Any]) -> bool:
    """Whether its text was ended by a filter of the server's."""
    return bool((end(told).get("incomplete_details") or {}).get("reason") == "content_filter")


def usage(told: Mapping[str, Any]) -> dict[str, Any] | None:
    """The usage that it tells, by the names of the other two interfaces; None where it tells none."""
    if not (found := end(told).get("usage")):
        return None
    return {
        "prompt_tokens": found.get("input_tokens"), "prompt_tokens_details": found.get("input_tokens_details"),
        "completion_tokens": found.get("output_tokens"), "completion_tokens_details": found.get("output_tokens_details"),
    }  # fmt: skip
