"""Models of an encoder and a decoder (T5, BART and their kin): the encoder reads a context, the decoder says what follows from it.

They are read as lm-eval's HFLM reads them (its backend seq2seq): the context has the tokenizer's own special tokens, what is scored has
none; of a text without a context, and of the windows of a whole text, the encoder sees one token. A context is read once for all that is
said after it. Source: lm-eval 0.4.13, models/huggingface.py (_loglikelihood_tokens, generate_until).
"""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from transformers.modeling_outputs import BaseModelOutput

from gpu_agent.engines.engine import Halved
from gpu_agent.engines.lengths import by_length
from gpu_agent.engines.likelihood import likelihoods_of
from gpu_agent.engines.memory import Budget
from gpu_agent.engines.prefix_tree import Tokens
from gpu_agent.engines.scored import Likelihood, Wanted
from gpu_agent.engines.searched import Searched, stops_of
from gpu_agent.engines.written import Prompt, Written
from infra.model_shapes import shape_of
from streams.model_memory import scored_at_once


class PairLikelihoods:
    """Scores continuations with one model."""

    def __init__(self, model: Any, *, device: torch.device, budget: Budget) -> None:
        self._model = model
        self._device = device
        self._budget = budget
        self._most = scored_at_once(shape_of(model.config.to_dict()).vocabulary, int(model.dtype.itemsize))

    @property
    def shares(self) -> bool:
        """Whether what requests share is computed once: a context is."""
        return True

    def of(self, asked: Sequence[Wanted]) -> Iterator[tuple[int, Likelihood] | Halved]:
        """The likelihood of each, with its number, as they come; where memory runs out, smaller batches go on. Raises: Temporary."""
        numbers: dict[Tokens, list[int]] = {}
        for number, one in enumerate(asked):
            numbers.setdefault(one.tokens, []).append(number)
        contexts = list(numbers)
        targets = {tokens: [asked[number].targets for number in several] for tokens, several in numbers.items()}
        for batch in by_length(contexts, partial(self._scored, targets), budget=self._budget, device=self._device):
            if isinstance(batch, Halved):
                yield batch
                continue
            for place, found in batch:
                yield from zip(numbers[contexts[place]], found, strict=True)

    def _scored(self, targets: dict[Tokens, list[Tokens]], contexts: Sequence[Sequence[int]]) -> list[list[Likelihood]]:
        """Of contexts of one length, each with the likelihoods of all that is said after it."""
        given = torch.tensor(contexts, device=self._device)
        states = self._model.get_encoder()(input_ids=given, attention_mask=torch.ones_like(given)).last_hidden_state
        pairs = [(row, one) for row, tokens in enumerate(contexts) for one in targets[tuple(tokens)]]
        longest = max(len(one) for _, one in pairs)
        at_once = max(1, min(self._budget.tokens // (given.shape[1] + longest), self._most // longest))
        found: list[list[Likelihood]] = [[] for _ in contexts]
        for first in range(0, len(pairs), at_once):
            now = pairs[first : first + at_once]
            for (row, _), likelihood in zip(now, self._said(states[[row for row, _ in now]], [one for _, one in now]), strict=True):
                found[row].append(likelihood)
        return found

    def _said(self, states: torch.Tensor, targets: Sequence[Tokens]) -> list[Likelihood]:
        """The likelihood of each row's targets after its states, of shape [rows, tokens, width]."""
        began_ns = time.perf_counter_ns()
        longest = max(map(len, targets))
        before = torch.zeros(len(targets), longest, dtype=torch.long, device=self._device)  # what fills it up stands behind all that counts
        for row, one in enumerate(targets):
            before[row, : len(one)] = self._before(one)
        seen = torch.ones(states.shape[:2], dtype=torch.long, device=self._device)
        read = BaseModelOutput(last_hidden_state=states)
        logits = self._model(encoder_outputs=read, attention_mask=seen, decoder_input_ids=before, use_cache=False).logits
        places = [list(range(row * longest, row * longest + len(one))) for row, one in enumerate(targets)]
        return likelihoods_of(logits.flatten(0, 1), places, targets, began_ns=began_ns)

    def _before(self, targets: Tokens) -> torch.Tensor:
        """What stands before each target: the others, behind what the model begins with, which some families find in the targets."""
        if hasattr(self._model, "prepare_decoder_input_ids_from_labels"):
            shifted: torch.Tensor = self._model.prepare_decoder_input_ids_from_labels(torch.tensor([targets], device=self._device))[0]
            return shifted
        return torch.tensor([start_of(self._model), *targets[:-1]], device=self._device)


class PairTexts:
    """Generates with one model."""

    def __init__(self, model: Any, tokenizer: Any, *, device: torch.device, budget: Budget) -> None:
        self._device = device
        self._budget = budget
        self._searched = Searched(model, tokenizer, device=device, stops=stops_of(model, tokenizer))
        self._beams = int(model.generation_config.num_beams or 1)

    def of(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Written] | Halved]:
        """Each prompt's new tokens, with its number, as they come; where memory runs out, fewer at once go on. Raises: Temporary."""
        together: dict[object, list[int]] = {}
        for number, prompt in enumerate(prompts):
            alone = prompt.samples or prompt.thinking or int(prompt.told.rest.get("num_beams") or self._beams) > 1
            same = number if alone else (prompt.told.until, prompt.limit, repr(sorted(prompt.told.rest.items())))
            together.setdefault(same, []).append(number)
        for numbers in together.values():
            tokens = [prompts[number].tokens for number in numbers]
            for batch in by_length(tokens, partial(self._written, prompts[numbers[0]]), budget=self._budget, device=self._device):
                yield from [batch] if isinstance(batch, Halved) else ((numbers[place], written) for place, written in batch)

    def _written(self, told: Prompt, rows: Sequence[Sequence[int]]) -> list[Written]:
        return self._searched.of([Prompt(tuple(row), told.told, told.limit, told.seed, told.thinking) for row in rows])


def steps(model: Any, tokens: np.ndarray, *, count: int, device: torch.device) -> Iterator[int]:
    """Greedy tokens after a prompt, one a step; yields how many came."""
    given = torch.tensor(tokens[np.newaxis], device=device)
    seen = torch.ones_like(given)
    read = model.get_encoder()(input_ids=given, attention_mask=seen)
    token = torch.full((1, 1), start_of(model), device=device)
    cache = None
    for _ in range(count):
        out = model(encoder_outputs=read, attention_mask=seen, decoder_input_ids=token, past_key_values=cache, use_cache=True)
        token, cache = out.logits[:, -1:].argmax(-1), out.past_key_values
        token.tolist()  # waits for the device: a token has arrived when a reader could have it
        yield 1


def start_of(model: Any) -> int:
    """The token that a decoder begins with. Source: transformers 5.19, GenerationMixin._prepare_special_tokens."""
    told = (getattr(settings, "decoder_start_token_id", None) for settings in (model.generation_config, model.config))
    return next((int(token) for token in (*told, model.generation_config.bos_token_id) if token is not None), 0)
