"""A fake that ships: its answers are a hash of the request and the model's name, so they are always the same. For tests of all
that is not a model: kills, retries, failures.

Options: `delay_ms` before each answer; `fail` = `load` (permanent), `hang` (loading never ends), `oom` (temporary), `crash` (the process
dies), `raise` (as a library does); `fail_after` answers of this process (default 0); `answers` is a JSON file {end of a prompt: text
generated for it}.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Loaded
from infra.text_files import text_of
from schemas.jobs import EngineUsed
from schemas.requests import ModelRef
from streams.engines import read_options
from streams.errors import Invalid, Temporary

HANGS_S = 3600.0


class Echo:
    """The fake engine."""

    def __init__(self) -> None:
        self._model = ""
        self._delay_s = 0.0
        self._fail = ""
        self._fail_after = 0
        self._answered = 0
        self._answers: dict[str, str] = {}

    def load(self, model: ModelRef, *, options: Mapping[str, str], device: str) -> Loaded:
        """Nothing to load; checks the options."""
        asked = read_options("echo", options)
        self._model, self._fail = model.uri, asked.get("fail", "")
        self._delay_s, self._fail_after = asked.get("delay_ms", 0.0) / 1e3, asked.get("fail_after", 0)
        self._answers = _answers(asked["answers"]) if "answers" in asked else {}
        if self._fail == "load":
            raise Invalid("asked to fail at loading", code="asked-to-fail")
        while self._fail == "hang":
            time.sleep(HANGS_S)
        used = EngineUsed(name="echo", version="1", dtype="none", device="cpu")
        return Loaded(used=used, download_ns=0, load_ns=0, warmup_ns=0, weights_bytes=0)

    def answer(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer]:
        """Answers in order."""
        for request in requests:
            began_ns = time.perf_counter_ns()
            time.sleep(self._delay_s)
            if self._fail and self._answered >= self._fail_after:
                self._break()
            self._answered += 1
            yield replace(self._one(request), began_ns=began_ns)

    def _break(self) -> None:
        if self._fail == "crash":
            os._exit(139)
        if self._fail == "raise":
            raise LookupError("asked to raise")
        raise Temporary("asked to run out of memory", code="out-of-memory")

    def _one(self, request: EngineRequest) -> EngineAnswer:
        told = "\x1f".join([self._model, request.request_type, request.context, request.continuation or "", str(request.draw)])
        digest = hashlib.sha256(told.encode()).digest()
        words = len(request.context.split())
        if request.request_type == "generate_until":
            known = (text for end, text in self._answers.items() if request.context.endswith(end))
            output = next(known, request.context.splitlines()[-1] if request.context else "")
            return EngineAnswer(request.index, request.draw, "stop", words, output=output, output_tokens=len(output.split()))
        likelihood = -int.from_bytes(digest[:4], "big") / 2**28
        return EngineAnswer(request.index, request.draw, "none", words, loglikelihood=likelihood, is_greedy=digest[4] % 2 == 0)

    def stream(self, *, input_tokens: int, output_tokens: int, seed: int) -> Iterator[int]:
        """A token after every delay."""
        for _ in range(output_tokens):
            time.sleep(self._delay_s)
            yield 1

    def close(self) -> None:
        """Nothing to give back."""


def _answers(path: str) -> dict[str, str]:
    """The texts that a file gives, by how a context ends. Raises: Invalid."""
    try:
        told = json.loads(text_of(path))
    except (ValueError, RecursionError) as error:
        raise Invalid(f"option answers={path} is no JSON: {error}", code="option") from error
    if not isinstance(told, dict) or not all(isinstance(one, str) for one in told.values()):
        raise Invalid(f"option answers={path}: give an object of texts", code="option")
    return told
