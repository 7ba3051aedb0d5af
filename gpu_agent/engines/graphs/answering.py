"""Requests answered by a model that is a graph: likelihoods with shared beginnings, texts, loads. What it bears is tried first."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import transformers

from gpu_agent.engines.causality import check_causal
from gpu_agent.engines.engine import EngineAnswer, EngineRequest
from gpu_agent.engines.failures import words_of
from gpu_agent.engines.graphs.bearing import Bears, tried
from gpu_agent.engines.graphs.graph import Graph
from gpu_agent.engines.graphs.likelihood import Likelihoods
from gpu_agent.engines.graphs.roots import Room, Roots
from gpu_agent.engines.graphs.slots import slots_of
from gpu_agent.engines.graphs.texts import Texts
from gpu_agent.engines.scored import Reading, score
from gpu_agent.engines.tokens import Tokens
from gpu_agent.engines.written import answer_of, prompt_of
from infra import model_fitness
from infra.model_files import read_json
from infra.models import ModelFacts
from streams import model_memory
from streams.errors import Invalid
from streams.quality.generation import check_taken

# Requests that are laid out together: enough that rows pack well, few enough that first answers are early.
WINDOW: Final = 256
LOGIT_BYTES: Final = 4
# Keys and values that rows have copies of, as a share of the weights: a step reads weights once, and copies go by several times.
COPIED_RATIO: Final = 0.25


class Answering:
    """One model of engine `engine`, with a window of `max_len` tokens, of which `budget` go through at once."""

    def __init__(
        self, engine: str, graph: Graph, facts: ModelFacts, tokenizer: Any, *, max_len: int, budget: int, kept_bytes: int
    ) -> None:  # fmt: skip
        """Runs a few tokens, by which all else is set up; `kept_bytes`: room for keys and values.

        Raises: Invalid where the model is none that engine runs, and whatever the graph raises.
        """
        self._engine, self._graph, self._max_len = engine, graph, max_len
        vocabulary = self._logits([[0]]).shape[-1]
        self._tokens = Tokens(tokenizer, rows=min(vocabulary, facts.shape.vocabulary or vocabulary), named=facts.folder)
        named = str(facts.file or facts.folder)
        check_causal(self._logits, begin=self._tokens.prefix_token, vocabulary=self._tokens.size, length=max_len, named=named)
        self.bears: Bears = tried(graph, vocabulary=self._tokens.size, rough=facts.shape.quantised or facts.dtype != "float32")
        logits = model_memory.scored_at_once(vocabulary, LOGIT_BYTES)
        # A graph that keeps nothing has room for all.
        per_token, none = facts.kv_bytes_per_token, model_memory.TOKENS_AT_ONCE**2
        kept, copied = (size // per_token if per_token else none for size in (kept_bytes, int(facts.weights_bytes * COPIED_RATIO)))
        self._room = Room(budget, logits, kept, copied)
        told: dict[str, Any] = {"roots": Roots(graph, self.bears, self._room), "room": self._room, "dtype": facts.dtype}
        self._likelihoods = Likelihoods(graph, self.bears, **told)
        self._texts = Texts(graph, self.bears, tokenizer, _own(facts), engine=engine, **told)

    def _logits(self, rows: list[list[int]]) -> Any:
        return self._graph.run(np.array(rows, np.int64))[0]

    def of(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer]:
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
            check_taken(request.generation, engine=self._engine)
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
        roots = Roots(self._graph, self.bears, self._room)
        slots, _ = slots_of(self._graph, self.bears, roots, [prompt], most=min(self._room.logits, self._room.tokens))
        token = int(slots.begin([prompt]).argmax())
        yield 1
        for _ in range(output_tokens - 1):
            token = int(slots.step([token]).argmax())
            yield 1


def tokenizer_of(facts: ModelFacts, *, trust: bool) -> Any:
    """The folder's tokenizer. Raises: Invalid where it cannot be read."""
    try:
        return transformers.AutoTokenizer.from_pretrained(facts.folder, trust_remote_code=trust)
    except Exception as error:  # whatever the library raises over a tokenizer's files, and the model's own code, is about this model
        raise Invalid(f"the tokenizer of {facts.folder} cannot be read: {words_of(error)}", code="model-broken") from error


def _own(facts: ModelFacts) -> SimpleNamespace:
    """How the model generates by itself: its generation_config.json, else what its configuration says of it, as in transformers."""
    told = facts.folder / "generation_config.json"
    return SimpleNamespace(**read_json(told if told.exists() else facts.folder / "config.json"))
