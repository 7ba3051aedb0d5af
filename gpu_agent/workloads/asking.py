"""What is asked of a server with OpenAI's interface: where, and with which body.

What the prompts are is wording.py's.

Source: OpenAI API reference, Completions and Chat; `ignore_eos` as vLLM, SGLang and TGI take it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gpu_agent.workloads.schedule import Planned
from gpu_agent.workloads.wording import PLAIN, Wording, prompt_of
from schemas.requests import Workload
from streams.served import base_of

Message = Mapping[str, str]
SHOWN = "Authorization: Bearer "
PATHS = {"completions": "/v1/completions", "chat": "/v1/chat/completions"}
# What not every server takes, in the order in which it is given up.
EXTRAS: tuple[tuple[str, Any], ...] = (("ignore_eos", True), ("stream_options", {"include_usage": True}))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server listens."""

    host: str
    port: int
    tls: bool
    path: str
    name: str


def place_of(workload: Workload) -> Place:
    """Where the workload's requests go. Raises: Invalid."""
    url = urlsplit(base_of(workload.url or ""))
    tls = url.scheme == "https"
    return Place(url.hostname or "", url.port or (443 if tls else 80), tls, url.path + PATHS[workload.api], url.netloc)


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
    """The whole request. `given_up`: extras that this server does not take; `key`: shown to the server; `before`: of a chat, what was said;
    `by`: what the prompt is worded by.

    A later turn of a chat has no mark of its own: its chat's first message has one.
    """
    prompt, chat = prompt_of(planned, mark="" if before else mark, by=by), place.path.endswith(PATHS["chat"])
    asked: dict[str, Any] = {"model": model, "stream": True, "temperature": 0.0, "max_tokens": planned.output_tokens}
    asked |= {"messages": [*before, said("user", prompt)]} if chat else {"prompt": prompt}
    asked |= {name: value for name, value in EXTRAS if name not in given_up}
    body = json.dumps(asked).encode()
    shown = f"{SHOWN}{key}\r\n" if key else ""
    head = (
        f"POST {place.path} HTTP/1.1\r\nHost: {place.name}\r\n{shown}Content-Type: application/json\r\nAccept: text/event-stream\r\n"
        f"User-Agent: assay\r\nX-Request-Id: {planned.index}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def key_in(request: bytes) -> str | None:
    """The key that a whole request shows; None where it shows none."""
    _, shown, rest = request.partition(b"\r\n\r\n")[0].decode(errors="replace").partition(SHOWN)
    return rest.partition("\r\n")[0] if shown else None
