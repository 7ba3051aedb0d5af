"""Language models saved as TensorFlow's SavedModels, on a CPU: likelihoods and texts, each text read whole.

Options: `max_length` (tokens; less than the model's own), `threads`, `batch_tokens` (at once).
"""

import time
from collections.abc import Iterator, Mapping, Sequence

import psutil
import tensorflow as tf

from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Loaded
from gpu_agent.engines.failures import words_of
from gpu_agent.engines.graphs.answering import Answering, tokenizer_of
from gpu_agent.engines.machine import check_memory, threads_of
from gpu_agent.engines.tensorflow.graph import Graph
from infra import model_fitness
from infra.models import inspect
from infra.settings import Settings
from infra.trust import HOW, trusted
from schemas.jobs import EngineUsed
from schemas.requests import ModelRef
from streams import model_memory
from streams.engines import check_model, read_options
from streams.errors import AssayError, Invalid


class TensorFlow:
    """One SavedModel in this process, which bears no second one: its threads are set once."""

    def __init__(self) -> None:
        self._answering: Answering

    def load(self, model: ModelRef, *, options: Mapping[str, str], device: str) -> Loaded:
        """Loads model and tokenizer and runs a few tokens. Raises: Invalid, Temporary where memory ran out."""
        asked = read_options("tensorflow", options)
        check_model("tensorflow", model)
        facts = inspect(model)
        model_fitness.check(facts, engine="tensorflow")
        if not trusted(model, Settings()):
            raise Invalid(
                f"{facts.folder} is a program of TensorFlow's, which runs only where it is trusted by {HOW}", code="model-own-code"
            )
        max_len = min(asked.get("max_length", facts.max_len), facts.max_len)
        budget = asked.get("batch_tokens", model_memory.TOKENS_AT_ONCE)
        check_memory(facts.weights_bytes)
        tf.config.threading.set_intra_op_parallelism_threads(threads_of(asked.get("threads")))
        assert facts.file is not None
        started = time.perf_counter_ns()
        try:
            graph = Graph(facts.file.parent)
            tokenizer, loaded = tokenizer_of(facts, trust=True), time.perf_counter_ns()
            self._answering = Answering("tensorflow", graph, facts, tokenizer, max_len=max_len, budget=budget, kept_bytes=0)
        except AssayError:
            raise
        except Exception as error:  # what it raises over a model's files is about this model
            told = f"{facts.file.parent} cannot be run by TensorFlow {tf.__version__}: {words_of(error)}"
            raise Invalid(told, code="model-broken") from error
        used = EngineUsed(
            name="tensorflow", version=tf.__version__, dtype=facts.dtype, max_len=max_len, batch=f"{budget} tokens", device="cpu"
        )
        return Loaded(
            used=used, download_ns=0, load_ns=loaded - started, warmup_ns=time.perf_counter_ns() - loaded,
            weights_bytes=facts.weights_bytes, parameters=graph.parameters or None, kv_bytes=0,
            peak_bytes=psutil.Process().memory_info().rss, model_sha=facts.model_sha,
        )  # fmt: skip

    def answer(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer]:
        """Answers. Raises: Invalid, OfAll, Temporary where memory ran out."""
        return self._answering.of(requests)

    def stream(self, *, input_tokens: int, output_tokens: int, seed: int) -> Iterator[int]:
        """Greedy tokens after a random prompt, one a step. Raises: Invalid where they do not fit into the model's window."""
        return self._answering.stream(input_tokens=input_tokens, output_tokens=output_tokens, seed=seed)

    def close(self) -> None:
        """Gives the model's memory back, with its process."""
        del self._answering
