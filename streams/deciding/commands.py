"""The commands that ask for a measurement, as they are typed: more documents of a task, or a load on an engine.

They name what was measured whole: the model at its revision, its adapter's base, and that its code is run where it was.
"""

import json
import shlex
from collections.abc import Iterator, Sequence
from typing import Final

from schemas.requests import Chat, ModelRef
from schemas.requirements import Traffic
from streams.deciding.evidence import Weights

REQUESTS: Final = 200  # of a load: enough for its 95th percentiles, with its ramp and drain left out
WARMED: Final = 8


def can_say(model: ModelRef, chat: Chat) -> bool:
    """A command line can ask for it: it has no option for a precision, a template of one's own, or another end of thoughts."""
    return model.dtype is None and chat.template in (None, "model") and chat.thinking_end == Chat().thinking_end


def named(model: ModelRef) -> str:
    """A model as it is named, at its revision where it has one: org/name@commit."""
    return f"{model.uri}@{model.revision}" if model.revision else model.uri


def submit(model: ModelRef, weights: Weights, *, chat: Chat, task: str, limit: int, fewshot: int | None = None) -> str:
    """`assay submit` of a task's first so many documents."""
    told = ["assay", "submit", *_model(model), *_engine(weights), "--task", task, "--limit", str(limit)]
    told += ["--fewshot", str(fewshot)] if fewshot is not None else []
    return shlex.join([*told, *_dress(chat), "--wait"])


def ask(model: ModelRef, weights: Weights, *, chat: Chat, suite: str, tasks: Sequence[str] = (), limit: int) -> str:
    """`assay submit` of each of a suite's tasks' first so many documents; `tasks`, where the suite is but a name for them."""
    told = ["assay", "submit", *_model(model), *_engine(weights), "--suite", suite]
    told += [word for task in tasks for word in ("--task", task)]
    return shlex.join([*told, "--limit", str(limit), *_dress(chat), "--wait"])


def perf(model: ModelRef, weights: Weights, *, traffic: Traffic | None, concurrency: int = WARMED) -> str:
    """`assay perf` under a closed load, of requests as long as the traffic's."""
    lengths = ["--input-tokens", str(traffic.input_tokens), "--output-tokens", str(traffic.output_tokens)] if traffic else []
    told = ["assay", "perf", *_model(model), *_engine(weights), "--profile", "concurrent", "--concurrency", str(concurrency)]
    return shlex.join([*told, "--requests", str(REQUESTS), *lengths, "--wait"])


def _model(model: ModelRef) -> Iterator[str]:
    yield from ("--model", named(model))
    if model.base:
        yield from ("--base", model.base)
    if model.trust_code:
        yield "--trust-model-code"


def _engine(weights: Weights) -> Iterator[str]:
    yield from ("--engine", weights.engine)
    for name, value in json.loads(weights.options).items():
        yield from ("--option", f"{name}={value}")


def _dress(chat: Chat) -> Iterator[str]:
    if chat.template is not None:
        yield "--chat"
    if chat.system:
        yield from ("--system", chat.system)
    for name in ("fold_system", "multiturn"):
        if getattr(chat, name):
            yield f"--{name.replace('_', '-')}"
    if chat.thinking is not None:
        yield "--thinking" if chat.thinking else "--no-thinking"
    if chat.thinking_tokens is not None:
        yield from ("--thinking-tokens", str(chat.thinking_tokens))
