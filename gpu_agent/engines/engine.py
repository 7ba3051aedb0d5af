"""What an engine is: it loads one model and answers requests. In-process engines and served ones look the same from outside.

Engines run in a child process of the worker (gpu_agent/runner.py): a crash of the device's libraries is a failed attempt, no more, and
what they raise is told (gpu_agent/engines/failures.py).
"""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from schemas.jobs import EngineUsed, Origin, Server
from schemas.requests import ModelRef
from streams.engines import kind_of


@dataclass(frozen=True, slots=True)
class Thinking:
    """That a text is thought before it is answered: `end` ends it, after `tokens` tokens at the latest (None: no limit of its own)."""

    end: str
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One request. `generation` holds normalised `generation_kwargs`; `draw` tells repetitions of one request apart, and `seed` is
    what each draws by (streams/quality/generation.py). `is_chat`: the context is a chat's messages, as JSON.
    """

    index: int
    request_type: str
    context: str
    continuation: str | None = None
    generation: Mapping[str, Any] = field(default_factory=dict)
    draw: int = 0
    seed: int = 1234
    thinking: Thinking | None = None
    is_chat: bool = False


@dataclass(frozen=True, slots=True)
class EngineAnswer:
    """The answer to the request of that index and draw; log-likelihoods in nats, token_logprobs as float32 bytes.

    `error`: why there is none. `truncated_tokens` of the request were left out, because the model's window is too short for them.
    `began_ns`: when the engine began to compute it, with all that it computed together; `first_ns`: when its first token was there; None
    where the engine cannot say. `ended_ns`: when it was told. All are this process's `perf_counter_ns`.
    """

    index: int
    draw: int
    finish_reason: str
    prompt_tokens: int
    output: str | None = None
    reasoning: str | None = None
    loglikelihood: float | None = None
    is_greedy: bool | None = None
    token_logprobs: bytes | None = None
    output_tokens: int = 0
    reasoning_tokens: int | None = None
    truncated_tokens: int = 0
    error: str | None = None
    began_ns: int | None = field(default=None, compare=False)
    first_ns: int | None = field(default=None, compare=False)
    ended_ns: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Halved:
    """Memory ran out; the engine goes on with smaller batches, `batch` as in EngineUsed."""

    batch: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading took, and what the engine really is. `model_sha` is over the files that were read; None for a model without files.

    `server`: who answers for it, where that is elsewhere; `origin`: the hub that its files are from.
    """

    used: EngineUsed
    download_ns: int
    load_ns: int
    warmup_ns: int
    weights_bytes: int
    parameters: int | None = None
    kv_bytes: int | None = None
    peak_bytes: int | None = None
    model_sha: str | None = None
    server: Server | None = None
    origin: Origin | None = None


class Engine(Protocol):
    """One engine with at most one model. Its methods raise Temporary where another attempt may end otherwise; else Permanent, or whatever
    its libraries raise. An engine that raised goes on with its model."""

    def load(self, model: ModelRef, *, options: Mapping[str, str], device: str) -> Loaded:
        """Loads the model. Raises: Invalid for an unknown option or a model that cannot be read."""
        ...

    def answer(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer | Halved]:
        """Answers, each as soon as it is known, in any order. The more it is given at once, the more it can do together."""
        ...

    def stream(self, *, input_tokens: int, output_tokens: int, seed: int) -> Iterator[int]:
        """Generates after a prompt of that length; yields, at each arrival, how many tokens came."""
        ...

    def close(self) -> None:
        """Gives the model's memory back."""
        ...


def engine_named(name: str) -> Engine:
    """A new engine of that name, its libraries imported only now: no engine's burden another. Raises: Invalid where there is none."""
    module, _, factory = kind_of(name).factory.partition(":")
    engine: Engine = getattr(importlib.import_module(module), factory)()
    return engine
