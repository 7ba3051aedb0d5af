"""ONNX models through ONNX Runtime: likelihoods with shared beginnings, and texts, on a CPU, or by CUDA where the runtime has it.

Options: `max_length` (tokens; less than the model's own), `threads` (on a CPU), `batch_tokens` (at once).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import onnxruntime
import psutil
import transformers

from gpu_agent.engines.causality import check_causal
from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Loaded
from gpu_agent.engines.failures import words_of
from gpu_agent.engines.machine import check_memory, threads_of
from gpu_agent.engines.onnx.bearing import Bears, tried
from gpu_agent.engines.onnx.graph import Graph, provider_of
from gpu_agent.engines.onnx.likelihood import Likelihoods
from gpu_agent.engines.onnx.roots import Room, Roots
from gpu_agent.engines.onnx.slots import slots_of
from gpu_agent.engines.onnx.texts import Texts
from gpu_agent.engines.scored import Reading, score
from gpu_agent.engines.tokens import Tokens
from gpu_agent.engines.written import answer_of, prompt_of
from infra import model_fitness, onnx_files
from infra.model_files import read_json
from infra.models import ModelFacts, inspect
from infra.settings import Settings
from infra.trust import trusted
from schemas.jobs import EngineUsed
from schemas.requests import ModelRef
from streams import model_memory
from streams.engines import check_model, read_options
from streams.errors import AssayError, Invalid
from streams.quality.generation import check_taken

# Requests that are laid out together: enough that rows pack well, few enough that first answers are early.
WINDOW: Final = 256
LOGIT_BYTES: Final = 4
# Keys and values that rows have copies of, as a share of the weights: a step reads weights once, and copies go by several times.
COPIED_RATIO: Final = 0.25


class Onnx:
    """One ONNX model in this process."""

    def __init__(self) -> None:
        self._tokens: Tokens
        self._max_len = 0
        self._graph: Graph
        self._bears: Bears
        self._room: Room
        self._likelihoods: Likelihoods
        self._texts: Texts

    def load(self, model: ModelRef, *, options: Mapping[str, str], device: str) -> Loaded:
        """Loads model and tokenizer and runs a few tokens. Raises: Invalid, Temporary where memory ran out."""
        asked = read_options("onnx", options)
        provider = provider_of(device)
        check_model("onnx", model)
        facts = inspect(model)
        model_fitness.check(facts, engine="onnx")
        self._max_len = min(asked.get("max_length", facts.max_len), facts.max_len)
        budget = asked.get("batch_tokens", model_memory.TOKENS_AT_ONCE)
        kept = model_memory.kv_bytes(
            per_token=facts.kv_bytes_per_token, max_len=self._max_len, weights_bytes=facts.weights_bytes, tokens=budget
        )
        check_memory(facts.weights_bytes + kept)
        started = time.perf_counter_ns()
        self._open(facts, threads=threads_of(asked.get("threads")), provider=provider)
        tokenizer = _tokenizer(facts, trust=trusted(model, Settings()))
        loaded = time.perf_counter_ns()
        self._try(facts, tokenizer, budget=budget, kept_bytes=kept)
        used = EngineUsed(
            name="onnx", version=onnxruntime.__version__, dtype=facts.dtype, max_len=self._max_len, batch=f"{budget} tokens",
            device="cuda" if provider.startswith("CUDA") else "cpu", quantisation=facts.weights_type if facts.shape.quantised else None,
        )  # fmt: skip
        return Loaded(
            used=used, download_ns=0, load_ns=loaded - started, warmup_ns=time.perf_counter_ns() - loaded,
            weights_bytes=facts.weights_bytes, parameters=facts.parameters or None, kv_bytes=facts.kv_bytes_per_token * self._max_len,
            peak_bytes=psutil.Process().memory_info().rss, model_sha=facts.model_sha,
        )  # fmt: skip

    def _open(self, facts: ModelFacts, *, threads: int, provider: str) -> None:
        assert facts.file is not None
        read = onnx_files.read(facts.file)
        try:
            self._graph = Graph(read, threads=threads, provider=provider)
        except Exception as error:  # its classes are no kind of each other
            raise _unloadable(facts, error) from error

    def _try(self, facts: ModelFacts, tokenizer: Any, *, budget: int, kept_bytes: int) -> None:
        """Runs a few tokens, by which all else is set up. Raises: Invalid where the model is none that engine onnx runs."""
        try:
            vocabulary = self._logits([[0]]).shape[-1]
            self._tokens = Tokens(tokenizer, rows=min(vocabulary, facts.shape.vocabulary or vocabulary), named=facts.folder)
            check_causal(
                self._logits, begin=self._tokens.prefix_token, vocabulary=self._tokens.size, length=self._max_len, named=str(facts.file)
            )
            self._bears = tried(self._graph, vocabulary=self._tokens.size, rough=facts.shape.quantised or facts.dtype != "float32")
        except AssayError:
            raise
        except Exception as error:  # what it raises over tokens that any text has is about this model
            raise _unloadable(facts, error) from error
        logits = model_memory.scored_at_once(vocabulary, LOGIT_BYTES)
        # A graph that keeps nothing has room for all.
        per_token, none = facts.kv_bytes_per_token, model_memory.TOKENS_AT_ONCE**2
        kept, copied = (size // per_token if per_token else none for size in (kept_bytes, int(facts.weights_bytes * COPIED_RATIO)))
        self._room = Room(budget, logits, kept, copied)
        roots = Roots(self._graph, self._bears, self._room)
        self._likelihoods = Likelihoods(self._graph, self._bears, roots=roots, room=self._room, dtype=facts.dtype)
        self._texts = Texts(self._graph, self._bears, tokenizer, _own(facts), roots=roots, room=self._room, dtype=facts.dtype)

    def _logits(self, rows: list[list[int]]) -> Any:
        return self._graph.run(np.array(rows, np.int64))[0]

    def answer(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer]:
        """Answers, those that share a beginning together. Raises: Invalid, OfAll, Temporary where memory ran out."""
        texts = [request for request in requests if request.request_type == "generate_until"]
        scored = [request for request in requests if request.request_type != "generate_until"]
        reading = Reading(self._tokens.encode_all, self._tokens.prefix_token, self._max_len)
        for first in range(0, len(scored), WINDOW):
            for one in score(scored[first : first + WINDOW], reading, self._likelihoods.of):
                assert isinstance(one, EngineAnswer)
                yield one
        yield from self._generate(texts)

    def _generate(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer]:
        for request in requests:
            check_taken(request.generation, engine="onnx")
        found, eos = self._tokens.prompts([request.context for request in requests]), self._tokens.eos
        tokens = [own or [self._tokens.prefix_token] for own in found]
        prompts = [prompt_of(request, own, eos=eos, max_len=self._max_len) for request, own in zip(requests, tokens, strict=True)]
        for number, written in self._texts.of(prompts):
            yield answer_of(requests[number], prompts[number], written, own=len(tokens[number]))

    def stream(self, *, input_tokens: int, output_tokens: int, seed: int) -> Iterator[int]:
        """Greedy tokens after a random prompt, one a step; yields how many came. The end-of-text token does not end it.

        Raises: Invalid where they do not fit into the model's window.
        """
        model_fitness.check_load(self._max_len, input_tokens=input_tokens, output_tokens=output_tokens)
        prompt = tuple(np.random.default_rng(seed).integers(0, self._tokens.size, input_tokens).tolist())
        roots = Roots(self._graph, self._bears, self._room)
        slots, _ = slots_of(self._graph, self._bears, roots, [prompt], most=min(self._room.logits, self._room.tokens))
        token = int(slots.begin([prompt]).argmax())
        yield 1
        for _ in range(output_tokens - 1):
            token = int(slots.step([token]).argmax())
            yield 1

    def close(self) -> None:
        """Gives the model's memory back."""
        del self._likelihoods, self._texts, self._graph


def _tokenizer(facts: ModelFacts, *, trust: bool) -> Any:
    """The folder's tokenizer. Raises: Invalid where it cannot be read."""
    try:
        return transformers.AutoTokenizer.from_pretrained(facts.folder, trust_remote_code=trust)
    except Exception as error:  # whatever the library raises over a tokenizer's files, and the model's own code, is about this model
        raise Invalid(f"the tokenizer of {facts.folder} cannot be read: {words_of(error)}", code="model-broken") from error


def _own(facts: ModelFacts) -> SimpleNamespace:
    """How the model generates by itself: its generation_config.json, else what its configuration says of it, as in transformers."""
    told = facts.folder / "generation_config.json"
    return SimpleNamespace(**read_json(told if told.exists() else facts.folder / "config.json"))


def _unloadable(facts: ModelFacts, error: Exception) -> Invalid:
    return Invalid(f"{facts.file} cannot be run by ONNX Runtime {onnxruntime.__version__}: {words_of(error)}", code="model-broken")
