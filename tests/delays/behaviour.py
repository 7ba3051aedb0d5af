"""How the server behaves to a request, and when it will send what. A client of any kind asks for it by the model's name:

known?ttft_ms=50&itl_ms=10&bundle=4&fault=cut&after=8
"""

import random
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import parse_qsl

FAULTS = frozenset({"", "401", "429", "500", "html", "error200", "cut", "stall", "endless", "reset", "nodone"})


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a model's name asks for.

    `jitter`: each delay lies uniformly within ± that share of it. `bundle`: tokens of a chunk, which goes when its last one is made.
    `role`: a chunk with a role alone comes first, at once; `empty`: so many empty ones. `reasoning`: so many tokens of a chat come in that
    channel. `eos`: the text ends by itself after so many tokens, unless told to ignore that. `usage`: asked (where the request does), never
    or wrong. `cache`: a prompt that was seen before is answered ten times sooner, and counts as cached. `after`: tokens before the fault;
    `every`: each so many-th request has it. `places`: so many requests of this name are served at a time, the
    others wait, the first first: the capacity is places / (ttft + itl · (tokens - 1)) requests a second. 0: all at once.
    `breaks`: so many requests of all are answered, and from then on none. `blocks`: prompts are kept in blocks of so many tokens, and those
    that a prompt has in front as another had count as cached.
    """

    ttft_ms: float = 50.0
    itl_ms: float = 10.0
    jitter: float = 0.0
    bundle: int = 1
    role: int = 0
    empty: int = 0
    reasoning: int = 0
    eos: int = 0
    usage: str = "asked"
    cache: int = 0
    fault: str = ""
    after: int = 0
    every: int = 1
    retry_after: int = 1
    places: int = 0
    breaks: int = 0
    blocks: int = 0

    def of(self, number: int) -> str:
        """The fault of the so many-th request, from 0."""
        if self.breaks and number >= self.breaks:
            return "500"
        return self.fault if (number + 1) % self.every == 0 else ""


def behaviour(model: str) -> Behaviour:
    """What a name asks for. Raises: ValueError."""
    given = dict(parse_qsl(model.partition("?")[2], strict_parsing=True)) if "?" in model else {}
    usual: dict[str, Any] = {field.name: field.default for field in fields(Behaviour)}
    if unknown := set(given) - set(usual):
        raise ValueError(f"no such behaviour: {', '.join(sorted(unknown))}; there are {', '.join(usual)}")
    told: dict[str, Any] = {name: type(usual[name])(value) for name, value in given.items()}
    if told.get("fault", "") not in FAULTS:
        raise ValueError(f"no such fault: {told['fault']}; there are {', '.join(sorted(FAULTS - {''}))}")
    return Behaviour(**told)


@dataclass(frozen=True, slots=True)
class Part:
    """A chunk of the answer: due so long after the request came, with so many tokens."""

    due_ns: int
    first: int
    tokens: int


def parts(how: Behaviour, *, tokens: int, seed: int, number: int, cached: bool = False) -> list[Part]:
    """The chunks with tokens, in order: the same for the same seed and number."""
    draw = random.Random(f"{seed}/{number}")
    at_ms = _around(how.ttft_ms, how.jitter, draw) * (0.1 if cached else 1.0)
    made_ms = [at_ms]
    for _ in range(tokens - 1):
        at_ms += _around(how.itl_ms, how.jitter, draw)
        made_ms.append(at_ms)
    firsts = range(0, tokens, how.bundle)
    lasts = [min(first + how.bundle, tokens) for first in firsts]
    return [Part(round(made_ms[last - 1] * 1e6), first, last - first) for first, last in zip(firsts, lasts, strict=True)]


def _around(delay: float, jitter: float, draw: random.Random) -> float:
    return delay * (1 + jitter * (2 * draw.random() - 1))
