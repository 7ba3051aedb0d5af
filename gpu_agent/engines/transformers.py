"""Models of the Hugging Face format through transformers and torch, on any device; the same values as lm-eval's HFLM, sooner.

Options: `max_length` (tokens; less than the model's own), `threads` (of torch, on a CPU), `batch_tokens` (at once; else it finds itself),
`compile` (`true`: by torch.compile).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from gpu_agent.engines.causality import check_causal
from gpu_agent.engines.compiling import compile_model
from gpu_agent.engines.devices import give_back
from gpu_agent.engines.encoder_decoder import PairLikelihoods, PairTexts, steps
from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Halved, Loaded
from gpu_agent.engines.generation import Texts
from gpu_agent.engines.likelihood import Likelihoods, keeping
from gpu_agent.engines.loading import Model, load, loaded_as, prepared
from gpu_agent.engines.memory import Budget, budget_of, memory_errors
from gpu_agent.engines.scored import Reading, score
from gpu_agent.engines.tokens import Tokens
from gpu_agent.engines.written import answer_of, prompt_of
from infra import model_fitness
from schemas.requests import ModelRef
from streams.engines import read_options

# Requests that are tokenised and laid out together: enough that their rows pack well, few enough that first answers are early.
WINDOW = 256


class Transformers:
    """One model in this process."""

    def __init__(self) -> None:
        self._model: Any = None
        self._tokenizer: Any = None
        self._device = torch.device("cpu")
        self._max_len = 0
        self._tokens: Tokens
        self._budget = Budget(1)
        self._apart = False
        self._likelihoods: Likelihoods | PairLikelihoods
        self._texts: Texts | PairTexts

    def load(self, model: ModelRef, *, options: Mapping[str, str], device: str) -> Loaded:
        """Loads model and tokenizer and runs a few tokens. Raises: Invalid, Temporary where memory ran out."""
        asked = read_options("transformers", options)
        facts, self._device = prepared("transformers", model, threads=asked.get("threads"), device=device)
        started = time.perf_counter_ns()
        whole = load(facts, model, device=self._device)
        self._model, self._tokenizer = whole.network, whole.tokenizer
        if compiled := asked.get("compile", False):
            with memory_errors():
                compile_model(self._model, device=self._device)
        loaded = time.perf_counter_ns()
        rows = _rows(self._model)
        self._tokens = Tokens(self._tokenizer, rows=rows, named=facts.folder)
        self._max_len = min(asked.get("max_length", facts.max_len), facts.max_len)
        self._budget = budget_of(self._model, self._device, asked=asked.get("batch_tokens"))
        self._apart = bool(self._model.config.is_encoder_decoder)
        (self._of_pairs if self._apart else self._of_one)(whole, rows=rows, named=str(facts.folder))
        return loaded_as(
            "transformers", model, self._model, self._device, facts=facts, max_len=self._max_len,
            batch=self._budget.text if self.sees_trees else "1", load_ns=loaded - started,
            warmup_ns=time.perf_counter_ns() - loaded, kv_bytes=facts.kv_bytes_per_token * self._max_len, compiled=compiled,
        )  # fmt: skip

    def _of_one(self, whole: Model, *, rows: int, named: str) -> None:
        """A decoder alone, which goes on from what it has read. Raises: Invalid where it sees what is still to come."""
        self._likelihoods = Likelihoods(self._model, device=self._device, budget=self._budget, roots=whole.roots)
        self._texts = Texts(self._model, self._tokenizer, device=self._device, budget=self._budget, roots=whole.roots)
        begin = self._tokens.prefix_token
        with memory_errors():
            check_causal(self._logits, begin=begin, vocabulary=rows, length=self._max_len, named=named)

    def _of_pairs(self, whole: Model, *, rows: int, named: str) -> None:
        """An encoder and a decoder; it says a token, as its first work."""
        self._likelihoods = PairLikelihoods(self._model, device=self._device, budget=self._budget)
        self._texts = PairTexts(self._model, self._tokenizer, device=self._device, budget=self._budget)
        with torch.inference_mode(), memory_errors():
            list(steps(self._model, np.array([self._tokens.prefix_token]), count=1, device=self._device))

    def _logits(self, rows: list[list[int]]) -> torch.Tensor:
        with torch.inference_mode():
            logits: torch.Tensor = self._model(torch.tensor(rows, device=self._device)).logits
        return logits.float()

    @property
    def network(self) -> Any:
        """The model's module."""
        return self._model

    @property
    def sees_trees(self) -> bool:
        """Whether what requests share is computed once."""
        return self._likelihoods.shares

    def answer(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer | Halved]:
        """Answers, those that share a beginning together. Raises: Temporary where memory ran out."""
        texts = [request for request in requests if request.request_type == "generate_until"]
        scored = [request for request in requests if request.request_type != "generate_until"]
        with torch.inference_mode(), memory_errors():
            for first in range(0, len(scored), WINDOW):
                reading = Reading(self._tokens.encode_all, self._tokens.prefix_token, self._max_len, self._apart)
                yield from score(scored[first : first + WINDOW], reading, self._likelihoods.of)
            yield from self._generate(texts)

    def _generate(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer | Halved]:
        found, eos = self._tokens.prompts([request.context for request in requests]), self._tokens.eos
        tokens = [own or [self._tokens.prefix_token] for own in found]
        prompts = [
            prompt_of(request, own, eos=eos, max_len=self._max_len, apart=self._apart)
            for request, own in zip(requests, tokens, strict=True)
        ]
        for one in self._texts.of(prompts):
            if isinstance(one, Halved):
                yield one
                continue
            number, written = one
            yield answer_of(requests[number], prompts[number], written, own=len(tokens[number]))

    def stream(self, *, input_tokens: int, output_tokens: int, seed: int) -> Iterator[int]:
        """Greedy tokens after a random prompt, one a step; yields how many came. The end-of-text token does not end it.

        Raises: Invalid where they do not fit into the model's window.
        """
        model_fitness.check_load(self._max_len, input_tokens=input_tokens, output_tokens=output_tokens)
        prompt = np.random.default_rng(seed).integers(0, self._tokens.size, input_tokens)
        with torch.inference_mode(), memory_errors():
            if self._apart:
                yield from steps(self._model, prompt, count=output_tokens, device=self._device)
                return
            kept = keeping(self._model, 1)
            token, cache = torch.tensor(prompt[np.newaxis], device=self._device), None
            for _ in range(output_tokens):
                out = self._model(token, past_key_values=cache, use_cache=True, **kept)
                token, cache = out.logits[:, -1:].argmax(-1), out.past_key_values
                token.tolist()  # waits for the device: a token has arrived when a reader could have it
                yield 1

    def close(self) -> None:
        """Gives the model's memory back."""
        self._model = self._tokenizer = None
        del self._likelihoods, self._texts
        give_back(self._device)


def _rows(network: Any) -> int:
    """How many tokens the model has embeddings and outputs for."""
    ends = (network.get_input_embeddings(), network.get_output_embeddings())
    # Quantised weights are packed, and have other shapes.
    told = [
        getattr(one, "num_embeddings", None) or getattr(one, "out_features", None) or len(one.weight) for one in ends if one is not None
    ]
    return min(map(int, told))
