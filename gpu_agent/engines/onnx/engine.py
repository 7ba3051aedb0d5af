"""ONNX models through ONNX Runtime: likelihoods with shared beginnings, and texts, on a CPU, or by CUDA where the runtime has it.

Options: `max_length` (tokens; less than the model's own), `threads` (on a CPU), `batch_tokens` (at once).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import onnxruntime
import psutil

from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Loaded
from gpu_agent.engines.failures import words_of
from gpu_agent.engines.graphs.answering import Answering, tokenizer_of
from gpu_agent.engines.machine import check_memory, threads_of
from gpu_agent.engines.onnx.graph import Graph, provider_of
from infra import model_fitness, onnx_files
from infra.models import ModelFacts, inspect
from infra.settings import Settings
from infra.trust import trusted
from schemas.jobs import EngineUsed
from schemas.requests import ModelRef
from streams import model_memory
from streams.engines import check_model, read_options
from streams.errors import AssayError, Invalid


class Onnx:
    """One ONNX model in this process."""

    def __init__(self) -> None:
        self._graph: Graph
        self._answering: Answering

    def load(self, model: ModelRef, *, options: Mapping[str, str], device: str) -> Loaded:
        """Loads model and tokenizer and runs a few tokens. Raises: Invalid, Temporary where memory ran out."""
        asked = read_options("onnx", options)
        provider = provider_of(device)
        check_model("onnx", model)
        facts = inspect(model)
        model_fitness.check(facts, engine="onnx")
        max_len = min(asked.get("max_length", facts.max_len), facts.max_len)
        budget = asked.get("batch_tokens", model_memory.TOKENS_AT_ONCE)
        kept = model_memory.kv_bytes(per_token=facts.kv_bytes_per_token, max_len=max_len, weights_bytes=facts.weights_bytes, tokens=budget)
        check_memory(facts.weights_bytes + kept)
        started = time.perf_counter_ns()
        self._open(facts, threads=threads_of(asked.get("threads")), provider=provider)
        tokenizer = tokenizer_of(facts, trust=trusted(model, Settings()))
        loaded = time.perf_counter_ns()
        self._try(facts, tokenizer, max_len=max_len, budget=budget, kept_bytes=kept)
        used = EngineUsed(
            name="onnx", version=onnxruntime.__version__, dtype=facts.dtype, max_len=max_len, batch=f"{budget} tokens",
            device="cuda" if provider.startswith("CUDA") else "cpu", quantisation=facts.weights_type if facts.shape.quantised else None,
        )  # fmt: skip
        return Loaded(
            used=used, download_ns=0, load_ns=loaded - started, warmup_ns=time.perf_counter_ns() - loaded,
            weights_bytes=facts.weights_bytes, parameters=facts.parameters or None, kv_bytes=facts.kv_bytes_per_token * max_len,
            peak_bytes=psutil.Process().memory_info().rss, model_sha=facts.model_sha,
        )  # fmt: skip

    def _open(self, facts: ModelFacts, *, threads: int, provider: str) -> None:
        assert facts.file is not None
        read = onnx_files.read(facts.file)
        try:
            self._graph = Graph(read, threads=threads, provider=provider)
        except Exception as error:  # its classes are no kind of each other
            raise _unloadable(facts, error) from error

    def _try(self, facts: ModelFacts, tokenizer: Any, **told: int) -> None:
        """Runs a few tokens. Raises: Invalid where the model is none that engine onnx runs."""
        try:
            self._answering = Answering("onnx", self._graph, facts, tokenizer, **told)
        except AssayError:
            raise
        except Exception as error:  # what it raises over tokens that any text has is about this model
            raise _unloadable(facts, error) from error

    def answer(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer]:
        """Answers, those that share a beginning together. Raises: Invalid, OfAll, Temporary where memory ran out."""
        return self._answering.of(requests)

    def stream(self, *, input_tokens: int, output_tokens: int, seed: int) -> Iterator[int]:
        """Greedy tokens after a random prompt, one a step. Raises: Invalid where they do not fit into the model's window."""
        return self._answering.stream(input_tokens=input_tokens, output_tokens=output_tokens, seed=seed)

    def close(self) -> None:
        """Gives the model's memory back."""
        del self._answering, self._graph


def _unloadable(facts: ModelFacts, error: Exception) -> Invalid:
    return Invalid(f"{facts.file} cannot be run by ONNX Runtime {onnxruntime.__version__}: {words_of(error)}", code="model-broken")
