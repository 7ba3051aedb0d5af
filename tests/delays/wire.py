"""The bytes of the server's answers, as OpenAI's interface has them.

Source: OpenAI API reference, Completions, Chat and Responses, streaming; `reasoning_content` as vLLM 0.32 names that channel.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from schemas.requests import Api

PATHS: Final[Mapping[str, Api]] = {"/v1/completions": "completions", "/v1/chat/completions": "chat", "/v1/responses": "responses"}
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests", 500: "Internal Server Error"}
LAST = b"0\r\n\r\n"
DONE = b"data: [DONE]\n\n"
LISTING = b'{"object":"list","data":[{"id":"known","object":"model"}]}'


def head(status: int, *, kind: str, request_id: str, length: int | None = None, extra: Mapping[str, str] | None = None) -> bytes:
    """Status line and headers; without a length the body comes in chunks."""
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    lines = [f"HTTP/1.1 {status} {REASONS[status]}", f"Content-Type: {kind}", f"X-Request-Id: {request_id}", framing]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in (extra or {}).items()), "", ""]).encode()


def whole(
    status: int, body: bytes, *, kind: str = "application/json", request_id: str = "", extra: Mapping[str, str] | None = None
) -> bytes:
    """An answer of one piece."""
    return head(status, kind=kind, request_id=request_id, length=len(body), extra=extra) + body


def chunk(body: bytes) -> bytes:
    """One chunk of the transfer coding. Source: RFC 9112, section 7.1."""
    return b"%x\r\n%s\r\n" % (len(body), body)


def event(told: Mapping[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(told, separators=(",", ":")).encode() + b"\n\n"


def error(message: str, *, code: str) -> dict[str, Any]:
    """An error as the interface tells it."""
    return {"error": {"message": message, "type": code, "code": code}}


def texts(first: int, count: int) -> str:
    """The text of tokens: each is a word that names its place."""
    return "".join(f" t{number}" for number in range(first, first + count))


def delta(request_id: str, model: str, *, api: Api, text: str, thought: str = "", role: bool = False) -> dict[str, Any]:
    """A chunk's content."""
    if api == "responses":
        kind = "reasoning_text" if thought else "output_text"
        return {
            "type": f"response.{kind}.delta",
            "item_id": f"msg-{request_id}",
            "output_index": 0,
            "content_index": 0,
            "delta": thought or text,
        }
    if api == "completions":
        choice: dict[str, Any] = {"index": 0, "text": text, "finish_reason": None}
        return {"id": request_id, "object": "text_completion", "model": model, "choices": [choice]}
    content = ({"role": "assistant", "content": ""} if role else {}) | ({"reasoning_content": thought} if thought else {})
    content |= {"content": text} if text or not (thought or role) else {}
    choice = {"index": 0, "delta": content, "finish_reason": None}
    return {"id": request_id, "object": "chat.completion.chunk", "model": model, "choices": [choice]}


def closing(request_id: str, model: str, *, api: Api, reason: str) -> dict[str, Any]:
    """The chunk that says why it ended; it holds no token."""
    told = delta(request_id, model, api=api, text="")
    told["choices"][0]["finish_reason"] = reason
    if api == "chat":
        told["choices"][0]["delta"] = {}
    return told


def ending(request_id: str, model: str, *, api: Api, usage: Mapping[str, Any] | None) -> bytes:
    """The events behind the last token: why it ended, and the usage, where that is told."""
    told = event(closing(request_id, model, api=api, reason="length"))
    return told + (event({"id": request_id, "model": model, "choices": [], "usage": usage}) if usage else b"")


def response(request_id: str, model: str, *, text: str, thought: str = "", usage: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A whole response of the Responses interface, as it stands in its last event too."""
    reasoning = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": thought}]}
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text, "annotations": []}]}
    told = {"id": request_id, "object": "response", "model": model, "status": "incomplete", "error": None, "usage": usage,
            "incomplete_details": {"reason": "max_output_tokens"}}  # fmt: skip
    return told | {"output": ([reasoning] if thought else []) + [message]}


def begun(request_id: str, model: str) -> bytes:
    """The events of a response that come before its first token."""
    told: dict[str, Any] = {"id": request_id, "object": "response", "model": model, "status": "in_progress", "output": [], "usage": None}
    return event({"type": "response.created", "response": told}) + event({"type": "response.in_progress", "response": told})


def ended(whole: Mapping[str, Any]) -> bytes:
    """The events behind a response's last token: they say its text again."""
    text = whole["output"][-1]["content"][0]["text"]
    said = event({"type": "response.output_text.done", "text": text}) + event(
        {"type": "response.output_item.done", "item": whole["output"][-1]}
    )
    return said + event({"type": "response.incomplete", "response": whole})


def failed(request_id: str, message: str) -> bytes:
    """The event of a response that failed."""
    told = {"id": request_id, "object": "response", "status": "failed", "error": {"code": "server_error", "message": message}}
    return event({"type": "response.failed", "response": told})


def tokens_of_response(usage: Mapping[str, Any]) -> dict[str, Any]:
    """A usage by the names of the Responses interface."""
    return {
        "input_tokens": usage["prompt_tokens"], "input_tokens_details": usage["prompt_tokens_details"],
        "output_tokens": usage["completion_tokens"], "output_tokens_details": usage["completion_tokens_details"],
        "total_tokens": usage["total_tokens"],
    }  # fmt: skip


def usage(prompt: int, completion: int, *, cached: int = 0, reasoning: int = 0) -> dict[str, Any]:
    """What the request is billed by."""
    return {
        "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached}, "completion_tokens_details": {"reasoning_tokens": reasoning},
    }  # fmt: skip
