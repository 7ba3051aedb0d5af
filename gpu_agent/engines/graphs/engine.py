"""An engine whose models are graphs: opened, tried, asked and closed alike, whichever runtime computes them.

Options: `max_length` (tokens; less than the model's own), `batch_tokens` (at once), and `threads`, where the runtime takes them.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import psutil

from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Loaded
from gpu_agent.engines.failures import is_out_of_memory, words_of
from gpu_agent.engines.graphs.answering import Answering, tokenizer_of
from gpu_agent.engines.graphs.graph import Graph
from gpu_agent.engines.machine import check_memory, threads_of
from infra import model_fitness
from infra.models import ModelFacts, inspect
from infra.settings import Settings
from infra.trust import trusted
from schemas.jobs import EngineUsed
from schemas.requests import ModelRef
from streams import model_memory
from streams.engines import check_model, read_options
from streams.errors import AssayError, Invalid, Temporary


@dataclass(frozen=True, slots=True)
class Opened:
    """A model that a runtime has opened; `quantisation` is None where its weights are as they were trained."""

    graph: Graph
    weights_bytes: int
    parameters: int | None
    quantisation: str | None = None


class GraphEngine(ABC):
    """At most one graph in this process. A runtime's own engine says how a model is opened, and on which devices.

    `name` is the engine's in streams/engines.py, `runtime` what people call that which computes, `version` its version.
    """

    name: ClassVar[str]
    runtime: ClassVar[str]
    version: ClassVar[str]

    def __init__(self) -> None:
        self._opened: Opened
        self._answering: Answering

    @abstractmethod
    def _device(self, wanted: str) -> str:
        """The wanted device by its name, for `auto` the fastest that is here. Raises: Invalid where the runtime is here without it."""

    @abstractmethod
    def _open(self, facts: ModelFacts, model: ModelRef, *, device: str, threads: int, trust: bool) -> Opened:
        """The model, loaded. Raises: Invalid, and whatever the runtime raises over the files."""

    def _peak_bytes(self, device: str) -> int:
        """Memory of the device that was taken so far."""
        return int(psutil.Process().memory_info().rss)

    def load(self, model: ModelRef, *, options: Mapping[str, str], device: str) -> Loaded:
        """Loads model and tokenizer and runs a few tokens. Raises: Invalid, Temporary where memory ran out."""
        asked, on = read_options(self.name, options), self._device(device)
        check_model(self.name, model)
        facts = inspect(model)
        model_fitness.check(facts, engine=self.name)
        max_len = min(asked.get("max_length", facts.max_len), facts.max_len)
        budget = asked.get("batch_tokens", model_memory.TOKENS_AT_ONCE)
        kept = model_memory.kv_bytes(per_token=facts.kv_bytes_per_token, max_len=max_len, weights_bytes=facts.weights_bytes, tokens=budget)
        check_memory(facts.weights_bytes + kept)
        trust, started = trusted(model, Settings()), time.perf_counter_ns()
        with self._about(facts):
            self._opened = self._open(facts, model, device=on, threads=threads_of(asked.get("threads")), trust=trust)
            tokenizer, loaded = tokenizer_of(facts, trust=trust), time.perf_counter_ns()
            self._answering = Answering(self.name, self.graph, facts, tokenizer, max_len=max_len, budget=budget, kept_bytes=kept)
        used = EngineUsed(
            name=self.name, version=self.version, dtype=facts.dtype, quantisation=self._opened.quantisation, max_len=max_len, device=on,
            batch=f"{budget} tokens",
        )  # fmt: skip
        return Loaded(
            used=used, download_ns=0, load_ns=loaded - started, warmup_ns=time.perf_counter_ns() - loaded,
            weights_bytes=self._opened.weights_bytes, parameters=self._opened.parameters, model_sha=facts.model_sha,
            kv_bytes=facts.kv_bytes_per_token * max_len, peak_bytes=self._peak_bytes(on),
        )  # fmt: skip

    @property
    def graph(self) -> Graph:
        """The model."""
        return self._opened.graph

    @contextmanager
    def _about(self, facts: ModelFacts) -> Iterator[None]:
        """What a runtime raises over a model's files, and over tokens that any text has, is about this model.

        Raises: Invalid, Temporary where memory ran out.
        """
        try:
            yield
        except AssayError:
            raise
        except Exception as error:  # its classes are no kind of each other
            if is_out_of_memory(error):
                raise Temporary(f"out of memory: {words_of(error)}", code="out-of-memory") from error
            told = f"{facts.file or facts.folder} cannot be run by {self.runtime} {self.version}: {words_of(error)}"
            raise Invalid(told, code="model-broken") from error

    def answer(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer]:
        """Answers, those that share a beginning together. Raises: Invalid, OfAll, Temporary where memory ran out."""
        return self._answering.of(requests)

    def stream(self, *, input_tokens: int, output_tokens: int, seed: int) -> Iterator[int]:
        """Greedy tokens after a random prompt, one a step. Raises: Invalid where they do not fit into the model's window."""
        return self._answering.stream(input_tokens=input_tokens, output_tokens=output_tokens, seed=seed)

    def close(self) -> None:
        """Gives the model's memory back."""
        del self._answering, self._opened
