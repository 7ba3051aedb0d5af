"""Texts that a server writes: what it is asked, and the answer that comes of what it says. Stop texts cut here too, whatever it keeps.

Source: OpenAI API reference, Completions and Chat. Four stop texts are its most, and a text that goes on behind a fifth is cut here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gpu_agent.engines.engine import EngineAnswer, EngineRequest
from gpu_agent.engines.prompts import Generation, cut, generation
from gpu_agent.engines.served.client import Client, Refused
from gpu_agent.engines.served.probe import CHAT, COMPLETIONS, Found
from gpu_agent.engines.written import prompt_of
from gpu_agent.workloads.answers import Usage, texts_of, usage_of
from streams.errors import Invalid
from streams.quality.generation import check, check_taken

FILTERED: Final = "content_filter"
MOST_STOPS: Final = 4
SEEDS: Final = 2**31  # what servers take that keep a seed in 32 bits


@dataclass(frozen=True, slots=True)
class Asked:
    """A text that is asked for: by which interface, with which body, and how it ends. `truncated` tokens of its prompt were left out."""

    path: str
    body: Mapping[str, Any]
    told: Generation
    truncated: int = 0


class Texts:
    """Asks one server's model for texts, by the interfaces that it was found to have."""

    def __init__(self, client: Client, model: str, found: Found) -> None:
        self._client = client
        self._model = model
        self._found = found

    def asked(self, request: EngineRequest, tokens: Sequence[int] | None, *, max_len: int) -> Asked:
        """What is asked for a request; `tokens`: its prompt's, where they are known here. Raises: Invalid."""
        check(request.generation)
        check_taken(request.generation, engine="openai")
        told = generation(request.generation, eos="")
        body = {"model": self._model} | _sampling(told, request.seed)
        limit = 1 if "" in told.until else told.max_tokens  # an empty stop text ends a text at once, as in lm-eval
        if request.is_chat or "completions" not in self._found.server.apis:
            return Asked(CHAT, body | {"messages": self._messages(request), self._found.chat_length: limit}, told)
        if tokens is None:
            return Asked(COMPLETIONS, body | {"prompt": request.context, "max_tokens": limit}, told)
        prompt = prompt_of(request, tokens, eos="", max_len=max_len)
        return Asked(COMPLETIONS, body | {"prompt": prompt.tokens, "max_tokens": limit}, told, len(tokens) - len(prompt.tokens))

    def _messages(self, request: EngineRequest) -> list[dict[str, str]]:
        if "chat" not in self._found.server.apis:
            raise Invalid(f"{self._client.base} has no chat: leave --chat out", code="server-cannot")
        messages: list[dict[str, str]] = json.loads(request.context) if request.is_chat else [{"role": "user", "content": request.context}]
        return messages

    def answered(self, request: EngineRequest, asked: Asked) -> EngineAnswer:
        """The server's answer. Raises: Refused, Passing."""
        told = self._client.post(asked.path, asked.body).told
        if not told.get("choices"):
            raise Refused(f"{self._client.base}{asked.path} answers 200 without any choice: is it OpenAI's interface?", status=200)
        try:
            choice = told["choices"][0]
            reasoning, text = texts_of(choice)
            usage, reason = usage_of(told.get("usage") or {}), str(choice.get("finish_reason") or "stop")
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise Refused(
                f"{self._client.base}{asked.path} answers what is no answer of OpenAI's interface: {error}", status=200
            ) from error
        if reason == FILTERED:
            return _unanswered(request, asked, reasoning, usage, why=(FILTERED, "the server's filter kept its answer back"))
        if reasoning and not text and reason == "length":
            told_why = f"the thinking never ended: {usage.output_tokens} tokens without an answer; give more room (max_gen_toks)"
            return _unanswered(request, asked, reasoning, usage, why=("thinking", told_why))
        return EngineAnswer(
            request.index, request.draw, reason, usage.prompt_tokens, output=cut(text, asked.told.until), reasoning=reasoning or None,
            output_tokens=usage.output_tokens, reasoning_tokens=usage.reasoning_tokens, truncated_tokens=asked.truncated,
        )  # fmt: skip


def _sampling(told: Generation, seed: int) -> dict[str, Any]:
    stops = [stop for stop in told.until if stop][:MOST_STOPS]
    own: dict[str, Any] = {"temperature": 0.0}
    if told.rest.get("do_sample"):
        own = {"temperature": float(told.rest.get("temperature") or 1.0), "seed": seed % SEEDS}
        own |= {"top_p": told.rest["top_p"]} if told.rest.get("top_p") is not None else {}
    return own | ({"stop": stops} if stops else {})


def _unanswered(request: EngineRequest, asked: Asked, reasoning: str, usage: Usage, *, why: tuple[str, str]) -> EngineAnswer:
    """No answer: how it ended, and why in words."""
    return EngineAnswer(
        request.index, request.draw, why[0], usage.prompt_tokens, reasoning=reasoning or None, output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens, truncated_tokens=asked.truncated, error=why[1],
    )  # fmt: skip
