"""What engines are asked in tests, and how close their answers must be; and an engine in its child process, as the agent has it."""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Loaded
from gpu_agent.runner import Engines
from infra.settings import Settings
from schemas.requests import EngineChoice, ModelRef

QUESTION = "Question: What is it that grows in the garden, and why? Answer:"
PAIRS = [
    (QUESTION, " a tree"), (QUESTION, " a flower"), (QUESTION, " 12 apples, or more of them than that"), (QUESTION + "  ", "b"),
    ("", " alone"), ("", "x"), ("ünïcödé — ok", " schön 🌱"), ("one", "\n\n"), ("<s>sum: 1+2=", "3"), ("a b c " * 100, " cut on the left"),
    ("a b c " * 100, "cut"), ("q", "w " * 40), (QUESTION, " a tree and a flower"), (QUESTION, " a tree"), ("a b", "c d " * 200),
]  # fmt: skip
GREEDY: list[tuple[str, dict[str, Any]]] = [
    (QUESTION, {"until": ["\n"], "max_gen_toks": 24, "do_sample": False}),
    (QUESTION, {"until": ["e"], "max_gen_toks": 24}),
    ("copy: abc=", {"until": ["\n\n", "the"], "max_new_tokens": 16, "temperature": 0.0}),
    ("a b c " * 100, {"until": ["zzz"], "max_gen_toks": 32}),
    (QUESTION, {"until": [""], "max_gen_toks": 24}),
    (QUESTION, {"until": [], "max_gen_toks": 24, "max_length": 60}),
    (QUESTION, {"until": [], "max_gen_toks": 24, "repetition_penalty": 1.5}),
    (QUESTION, {"until": [], "max_gen_toks": 24, "no_repeat_ngram_size": 2}),
    (QUESTION, {"until": ["a"], "max_gen_toks": 24, "min_new_tokens": 5, "suppress_tokens": [40, 41, 300]}),
]  # fmt: skip


class Child:
    """An engine in its child process, in the environment that it is installed in."""

    def __init__(self, runner: asyncio.Runner, engine: str, *, trust_code: bool = False, device: str = "cpu") -> None:
        self._runner = runner
        self._trust_code = trust_code
        self._engine = engine
        self.engines = Engines(device, home=Settings().home)

    def load(self, model: Path, *, dtype: str | None = None, **options: str) -> Loaded:
        """Loads a model, unless it is there already."""
        choice = EngineChoice(name=self._engine, options=options)
        found: Loaded = self.run(self.engines.load(ModelRef(uri=str(model), dtype=dtype, trust_code=self._trust_code), choice))[0]
        return found

    def answer(self, requests: Sequence[EngineRequest]) -> list[EngineAnswer]:
        """The answers, in the order of their requests."""

        async def whole() -> list[EngineAnswer]:
            return [one async for one in self.engines.answer(requests) if isinstance(one, EngineAnswer)]

        return sorted(self.run(whole()), key=lambda answer: answer.index)

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        """What comes of a call of the process's."""
        return self._runner.run(call)


def scored(pairs: Sequence[tuple[str, str]]) -> list[EngineRequest]:
    """Requests for likelihoods."""
    return [EngineRequest(index=n, request_type="loglikelihood", context=c, continuation=k) for n, (c, k) in enumerate(pairs)]


def texts(told: Sequence[tuple[str, dict[str, Any]]], **more: Any) -> list[EngineRequest]:
    """Requests for texts."""
    return [EngineRequest(n, "generate_until", context, generation=told, **more) for n, (context, told) in enumerate(told)]


def alike(found: EngineAnswer, wanted: EngineAnswer, *, tolerance: float, greedy: bool = True) -> None:
    """All is equal but likelihoods, which are close; `greedy`: also which tokens are the likeliest."""
    assert (found.loglikelihood is None) == (wanted.loglikelihood is None)
    if wanted.loglikelihood is not None:
        assert found.loglikelihood == pytest.approx(wanted.loglikelihood, rel=tolerance, abs=tolerance)
    if wanted.token_logprobs is not None:
        own, its = (np.frombuffer(one.token_logprobs or b"", "<f4") for one in (found, wanted))
        assert own == pytest.approx(its, rel=tolerance, abs=tolerance)
    rest = {"loglikelihood": None, "token_logprobs": None} | ({} if greedy else {"is_greedy": None})
    assert replace(found, **rest) == replace(wanted, **rest)  # type: ignore[arg-type]


def all_alike(found: Iterable[EngineAnswer], wanted: Iterable[EngineAnswer], *, tolerance: float, greedy: bool = True) -> None:
    """The same of several, in their order."""
    for one, other in zip(found, wanted, strict=True):
        alike(one, other, tolerance=tolerance, greedy=greedy)


def farthest(found: Iterable[EngineAnswer], wanted: Iterable[EngineAnswer]) -> float:
    """The largest difference of log-likelihoods, in nats, or as a share of the value where that is more than a nat."""
    pairs = [(one.loglikelihood or 0.0, other.loglikelihood or 0.0) for one, other in zip(found, wanted, strict=True)]
    return max(abs(own - its) / max(1.0, abs(its)) for own, its in pairs)
