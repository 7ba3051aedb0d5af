"""Language models through MLX: likelihoods with shared beginnings, and texts, on Apple's GPUs, or a CPU.

Options: `max_length` (tokens; less than the model's own), `batch_tokens` (at once).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import mlx.core as mx
import psutil
from mlx.utils import tree_flatten
from mlx_lm import __version__ as version
from mlx_lm.utils import load_model

from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Loaded
from gpu_agent.engines.failures import is_out_of_memory, words_of
from gpu_agent.engines.graphs.answering import Answering, tokenizer_of
from gpu_agent.engines.machine import check_memory
from gpu_agent.engines.mlx.graph import Graph
from infra import model_fitness
from infra.models import ModelFacts, inspect
from infra.settings import Settings
from infra.trust import trusted
from schemas.jobs import EngineUsed
from schemas.requests import ModelRef
from streams import model_memory
from streams.engines import check_model, read_options
from streams.errors import AssayError, Invalid, Temporary

DEVICES: Final[Mapping[str, Any]] = {"cpu": mx.cpu, "mps": mx.gpu}


class Mlx:
    """One model in this process."""

    def __init__(self) -> None:
        self._graph: Graph
        self._answering: Answering

    def load(self, model: ModelRef, *, options: Mapping[str, str], device: str) -> Loaded:
        """Loads model and tokenizer and runs a few tokens. Raises: Invalid, Temporary where memory ran out."""
        asked, on = read_options("mlx", options), _device(device)
        check_model("mlx", model)
        facts = inspect(model)
        model_fitness.check(facts, engine="mlx")
        max_len = min(asked.get("max_length", facts.max_len), facts.max_len)
        budget = asked.get("batch_tokens", model_memory.TOKENS_AT_ONCE)
        kept = model_memory.kv_bytes(per_token=facts.kv_bytes_per_token, max_len=max_len, weights_bytes=facts.weights_bytes, tokens=budget)
        check_memory(facts.weights_bytes + kept)
        trust, started = trusted(model, Settings()), time.perf_counter_ns()
        try:
            network, config = load_model(facts.folder, trust_remote_code=trust)
            if model.dtype is not None:
                network.set_dtype(getattr(mx, model.dtype))
            self._graph = Graph(network, dtype=getattr(mx, facts.dtype))
            tokenizer, loaded = tokenizer_of(facts, trust=trust), time.perf_counter_ns()
            self._answering = Answering("mlx", self._graph, facts, tokenizer, max_len=max_len, budget=budget, kept_bytes=kept)
        except AssayError:
            raise
        except Exception as error:  # what it raises over a model's files is about this model
            raise _unloadable(facts, error) from error
        used = EngineUsed(
            name="mlx", version=version, dtype=facts.dtype, max_len=max_len, batch=f"{budget} tokens", device=on,
            quantisation=_quantised(config),
        )  # fmt: skip
        numbers = [array for _, array in tree_flatten(network.parameters())]
        return Loaded(
            used=used, download_ns=0, load_ns=loaded - started, warmup_ns=time.perf_counter_ns() - loaded,
            weights_bytes=sum(array.nbytes for array in numbers), parameters=facts.parameters or None,
            kv_bytes=facts.kv_bytes_per_token * max_len, peak_bytes=_peak_bytes(on), model_sha=facts.model_sha,
        )  # fmt: skip

    def answer(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer]:
        """Answers, those that share a beginning together. Raises: Invalid, OfAll, Temporary where memory ran out."""
        return self._answering.of(requests)

    def stream(self, *, input_tokens: int, output_tokens: int, seed: int) -> Iterator[int]:
        """Greedy tokens after a random prompt, one a step. Raises: Invalid where they do not fit into the model's window."""
        return self._answering.stream(input_tokens=input_tokens, output_tokens=output_tokens, seed=seed)

    def close(self) -> None:
        """Gives the model's memory back."""
        del self._answering, self._graph
        mx.clear_cache()


def _device(wanted: str) -> str:
    """The wanted device, from now on MLX's; for `auto` Apple's GPU where there is one. Raises: Invalid where MLX is here without it."""
    name = ("mps" if mx.metal.is_available() else "cpu") if wanted == "auto" else wanted
    if name not in DEVICES or (name == "mps" and not mx.metal.is_available()):
        raise Invalid(
            f"MLX is here without {wanted}; give the model to another agent, or start this one with ASSAY_DEVICE=cpu", code="engine-cannot"
        )
    mx.set_default_device(DEVICES[name])
    return name


def _quantised(config: Mapping[str, Any]) -> str | None:
    """How the weights are, as MLX's own settings say it: `mlx 4 bits`."""
    told = config.get("quantization")
    return f"mlx {told['bits']} bits" if isinstance(told, dict) and "bits" in told else None


def _peak_bytes(device: str) -> int:
    return int(mx.get_peak_memory()) if device == "mps" else int(psutil.Process().memory_info().rss)


def _unloadable(facts: ModelFacts, error: Exception) -> AssayError:
    if is_out_of_memory(error):
        return Temporary(f"out of memory: {words_of(error)}", code="out-of-memory")
    return Invalid(f"{facts.folder} cannot be run by MLX {version}: {words_of(error)}", code="model-broken")
