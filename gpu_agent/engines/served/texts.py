"""Texts that a server writes: what it is asked, and the answer that comes of what it says. Stop texts cut here too, whatever it keeps.

Source: OpenAI API reference, Completions and Chat. Four stop texts are its most, and a text that goes on behind a fifth is cut here.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from gpu_agent.engines.engine import EngineAnswer, EngineRequest
from gpu_agent.engines.prompts import Generation, cut, generation
from gpu_agent.engines.served.client import Client, Refused
from gpu_agent.engines.served.probe import CHAT, COMPLETIONS, Found
from gpu_agent.engines.thinking import Parts, spoken
from gpu_agent.engines.written import prompt_of
from gpu_agent.workloads.answers import Usage, texts_of, usage_of
from streams.errors import Invalid
from streams.quality.generation import check, check_taken

FILTERED: Final = "content_filter"
# How servers say that a text has ended: OpenAI's words, TGI's (eos_token, stop_sequence), Together's (eos) and Mistral's (model_length).
ENDS: Final = {"stop": "stop", "length": "length", "eos_token": "stop", "stop_sequence": "stop", "eos": "stop", "model_length": "length"}
LONGEST_REASON: Final = 40
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
        """The server's answer, which it is asked for whole. Raises: Refused, Passing."""
        began_ns = time.perf_counter_ns()
        answer = self._answered(request, asked)
        return replace(answer, began_ns=began_ns, ended_ns=time.perf_counter_ns())

    def _answered(self, request: EngineRequest, asked: Asked) -> EngineAnswer:
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
        parts = _parts(reasoning, text)
        if why := _missing(parts, reason, usage):
            return _unanswered(request, asked, parts.reasoning, usage, why=why)
        return EngineAnswer(
            request.index, request.draw, ENDS[reason], usage.prompt_tokens, output=cut(parts.answer or "", asked.told.until),
            reasoning=parts.reasoning, output_tokens=usage.output_tokens, reasoning_tokens=usage.reasoning_tokens,
            truncated_tokens=asked.truncated,
        )  # fmt: skip


def _parts(reasoning: str, text: str) -> Parts:
    """What was thought, in the server's channel or at the text's beginning, and the answer; None where no word is behind the thought."""
    told = spoken(text)
    if not reasoning.strip():
        return told
    return Parts(reasoning + (told.reasoning or ""), (told.answer or "").lstrip() or None)


def _missing(parts: Parts, reason: str, usage: Usage) -> tuple[str, str] | None:
    """Why there is no answer, by how it ended and in words; None where there is one."""
    if reason == FILTERED:
        return FILTERED, "the server's filter kept its answer back"
    if reason not in ENDS:
        return "unknown", f"the server ends its text by {reason[:LONGEST_REASON]!r}, which is no end of an answer that is known here"
    if parts.answer is not None:
        return None
    if ENDS[reason] == "length":
        return "thinking", f"the thinking never ended: {usage.output_tokens} tokens without an answer; give more room (max_gen_toks)"
    return "thinking", (
        f"the server ended the thinking: {usage.output_tokens} tokens without an answer; servers look for stop texts in thoughts too: give "
        "others (until), or have it not think"
    )


def _sampling(told: Generation, seed: int) -> dict[str, Any]:
    stops = [stop for stop in told.until if stop][:MOST_STOPS]
    own: dict[str, Any] = {"temperature": 0.0}
    if told.rest.get("do_sample"):
        own = {"temperature": float(told.rest.get("temperature") or 1.0), "seed": seed % SEEDS}
        own |= {"top_p": told.rest["top_p"]} if told.rest.get("top_p") is not None else {}
    return own | ({"stop": stops} if stops else {})


def _unanswered(request: EngineRequest, asked: Asked, reasoning: str | None, usage: Usage, *, why: tuple[str, str]) -> EngineAnswer:
    """No answer: how it ended, and why in words."""
    return EngineAnswer(
        request.index, request.draw, why[0], usage.prompt_tokens, reasoning=reasoning, output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens, truncated_tokens=asked.truncated, error=why[1],
    )  # fmt: skip
