"""Classifiers of the Hugging Face format: the log-likelihood of a label, after a text, is the logarithm of its probability.

Options: `labels` (`asked=model's,…`: what the model calls a label that a task asks for; without it `toxic` is also found as `toxicity`, in
capitals or not), `max_length` (tokens; less than the model's own), `threads` (of torch, on a CPU), `batch_tokens` (at once; else it finds
itself). A text that is too long loses its end, which is said.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import transformers

from gpu_agent.engines import overflow
from gpu_agent.engines.devices import give_back
from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Halved, Loaded
from gpu_agent.engines.lengths import by_length
from gpu_agent.engines.loading import loaded_as, prepared, read
from gpu_agent.engines.memory import Budget, budget_of, memory_errors
from schemas.requests import ModelRef
from streams.engines import read_options
from streams.errors import Invalid

# What a task calls a label → what models call it, in lower case.
SAME = {"toxic": ("toxic", "toxicity")}
SEVERAL = "multi_label_classification"


class Classifier:
    """One classifier in this process."""

    def __init__(self) -> None:
        self._model: Any = None
        self._tokenizer: Any = None
        self._device = torch.device("cpu")
        self._max_len = 0
        self._budget = Budget(1)
        self._numbers: dict[str, int] = {}
        self._named: dict[str, str] = {}

    def load(self, model: ModelRef, *, options: Mapping[str, str], device: str) -> Loaded:
        """Loads model and tokenizer and classifies nothing once. Raises: Invalid, Temporary where memory ran out."""
        asked = read_options("classifier", options)
        self._named = asked.get("labels", {})
        facts, self._device = prepared("classifier", model, threads=asked.get("threads"), device=device)
        started = time.perf_counter_ns()
        self._model, self._tokenizer = read(facts, model, kind=transformers.AutoModelForSequenceClassification, device=self._device)
        loaded = time.perf_counter_ns()
        self._numbers = {str(label): int(number) for number, label in self._model.config.id2label.items()}
        if len(self._numbers) < 2:
            raise Invalid(
                f"{facts.folder} has one output, which is no label; take a classifier of two labels or more", code="model-no-labels"
            )
        longest = min(facts.max_len, int(self._tokenizer.model_max_length))
        self._max_len = min(asked.get("max_length", longest), longest)
        self._budget = budget_of(self._model, self._device, asked=asked.get("batch_tokens"))
        with torch.inference_mode(), memory_errors():
            self._likelihoods([self._tokenizer("a")["input_ids"]])
        return loaded_as(
            "classifier", model, self._model, self._device, facts=facts, max_len=self._max_len, batch=self._budget.text,
            load_ns=loaded - started, warmup_ns=time.perf_counter_ns() - loaded,
        )  # fmt: skip

    def answer(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer | Halved]:
        """Answers; a text is classified once, whatever labels are asked of it. Raises: Invalid for a label that the model does not have."""
        wanted: dict[str, list[tuple[EngineRequest, int]]] = {}
        for request in requests:
            wanted.setdefault(request.context, []).append((request, self._number(request)))
        texts = list(wanted)
        tokens = self._tokenizer(texts)["input_ids"] if texts else []
        kept = self._tokenizer(texts, truncation=True, max_length=self._max_len)["input_ids"] if texts else []
        kept = [own or [self._begin] for own in kept]
        for batch in by_length(kept, self._likelihoods, budget=self._budget, device=self._device):
            if isinstance(batch, Halved):
                yield batch
                continue
            for number, row in batch:
                cut = len(tokens[number]) - len(kept[number])
                yield from (self._answer(request, row, label, len(kept[number]), max(0, cut)) for request, label in wanted[texts[number]])

    @property
    def _begin(self) -> int:
        """The token that stands for an empty text, where the tokenizer makes nothing of it."""
        told = (self._tokenizer.cls_token_id, self._tokenizer.bos_token_id, self._tokenizer.eos_token_id)
        return next((int(token) for token in told if token is not None), 0)

    def _likelihoods(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        """The logarithm of every label's probability, shape [rows, labels]: softmax of one label's kind, sigmoid where several may hold."""
        logits = self._model(torch.tensor(rows, dtype=torch.long, device=self._device)).logits
        overflow.check(logits, dtype=self._model.dtype)
        logits = logits.double()
        several = self._model.config.problem_type == SEVERAL
        return torch.nn.functional.logsigmoid(logits) if several else torch.log_softmax(logits, dim=-1)

    def _answer(self, request: EngineRequest, row: torch.Tensor, label: int, length: int, cut: int) -> EngineAnswer:
        likely = float(row[label])
        holds = likely > float(torch.log(torch.tensor(0.5))) if self._model.config.problem_type == SEVERAL else int(row.argmax()) == label
        reason = "truncated" if cut else "none"
        return EngineAnswer(request.index, request.draw, reason, length, loglikelihood=likely, is_greedy=holds, truncated_tokens=cut)

    def _number(self, request: EngineRequest) -> int:
        if request.request_type != "loglikelihood":
            raise Invalid(f"a classifier cannot answer {request.request_type}; it gives labels their likelihood", code="engine-cannot")
        asked = (request.continuation or "").strip()
        label = self._named.get(asked) or self._like(asked)
        if label not in self._numbers:
            known = ", ".join(self._numbers)
            raise Invalid(
                f"the classifier has no label {label!r}; it has {known}. Say which is meant: option labels={asked}=…", code="unknown-label"
            )
        return self._numbers[label]

    def _like(self, asked: str) -> str:
        """The model's own label of that name, or the only one that says the same; else what is asked, which it does not have."""
        alike = [own for own in self._numbers if own.lower() in SAME.get(asked, (asked,))]
        return alike[0] if asked not in self._numbers and len(alike) == 1 else asked

    def stream(self, *, input_tokens: int, output_tokens: int, seed: int) -> Iterator[int]:
        """Raises: Invalid."""
        raise Invalid("a classifier generates no tokens, so that their speed cannot be measured", code="engine-cannot")

    def close(self) -> None:
        """Gives the model's memory back."""
        self._model = self._tokenizer = None
        give_back(self._device)
