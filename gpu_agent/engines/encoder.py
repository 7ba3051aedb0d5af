"""Encoders of the Hugging Face format: how alike an answer is to its references, by the embeddings of their tokens (BERTScore).

A request's context is JSON, `{"answer": text, "references": [text, …]}`; the output is JSON too: `precision`, `recall` and `f1` of the
reference that the answer matches best. Options: `layer` (whose output the embeddings are; 0 is the input's embeddings; else the last),
`max_length` (tokens; less than the model's own), `threads` (of torch, on a CPU), `batch_tokens` (at once; else it finds itself). A text
that is too long loses its end, which is said.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from gpu_agent.engines import overflow
from gpu_agent.engines.devices import give_back
from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Halved, Loaded
from gpu_agent.engines.lengths import by_length
from gpu_agent.engines.loading import loaded_as, prepared, read
from gpu_agent.engines.matching import Embedded, best, embedded
from gpu_agent.engines.memory import Budget, budget_of, memory_errors
from schemas.requests import ModelRef
from streams.engines import read_options
from streams.errors import Invalid

# A model's last step for a whole text; many are stored without it, and nothing here asks for it.
UNUSED = "pooler."
# Embeddings that are held at a time: 256 MiB at 1,024 numbers a token.
HELD_TOKENS = 2**16


@dataclass(frozen=True, slots=True)
class Pair:
    """A request: the texts that it is about."""

    request: EngineRequest
    answer: str
    references: tuple[str, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """All of its texts."""
        return (self.answer, *self.references)


@dataclass(frozen=True, slots=True)
class Read:
    """A text as tokens; `own` tells those of the text from those that the tokenizer adds; `cut` tokens are left out at the end."""

    tokens: tuple[int, ...]
    own: tuple[bool, ...]
    cut: int


class Encoder:
    """One encoder in this process."""

    def __init__(self) -> None:
        self._model: Any = None
        self._tokenizer: Any = None
        self._device = torch.device("cpu")
        self._max_len = 0
        self._layer = 0
        self._budget = Budget(1)

    def load(self, model: ModelRef, *, options: Mapping[str, str], device: str) -> Loaded:
        """Loads model and tokenizer and encodes a text once. Raises: Invalid, Temporary where memory ran out."""
        asked = read_options("encoder", options)
        facts, self._device = prepared("encoder", model, threads=asked.get("threads"), device=device)
        started = time.perf_counter_ns()
        network, self._tokenizer = read(facts, model, kind=transformers.AutoModel, device=self._device, unused=UNUSED)
        self._model = network.get_encoder() if network.config.is_encoder_decoder else network
        loaded = time.perf_counter_ns()
        longest = min(facts.max_len, int(self._tokenizer.model_max_length))
        self._max_len = min(asked.get("max_length", longest), longest)
        self._budget = budget_of(self._model, self._device, asked=asked.get("batch_tokens"))
        layers = self._layers(facts.folder)
        self._layer = asked.get("layer", layers)
        if self._layer > layers:
            raise Invalid(f"option layer={self._layer}: {facts.folder} has {layers} layers; give 0 to {layers}", code="option")
        return loaded_as(
            "encoder", model, self._model, self._device, facts=facts, max_len=self._max_len, batch=self._budget.text,
            load_ns=loaded - started, warmup_ns=time.perf_counter_ns() - loaded,
        )  # fmt: skip

    def answer(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer | Halved]:
        """Answers; a text is encoded once for requests that go together. Raises: Invalid for a request that compares no texts."""
        pairs = [_pair(request) for request in requests]
        texts = self._read(list(dict.fromkeys(text for pair in pairs for text in pair.texts)))
        together, held = list[Pair](), 0
        for pair in pairs:
            tokens = sum(len(texts[text].tokens) for text in pair.texts)
            if together and held + tokens > HELD_TOKENS:
                yield from self._compared(together, texts)
                together, held = [], 0
            together.append(pair)
            held += tokens
        yield from self._compared(together, texts)

    def _read(self, texts: Sequence[str]) -> dict[str, Read]:
        if not texts:
            return {}
        stripped = [text.strip() for text in texts]
        whole = self._tokenizer(stripped)["input_ids"]
        kept = self._tokenizer(stripped, truncation=True, max_length=self._max_len, return_special_tokens_mask=True)
        rows = zip(texts, whole, kept["input_ids"], kept["special_tokens_mask"], strict=True)
        return {
            text: Read(tuple(tokens), tuple(not added for added in mask), max(0, len(every) - len(tokens)))
            for text, every, tokens, mask in rows
        }

    def _compared(self, pairs: Sequence[Pair], read_as: Mapping[str, Read]) -> Iterator[EngineAnswer | Halved]:
        texts = list(dict.fromkeys(text for pair in pairs for text in pair.texts))
        filled = [text for text in texts if read_as[text].tokens]
        nothing = Embedded(torch.empty(0, 0), torch.empty(0, dtype=torch.bool))
        found = dict.fromkeys(texts, nothing)
        for batch in by_length([read_as[text].tokens for text in filled], self._chosen, budget=self._budget, device=self._device):
            if isinstance(batch, Halved):
                yield batch
                continue
            found |= {filled[number]: embedded(states, read_as[filled[number]].own) for number, states in batch}
        for pair in pairs:
            match = best(found[pair.answer], [found[text] for text in pair.references]) if pair.references else None
            tokens, cut = (sum(told) for told in zip(*((len(read_as[one].tokens), read_as[one].cut) for one in pair.texts), strict=True))
            output, reason = json.dumps(asdict(match) if match else {}), "truncated" if cut else "none"
            yield EngineAnswer(pair.request.index, pair.request.draw, reason, tokens, output=output, truncated_tokens=cut)

    def _layers(self, folder: Path) -> int:
        """How many layers the model has, which it says by encoding a text. Raises: Invalid where it does not."""
        try:
            with torch.inference_mode(), memory_errors():
                return len(self._states([self._tokenizer("a")["input_ids"]])) - 1
        except (TypeError, ValueError, AttributeError) as error:
            raise Invalid(f"{folder} cannot encode a text: {error}; take a model that encodes texts", code="no-encoder") from error

    def _states(self, rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, ...]:
        """The outputs of the input's embeddings and of every layer, each of shape [rows, tokens, width]."""
        given = torch.tensor(rows, dtype=torch.long, device=self._device)
        return tuple(self._model(given, attention_mask=torch.ones_like(given), output_hidden_states=True).hidden_states)

    def _chosen(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        states = self._states(rows)[self._layer]
        overflow.check(states.abs(), dtype=states.dtype)
        return states.cpu()

    def stream(self, *, input_tokens: int, output_tokens: int, seed: int) -> Iterator[int]:
        """Raises: Invalid."""
        raise Invalid("an encoder generates no tokens, so that their speed cannot be measured", code="engine-cannot")

    def close(self) -> None:
        """Gives the model's memory back."""
        self._model = self._tokenizer = None
        give_back(self._device)


def _pair(request: EngineRequest) -> Pair:
    """Raises: Invalid, where the request does not ask to compare texts."""
    try:
        told = json.loads(request.context) if request.request_type == "generate_until" else None
    except ValueError:
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("answer"), str) or not isinstance(told.get("references"), list):
        raise Invalid(
            "an encoder compares an answer with its references, and answers no prompts: ask for task assay_judge_bertscore, without a chat "
            "template",
            code="engine-cannot",
        )
    return Pair(request, told["answer"], tuple(map(str, told["references"])))
