"""Texts by a model's own `generate`: what asks for more than the likeliest token, or one drawn, each step; and models with an encoder."""

from collections.abc import Sequence
from typing import Any

import torch
import transformers

from gpu_agent.engines import overflow
from gpu_agent.engines.stops import Stops
from gpu_agent.engines.thinking import Thought
from gpu_agent.engines.written import Prompt, Written


class Searched:
    """Generates with one model. `stops` are the ends of its texts."""

    def __init__(self, model: Any, tokenizer: Any, *, device: torch.device, stops: Stops) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._device = device
        self._stops = stops
        self._apart = bool(model.config.is_encoder_decoder)

    def of(self, prompts: Sequence[Prompt]) -> list[Written]:
        """The new tokens of each. Several go together only where they are of one length, ask for the same, and neither draw nor search.

        Raises: Permanent where the model's outputs are no numbers.
        """
        told = prompts[0]
        torch.manual_seed(told.seed)
        given = torch.tensor([prompt.tokens for prompt in prompts], device=self._device)
        # What a decoder writes begins behind the prompt; behind a token of its own, where an encoder has read the prompt.
        begin = 1 if self._apart else given.shape[1]
        writing = _Writing(prompts, self._tokenizer, self._stops, begin=begin)
        writing.begin()

        def forced(input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            overflow.check(scores, dtype=self._model.dtype)
            return writing.forced(input_ids, scores)

        pad = self._tokenizer.pad_token_id if self._tokenizer.pad_token_id is not None else self._tokenizer.eos_token_id
        rest = {name: value for name, value in told.told.rest.items() if name != "max_length"}
        whole = self._model.generate(
            input_ids=given, attention_mask=torch.ones_like(given), max_length=begin + told.limit, pad_token_id=pad,
            stopping_criteria=transformers.StoppingCriteriaList([writing.ended]),
            logits_processor=transformers.LogitsProcessorList([forced]), **rest,
        )  # fmt: skip
        return writing.whole(whole)


class _Writing:
    """Prompts' texts while they are written."""

    def __init__(self, prompts: Sequence[Prompt], tokenizer: Any, stops: Stops, *, begin: int) -> None:
        self._until = prompts[0].told.until
        self._stops = stops
        self._begin = begin
        self._texts = [Written(Thought(prompt.thinking, tokenizer)) for prompt in prompts]
        self._lengths: list[int | None] = [None] * len(prompts)

    def begin(self) -> None:
        """Now all of them go into the model."""
        for text in self._texts:
            text.moments.begin()

    def ended(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        """Which of the rows have ended. Of several beams the first one's stop text ends them all, for good: so lm-eval has it
        (MultiTokenEOSCriteria)."""
        each = len(input_ids) // len(self._texts)
        for number, text in enumerate(self._texts):
            text.moments.come()
            if self._lengths[number] is not None:
                continue
            first, thought = input_ids[number * each, self._begin :].tolist(), text.thought
            thought.see(first)
            filled = len(self._texts) > 1 and self._stops.is_end(first[-1])
            if filled or (not thought.is_open and self._stops.stopped(first[thought.ended :], self._until)):
                self._lengths[number] = len(first)
        over = torch.tensor([length is not None for length in self._lengths], device=input_ids.device)
        return over.repeat_interleave(each)

    def forced(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores of the next tokens; where thinking must end now, of its end alone."""
        token = self._texts[0].thought.forced(input_ids.shape[1] - self._begin)
        if token is None:
            return scores
        only = torch.full_like(scores, -torch.inf)
        only[:, token] = 0
        return only

    def whole(self, rows: torch.Tensor) -> list[Written]:
        """The texts; what fills rows behind an end, where others go on, is cut off."""
        alone = len(self._texts) == 1
        for text, length, row in zip(self._texts, self._lengths, rows[:, self._begin :].tolist(), strict=True):
            text.tokens.extend(row if alone else row[:length])
        return self._texts


def stops_of(model: Any, tokenizer: Any) -> Stops:
    """Where a model's texts end, by its own settings."""
    told = model.generation_config.eos_token_id
    ends = frozenset([told] if isinstance(told, int) else told or [])
    return Stops(tokenizer, is_end=ends.__contains__)
