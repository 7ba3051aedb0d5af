"""Models of the Hugging Face format through vLLM, on GPUs and CPUs: likelihoods and texts, batched as they come, with a cache of prefixes.

Options: `max_length` (tokens; less than the model's own), `threads` (on a CPU), `batch_tokens` (a step's at most), `tensor_parallel_size`,
`pipeline_parallel_size`, `gpu_memory_utilization` (the share of a GPU that it takes), `enforce_eager` (`true`: no graphs are compiled).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
import transformers
import vllm

from gpu_agent.engines.adapters import TRIED_TOKENS, without_effect
from gpu_agent.engines.devices import peak_bytes
from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Halved, Loaded
from gpu_agent.engines.failures import is_lost
from gpu_agent.engines.loading import prepared, unloadable
from gpu_agent.engines.memory import memory_errors
from gpu_agent.engines.scored import Reading, Wanted, score
from gpu_agent.engines.tokens import Tokens
from gpu_agent.engines.vllm.arguments import Asked, arguments_of, asked
from gpu_agent.engines.vllm.likelihood import Likelihoods
from gpu_agent.engines.vllm.opening import adapter_of, check_device, opened
from gpu_agent.engines.vllm.steps import Steps
from gpu_agent.engines.vllm.texts import Texts
from gpu_agent.engines.written import answer_of, prompt_of
from infra import model_fitness
from infra.models import ModelFacts
from infra.settings import Settings
from infra.trust import trusted
from schemas.jobs import EngineUsed
from schemas.requests import ModelRef
from streams.errors import AssayError
from streams.quality.generation import check, check_taken

# Requests for likelihoods that are laid out together: enough that vLLM's batches stay full, few enough that first answers are early.
WINDOW: Final = 1024


class Vllm:
    """One model in this process, which bears no second one."""

    def __init__(self) -> None:
        self._engine: Any = None
        self._tokens: Tokens
        self._max_len = 0
        self._steps: Steps
        self._likelihoods: Likelihoods
        self._texts: Texts

    def load(self, model: ModelRef, *, options: Mapping[str, str], device: str) -> Loaded:
        """Loads model and tokenizer and runs a few tokens. Raises: Invalid, Temporary where memory ran out."""
        told = asked(options)
        facts, on = prepared("vllm", model, threads=told.threads, device=device, parts=told.parts)
        check_device(on)
        model = model.model_copy(update={"trust_code": trusted(model, Settings())})
        self._max_len = min(told.max_length or facts.max_len, facts.max_len)
        started = time.perf_counter_ns()
        with _about(facts, trust=model.trust_code):
            self._open(facts, model, told, device=on)
            loaded = time.perf_counter_ns()
            self._try(facts)
        config = self._engine.vllm_config
        used = EngineUsed(
            name="vllm", version=vllm.__version__.partition("+")[0], dtype=facts.dtype, quantisation=config.model_config.quantization,
            max_len=self._max_len, device=str(on), batch=f"{config.scheduler_config.max_num_batched_tokens} tokens",
            tp=told.tensor, pp=told.pipeline, compile=not config.model_config.enforce_eager,
        )  # fmt: skip
        blocks, size = config.cache_config.num_gpu_blocks or 0, config.cache_config.block_size
        return Loaded(
            used=used, download_ns=0, load_ns=loaded - started, warmup_ns=time.perf_counter_ns() - loaded,
            weights_bytes=facts.weights_bytes, parameters=facts.parameters or None, model_sha=facts.model_sha,
            kv_bytes=blocks * size * facts.kv_bytes_per_token or None, peak_bytes=_peak_bytes(on, parts=told.parts),
        )  # fmt: skip

    def _open(self, facts: ModelFacts, model: ModelRef, options: Asked, *, device: torch.device) -> None:
        beside = facts.tokenizer_folder or facts.folder
        tokenizer = transformers.AutoTokenizer.from_pretrained(beside, trust_remote_code=model.trust_code)
        arguments = arguments_of(facts, model, options, max_len=self._max_len, on_cpu=device.type == "cpu")
        self._engine = opened(arguments, device=device)
        told = self._engine.model_config
        self._tokens = Tokens(tokenizer, rows=told.get_vocab_size(), named=beside)
        if (adapter := adapter_of(facts)) is not None:
            self._engine.add_lora(adapter)
        config = transformers.GenerationConfig.from_model_config(told.hf_config)
        if (facts.folder / "generation_config.json").exists():
            config = transformers.GenerationConfig.from_pretrained(facts.folder)
        self._steps = Steps(self._engine, adapter)
        self._likelihoods = Likelihoods(self._steps, block=self._engine.vllm_config.cache_config.block_size, dtype=facts.dtype)
        self._texts = Texts(self._steps, tokenizer, config, max_len=self._max_len)

    def _try(self, facts: ModelFacts) -> None:
        """Runs a few tokens. Raises: Invalid where the adapter changes nothing of what comes of them, Permanent where that is no number."""
        length = min(TRIED_TOKENS, self._max_len)
        tokens = tuple((17 * n * n + 5 * n) % self._tokens.size for n in range(length + 1))
        tried = [Wanted(tokens[:-1], tokens[1:], 0)]
        found, plain = (list(Likelihoods(one, block=length, dtype=facts.dtype).of(tried)) for one in (self._steps, Steps(self._engine)))
        if facts.adapter is not None and found == plain:
            raise without_effect(facts.adapter, base=facts.folder)

    def answer(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer | Halved]:
        """Answers, those that share a beginning together. Raises: Invalid, OfAll, Temporary where memory ran out."""
        texts = [request for request in requests if request.request_type == "generate_until"]
        scored = [request for request in requests if request.request_type != "generate_until"]
        reading = Reading(self._tokens.encode_all, self._tokens.prefix_token, self._max_len)
        with memory_errors():
            for first in range(0, len(scored), WINDOW):
                yield from score(scored[first : first + WINDOW], reading, self._likelihoods.of)
            yield from self._generate(texts)

    def _generate(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer]:
        for request in requests:
            check(request.generation)
            check_taken(request.generation, engine="vllm")
        tokens, eos = self._tokens.prompts([request.context for request in requests]), self._tokens.eos
        whole = [own or [self._tokens.prefix_token] for own in tokens]
        prompts = [prompt_of(request, own, eos=eos, max_len=self._max_len) for request, own in zip(requests, whole, strict=True)]
        for number, written in self._texts.of(prompts):
            yield answer_of(requests[number], prompts[number], written, own=len(whole[number]))

    def stream(self, *, input_tokens: int, output_tokens: int, seed: int) -> Iterator[int]:
        """Greedy tokens after a random prompt, one a step; yields how many came. The end-of-text token does not end it.

        Raises: Invalid where they do not fit into the model's window.
        """
        model_fitness.check_load(self._max_len, input_tokens=input_tokens, output_tokens=output_tokens)
        prompt = np.random.default_rng(seed).integers(0, self._tokens.size, input_tokens).tolist()
        with memory_errors(), self._steps.whole():
            # What another load left in the cache would be measured as if it had been computed.
            self._steps.begin("stream", prompt, max_tokens=output_tokens, ignore_eos=True, temperature=0.0, skip_reading_prefix_cache=True)
            for output in self._steps.run():
                yield len(output.outputs[0].token_ids)

    def close(self) -> None:
        """Ends vLLM's engine; its process gives the memory back."""
        self._engine.engine_core.shutdown()
        self._engine = None


@contextmanager
def _about(facts: ModelFacts, *, trust: bool) -> Iterator[None]:
    """What vLLM raises while it loads is about this model. Raises: Invalid, Temporary where memory ran out."""
    try:
        with memory_errors():
            yield
    except AssayError:
        raise
    except Exception as error:  # whatever its checks raise
        if is_lost(error):
            raise
        raise unloadable(error, facts, trust=trust) from error


def _peak_bytes(device: torch.device, *, parts: int) -> int | None:
    """Memory that was taken at most; not known where it is spread over processes."""
    if parts > 1:
        return None
    return peak_bytes(device)
