"""GGUF models through llama.cpp (cyllama's wheel): likelihoods with shared prefixes, and texts, on a CPU.

Options: `max_length` (tokens; less than the model's own), `threads`, `batch_tokens` (laid out together), `kv` (`float16`, llama.cpp's own
way, or `float32`: what keys and values are kept as).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import Any, Final

import cyllama.llama.llama_cpp as llama
import numpy as np
import psutil

from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Loaded
from gpu_agent.engines.failures import words_of
from gpu_agent.engines.gguf.cells import SEQUENCES, STEP_TOKENS, Cells, Place
from gpu_agent.engines.gguf.likelihood import Likelihoods
from gpu_agent.engines.gguf.texts import Texts
from gpu_agent.engines.gguf.tokenizer import Tokenizer
from gpu_agent.engines.machine import check_memory, threads_of
from gpu_agent.engines.scored import Reading, score
from gpu_agent.engines.written import answer_of, prompt_of
from infra import model_fitness
from infra.models import ModelFacts, inspect
from schemas.jobs import EngineUsed
from schemas.requests import ModelRef
from streams import model_memory
from streams.engines import check_model, read_options
from streams.errors import Invalid
from streams.quality.generation import check_taken

# Numbers of ggml's types for keys and values.
KV: Final = {"float16": 1, "float32": 0}
# Requests that are laid out together: enough that rows pack well, few enough that first answers are early.
WINDOW: Final = 256
DEVICES: Final = ("auto", "cpu")
CELLS_A_BLOCK: Final = 256


class _Model(llama.LlamaModel):  # type: ignore[misc]  # its class has no types
    """cyllama 0.2.18 asks its model for the number of tokens, which only the vocabulary has."""

    @property
    def n_vocab(self) -> int:
        """How many tokens there are."""
        return int(self.get_vocab().n_vocab)


class Gguf:
    """One GGUF model in this process."""

    def __init__(self) -> None:
        self._model: Any = None
        self._context: Any = None
        self._tokenizer: Tokenizer
        self._max_len = 0
        self._cells: Cells
        self._likelihoods: Likelihoods
        self._texts: Texts

    def load(self, model: ModelRef, *, options: Mapping[str, str], device: str) -> Loaded:
        """Loads the model and runs one token. Raises: Invalid."""
        asked = _asked(options, device)
        kv = asked.get("kv", "float16")
        check_model("gguf", model)
        facts = inspect(model)
        model_fitness.check(facts, engine="gguf")
        self._max_len = min(asked.get("max_length", facts.max_len), facts.max_len)
        per_token = facts.kv_bytes_per_token * (2 if kv == "float32" else 1)
        budget = asked.get("batch_tokens", model_memory.TOKENS_AT_ONCE)
        cells = _cells(self._max_len, per_token=max(1, per_token), weights_bytes=facts.weights_bytes, tokens=budget)
        kv_bytes = cells * per_token
        check_memory(facts.weights_bytes + kv_bytes)
        started = time.perf_counter_ns()
        self._open(facts, cells=cells, kv=kv, threads=asked.get("threads"))
        loaded = time.perf_counter_ns()
        self._likelihoods = Likelihoods(self._cells, budget=budget)
        ends = [token for token in range(int(self._model.n_vocab)) if self._tokenizer.is_end(token)]
        self._texts = Texts(self._cells, self._tokenizer, ends=ends)
        list(self._cells.run([Place(self._prefix_token, 0, (1,), True)]))
        self._cells.end([1])
        used = EngineUsed(
            name="gguf", version=version("cyllama"), dtype=facts.dtype, max_len=self._max_len, device="cpu", batch=f"{budget} tokens",
            quantisation=facts.weights_type if facts.shape.quantised else None,
        )  # fmt: skip
        return Loaded(
            used=used, download_ns=0, load_ns=loaded - started, warmup_ns=time.perf_counter_ns() - loaded,
            weights_bytes=int(self._model.size), parameters=int(self._model.n_params), kv_bytes=kv_bytes,
            peak_bytes=psutil.Process().memory_info().rss, model_sha=facts.model_sha,
        )  # fmt: skip

    def _open(self, facts: ModelFacts, *, cells: int, kv: str, threads: int | None) -> None:
        llama.disable_logging()
        given = llama.LlamaContextParams()
        given.n_ctx, given.n_batch, given.n_ubatch, given.n_seq_max = cells, STEP_TOKENS, STEP_TOKENS, SEQUENCES + 1
        # One store for all sequences: only there may a token belong to several.
        given.kv_unified = given.swa_full = True
        given.type_k = given.type_v = KV[kv]
        given.flash_attn_type = -1 if kv == "float16" else 0  # which rounds to float16 on its way
        given.n_threads = given.n_threads_batch = threads_of(threads)
        try:
            self._model = _Model(path_model=str(facts.file), params=llama.LlamaModelParams())
            _check_kind(self._model, facts)
            self._context = llama.LlamaContext(model=self._model, params=given)
        except (ValueError, RuntimeError, OSError) as error:
            raise Invalid(f"{facts.file} cannot be loaded by llama.cpp: {words_of(error)}", code="model-broken") from error
        self._tokenizer = Tokenizer(self._model.get_vocab())
        if self._tokenizer.prefix_token is None:
            raise Invalid(f"the tokenizer of {facts.file} has neither a BOS nor an EOS token; name one", code="model-no-special-tokens")
        greedy = llama.LlamaSampler(llama.LlamaSamplerChainParams())
        greedy.add_greedy()
        batch = llama.LlamaBatch(n_tokens=STEP_TOKENS, embd=0, n_seq_max=SEQUENCES + 1)
        self._cells = Cells(self._context, batch, greedy, kv=kv)

    @property
    def _prefix_token(self) -> int:
        return self._tokenizer.prefix_token or 0

    def answer(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer]:
        """Answers, those that share a beginning together. Raises: Invalid."""
        texts = [request for request in requests if request.request_type == "generate_until"]
        scored = [request for request in requests if request.request_type != "generate_until"]
        reading = Reading(self._tokenizer.encode_all, self._prefix_token, self._max_len)
        whole = False
        try:
            for first in range(0, len(scored), WINDOW):
                for one in score(scored[first : first + WINDOW], reading, self._likelihoods.of):
                    assert isinstance(one, EngineAnswer)
                    yield one
            yield from self._generate(texts)
            whole = True
        finally:
            if not whole:
                self._cells.clear()

    def _generate(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer]:
        for request in requests:
            check_taken(request.generation, engine="gguf")
        tokens = [own or [self._prefix_token] for own in self._tokenizer.encode_all([request.context for request in requests])]
        eos = self._tokenizer.eos
        prompts = [prompt_of(request, own, eos=eos, max_len=self._max_len) for request, own in zip(requests, tokens, strict=True)]
        for number, written in self._texts.of(prompts):
            yield answer_of(requests[number], prompts[number], written, own=len(tokens[number]))

    def stream(self, *, input_tokens: int, output_tokens: int, seed: int) -> Iterator[int]:
        """Greedy tokens after a random prompt, one a step; yields how many came. The end-of-text token does not end it.

        Raises: Invalid where they do not fit into the model's window.
        """
        model_fitness.check_load(self._max_len, input_tokens=input_tokens, output_tokens=output_tokens)
        length = input_tokens
        tokens = np.random.default_rng(seed).integers(0, int(self._model.n_vocab), length).tolist()
        places = [Place(token, n, (1,), n == length - 1) for n, token in enumerate(tokens)]
        try:
            for position in range(length, length + output_tokens):
                newest = [self._cells.likeliest(number) for _, number in self._cells.run(places)]
                yield 1
                places = [Place(newest[0], position, (1,), True)]
        finally:
            self._cells.end([1])

    def close(self) -> None:
        """Gives the model's memory back."""
        for one in (self._context, self._model):
            with suppress(AttributeError):
                one.close()
        self._context = self._model = None


def _asked(options: Mapping[str, str], device: str) -> dict[str, Any]:
    """The options' values. Raises: Invalid for options and devices that there are not."""
    found = read_options("gguf", options)
    if device not in DEVICES:
        raise Invalid(f"engine gguf runs on the CPU, and this agent on {device}; give the model to another agent", code="engine-cannot")
    return found


def _cells(max_len: int, *, per_token: int, weights_bytes: int, tokens: int) -> int:
    """How many tokens' keys and values are kept: what the estimate says, one text of the whole window at least, in whole blocks."""
    most = model_memory.kv_bytes(per_token=per_token, max_len=max_len, weights_bytes=weights_bytes, tokens=tokens) // per_token
    return -(-max(max_len, most, STEP_TOKENS) // CELLS_A_BLOCK) * CELLS_A_BLOCK


def _check_kind(model: Any, facts: ModelFacts) -> None:
    """Raises: Invalid for models whose state is not made of tokens' keys and values: they cannot share a beginning by reference."""
    if model.has_encoder() or model.is_recurrent() or model.is_hybrid():
        raise Invalid(
            f"{facts.file} ({facts.shape.model_type}) has an encoder or a recurrent state, and engine gguf runs decoders with attention",
            code="engine-cannot",
        )
