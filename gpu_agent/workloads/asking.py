"""What is asked of a server with OpenAI's interface: where, and with which body.

A prompt is words drawn by the request's seed. It begins with a mark that no other request has: of the job, its attempt and the request.
So the same seed gives the same load again, but nothing that a server could have kept from before: caches of prefixes begin at the front.
Prompts that shall begin alike begin with the mark of the job and its attempt, so that they do so among themselves alone.
Where a workload wants its prompts repeated, the mark is left out, and the same seed gives the same prompts.

Source: OpenAI API reference, Completions and Chat; `ignore_eos` as vLLM, SGLang and TGI take it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from gpu_agent.workloads.schedule import Planned
from schemas.requests import Workload
from streams.served import base_of

Message = Mapping[str, str]
WORDS = ("the", "of", "and", "to", "in", "is", "that", "for", "on", "was", "with", "as", "it", "at", "by", "from")
MARK = 12  # hexadecimal digits
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


def prompt_of(planned: Planned, *, mark: str) -> str:
    """The request's prompt, of about as many words as it shall have tokens; how many it has is the server's to say.

    What it shares with others comes first, behind the mark of them all, and its own mark only then.
    """
    if planned.text is not None:
        return planned.text
    common = [_words(name, count) for name, count in planned.shared]
    own = _words(planned.seed, planned.input_tokens - sum(count for _, count in planned.shared))
    before = [_mark(mark)] if common and mark else []
    return " ".join(filter(None, [*before, *common, _mark(f"{mark}/{planned.index}") if own and mark else "", own]))


def _words(seed: int, count: int) -> str:
    return " ".join(np.random.default_rng(seed).choice(WORDS, count))


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:MARK]


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
) -> bytes:
    """The whole request. `given_up`: extras that this server does not take; `key`: shown to the server; `before`: of a chat, what was said.

    A later turn of a chat has no mark of its own: its chat's first message has one.
    """
    prompt, chat = prompt_of(planned, mark="" if before else mark), place.path.endswith(PATHS["chat"])
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
