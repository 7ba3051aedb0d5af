"""What is asked of a server with one of OpenAI's interfaces: where, and with which body.

What the prompts are is wording.py's.

Source: OpenAI API reference, Completions, Chat and Responses; `ignore_eos` as vLLM, SGLang and TGI take it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from gpu_agent.workloads.schedule import Planned
from gpu_agent.workloads.wording import PLAIN, Wording, prompt_of
from schemas.requests import Api, Workload
from streams.served import base_of
from streams.speed.bodies import body_of

Message = Mapping[str, str]
SHOWN = "Authorization: Bearer "


@dataclass(frozen=True, slots=True)
class Interface:
    """One of the interfaces: its path, where a body has the prompt and the most tokens of an answer, and how few those may be.

    `extras`: what not every server takes, in the order in which it is given up; `streamed`: so too, of answers that are streamed.
    """

    path: str
    prompt: str
    most: str
    least_tokens: int
    extras: Mapping[str, Any]
    streamed: Mapping[str, Any]


ENDLESS: Final = {"ignore_eos": True}
USAGE: Final = {"stream_options": {"include_usage": True}}
# What a chat's models that reason take in place of the usual, and, where they refuse it, of nothing. Source: OpenAI API reference, Chat,
# `max_tokens` ("not compatible with o-series models").
MOST: Final = "max_tokens"
MOST_OF_REASONING: Final = "max_completion_tokens"
TEMPERATURE: Final = "temperature"
INTERFACES: Final[Mapping[Api, Interface]] = MappingProxyType({
    "completions": Interface("/v1/completions", "prompt", "max_tokens", 1, ENDLESS, USAGE),
    "chat": Interface("/v1/chat/completions", "messages", "max_tokens", 1, ENDLESS, USAGE),
    # It tells usage always; without `store` a server would keep each answer.
    "responses": Interface("/v1/responses", "input", "max_output_tokens", 16, ENDLESS | {"store": False}, {}),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server listens, and how it is asked there. `more`: what every body has beside the load's own."""

    host: str
    port: int
    tls: bool
    path: str
    name: str
    api: Api = "completions"
    stream: bool = True
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def extras(self) -> dict[str, Any]:
        """What not every server takes, in the order in which it is given up."""
        asked = INTERFACES[self.api]
        extras = {**asked.extras, **(asked.streamed if self.stream else {})}
        return {name: value for name, value in extras.items() if name not in self.more}

    def next_given_up(self, refusal: str, given_up: frozenset[str]) -> str | None:
        """What a server does not take that refuses so: what its words name first, else the next extra; None where nothing is left."""
        asked = [*self.extras, *([MOST] if self.api == "chat" else []), *([] if TEMPERATURE in self.more else [TEMPERATURE])]
        left = [name for name in asked if name not in given_up]
        found = {name: found.start() for name in left if (found := re.search(rf"\b{name}\b", refusal))}
        return min(found, key=found.__getitem__) if found else next((name for name in left if name in self.extras), None)


def place_of(workload: Workload) -> Place:
    """Where the workload's requests go. Raises: Invalid."""
    url, asked = urlsplit(base_of(workload.url or "")), INTERFACES[workload.api]
    tls, more = url.scheme == "https", body_of(workload.extra_body)
    port = url.port or (443 if tls else 80)
    return Place(url.hostname or "", port, tls, url.path + asked.path, url.netloc, workload.api, workload.stream, more)


def said(role: str, text: str) -> Message:
    """A message of a chat."""
    return {"role": role, "content": text}


def request_of(
    place: Place,
    planned: Planned,
    *,
    model: str,
    mark: str,
    given_up: frozenset[str] = frozenset(),
    key: str | None = None,
    before: Sequence[Message] = (),
    by: Wording = PLAIN,
) -> bytes:
    """The whole request. `given_up`: what this server does not take; `key`: shown to the server; `before`: of a chat, what was said;
    `by`: what the prompt is worded by.

    A later turn of a chat has no mark of its own: its chat's first message has one.
    """
    prompt, form = prompt_of(planned, mark="" if before else mark, by=by), INTERFACES[place.api]
    most = MOST_OF_REASONING if form.most in given_up else form.most
    asked: dict[str, Any] = {"model": model, "stream": place.stream, most: planned.output_tokens}
    asked |= {} if TEMPERATURE in given_up else {TEMPERATURE: 0.0}
    asked[form.prompt] = prompt if place.api == "completions" else [*before, said("user", prompt)]
    asked |= {name: value for name, value in place.extras.items() if name not in given_up}
    body = json.dumps(asked | dict(place.more)).encode()
    shown, kind = f"{SHOWN}{key}\r\n" if key else "", "text/event-stream" if place.stream else "application/json"
    head = (
        f"POST {place.path} HTTP/1.1\r\nHost: {place.name}\r\n{shown}Content-Type: application/json\r\nAccept: {kind}\r\n"
        f"User-Agent: assay\r\nX-Request-Id: {planned.index}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def prompts_in(request: bytes) -> list[str]:
    """The texts that a whole request asks with: its prompt, or the content of each message."""
    body = json.loads(request.partition(b"\r\n\r\n")[2])
    told = next(body[one.prompt] for one in INTERFACES.values() if one.prompt in body)
    return [told] if isinstance(told, str) else [message["content"] for message in told]


def key_in(request: bytes) -> str | None:
    """The key that a whole request shows; None where it shows none."""
    _, shown, rest = request.partition(b"\r\n\r\n")[0].decode(errors="replace").partition(SHOWN)
    return rest.partition("\r\n")[0] if shown else None
