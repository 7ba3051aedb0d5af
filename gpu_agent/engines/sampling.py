"""Which tokens come next, for many texts at once: the likeliest, or what each draws from its own logits, as transformers draws it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from gpu_agent.engines.written import DEFAULTS


@dataclass(frozen=True, slots=True)
class Sampling:
    """From which of the tokens is drawn, and how evenly."""

    temperature: float
    top_k: int
    top_p: float

    @classmethod
    def told(cls, rest: Mapping[str, Any], config: Any) -> Self | None:
        """What a request's settings and the model's own say; None where the likeliest token is taken."""
        if not rest.get("do_sample"):
            return None
        said = {name: next(one for one in (rest.get(name), getattr(config, name, None), usual) if one is not None)
                for name, usual in DEFAULTS.items()}  # fmt: skip
        return cls(float(said["temperature"]), int(said["top_k"]), float(said["top_p"]))

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Of each token, [texts, vocabulary]. Source: transformers 5.19, GenerationMixin._get_logits_processor, in its order."""
        scores = logits.float()
        nothing = torch.empty(0, dtype=torch.long, device=logits.device)
        if self.temperature != 1.0:
            scores = TemperatureLogitsWarper(self.temperature)(nothing, scores)
        if self.top_k:
            scores = TopKLogitsWarper(self.top_k)(nothing, scores)
        if self.top_p < 1.0:
            scores = TopPLogitsWarper(self.top_p)(nothing, scores)
        return scores.softmax(-1)


@dataclass(frozen=True, slots=True)
class Dice:
    """How one text draws. What it draws depends on its seed alone, whatever is drawn beside it."""

    sampling: Sampling
    generator: torch.Generator

    @classmethod
    def of(cls, sampling: Sampling | None, *, seed: int, device: torch.device) -> Self | None:
        """Fresh dice; None for a text that draws nothing."""
        return cls(sampling, torch.Generator(device).manual_seed(seed)) if sampling else None


def chosen(logits: torch.Tensor, dice: Sequence[Dice | None]) -> list[int]:
    """The next token of each text: of the [texts, vocabulary] logits the likeliest, or what its dice draw."""
    tokens = [int(token) for token in logits.argmax(-1).tolist()]
    for sampling in {one.sampling for one in dice if one}:
        rows = [row for row, one in enumerate(dice) if one and one.sampling == sampling]
        for row, shares in zip(rows, sampling.probabilities(logits[rows]), strict=True):
            own = dice[row]
            assert own is not None
            tokens[row] = int(torch.multinomial(shares[None], 1, generator=own.generator))
    return tokens
