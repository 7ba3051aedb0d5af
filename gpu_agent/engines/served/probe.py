"""What a server can do, found out by asking once: which model it has, by which interfaces it answers, and whether it tells likelihoods.

Source: OpenAI API reference, Models, Completions (legacy: `echo`, `logprobs`) and Chat; vLLM 0.32, OpenAI-compatible server
(`prompt_logprobs`, `max_model_len`, /version).
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from gpu_agent.engines.served.client import Client, Passing, Refused, Reply
from gpu_agent.engines.served.likelihoods import BY
from schemas.jobs import Server
from streams.errors import Invalid

MODELS, COMPLETIONS, CHAT = "/v1/models", "/v1/completions", "/v1/chat/completions"
TEXT: Final = "The dog runs to the garden."
LENGTH, LENGTH_OF_CHAT = "max_tokens", "max_completion_tokens"
HEADERS: Final = ("server", "openai-version")


@dataclass(frozen=True, slots=True)
class Found:
    """The server as it is recorded, and how it is told of a length when it chats."""

    server: Server
    chat_length: str = LENGTH


def probe(client: Client, model: str) -> Found:
    """What the server can do for that model. Raises: Invalid where it has no such model, Refused, Passing."""
    listed = _listed(client, model)
    likelihoods, plain = _scored(client, model)
    length, chatted = _chatted(client, model)
    said = plain or chatted
    if said is None:
        raise Invalid(
            f"{client.base} answers neither {COMPLETIONS} nor {CHAT} for model {model!r}; is it a server of language models?",
            code="server-cannot",
        )
    apis = [name for name, reply in (("completions", plain), ("chat", chatted)) if reply]
    server = Server(
        address=client.base, model=str(said.told.get("model") or model), owner=_text(listed.get("owned_by")), version=_version(client),
        header=" ".join(filter(None, (_text(said.headers.get(name)) for name in HEADERS))) or None,
        max_len=_whole(listed.get("max_model_len")), apis=tuple(apis), likelihoods=likelihoods,
    )  # fmt: skip
    return Found(server, length)


def _listed(client: Client, model: str) -> Mapping[str, Any]:
    """What the server's list says of the model; nothing where it has no list. Raises: Invalid where the model is not in it."""
    try:
        told = client.get(MODELS).told.get("data")
    except Refused as error:
        if error.status in (404, 405):
            return {}
        raise
    models = {str(one.get("id")): one for one in told or () if isinstance(one, dict)}
    if models and model not in models:
        raise Invalid(f"{client.base} has no model {model!r}; it has {', '.join(sorted(models))}: name one of them", code="server-model")
    return models.get(model, {})


def _scored(client: Client, model: str) -> tuple[str | None, Reply | None]:
    """By what the server tells a prompt's likelihoods, None where it does not; and a completion, None where it makes none."""
    body, plain = {"model": model, "prompt": TEXT, LENGTH: 1, "temperature": 0.0}, None
    for by, way in BY.items():
        if (reply := _tried(client, COMPLETIONS, {**body, **way.asks})) is not None:
            plain = reply
            if way.reads(reply.told):
                return by, reply
    return None, plain or _tried(client, COMPLETIONS, body)


def _chatted(client: Client, model: str) -> tuple[str, Reply | None]:
    """How a chat is told of a length, and what came of it; newer models of OpenAI's take another name for it."""
    for length in (LENGTH, LENGTH_OF_CHAT):
        body = {"model": model, "messages": [{"role": "user", "content": TEXT}], length: 1}
        if (reply := _tried(client, CHAT, body)) is not None:
            return length, reply
    return LENGTH, None


def _tried(client: Client, path: str, body: Mapping[str, Any]) -> Reply | None:
    try:
        reply = client.post(path, body, trying=True)
    except Refused as error:
        if error.status in (401, 403):
            raise
        return None
    return reply if reply.told.get("choices") else None


def _version(client: Client) -> str | None:
    with suppress(Refused, Passing):
        return _text(client.get("/version").told.get("version"))
    return None


def _text(value: object) -> str | None:
    return value[:200] if isinstance(value, str) and value else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None
