"""Which token comes next, from one text's logits: as transformers chooses it, in its order, with numpy.

Source: transformers 5.19, GenerationMixin._get_logits_processor and generation/logits_process.py. Draws are numpy's, so that a seed gives
the same text here every time, and another one than transformers'.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from gpu_agent.engines.written import DEFAULTS, Prompt

Numbers = np.ndarray[Any, np.dtype[np.float64]]
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Dice:
    """How one text's tokens are chosen beyond taking the likeliest: by these arguments, and, where it draws, this generator."""

    told: Mapping[str, Any]
    generator: np.random.Generator
    prompt: Sequence[int]

    @classmethod
    def of(cls, prompt: Prompt, own: Mapping[str, Any] = NOTHING) -> Self | None:
        """Fresh dice; None where the likeliest token is taken as it is. `own`: the model's, where the request says nothing."""
        asked = {name: value for name, value in prompt.told.rest.items() if value is not None and name != "max_length"}
        told = {**own, **asked}
        if not told.pop("do_sample", False):
            told = {name: value for name, value in told.items() if name in ALTERING}
            return cls(told, np.random.default_rng(prompt.seed), prompt.tokens) if told else None
        return cls({**DEFAULTS, **told, "do_sample": True}, np.random.default_rng(prompt.seed), prompt.tokens)

    def chosen(self, logits: Numbers, tokens: Sequence[int], *, ends: Sequence[int]) -> int:
        """The next token behind these new ones; `ends` are the tokens that end a text."""
        scores = self._altered(logits, tokens, ends=ends)
        if not self.told.get("do_sample"):
            return int(scores.argmax())
        shares = np.cumsum(_shares(self._narrowed(scores)))
        return int(np.searchsorted(shares, self.generator.random() * shares[-1], side="right"))

    def _altered(self, scores: Numbers, tokens: Sequence[int], *, ends: Sequence[int]) -> Numbers:
        penalty, whole = float(self.told.get("repetition_penalty", 1.0)), [*self.prompt, *tokens]
        if penalty != 1.0:
            seen = np.unique(whole)
            scores[seen] = np.where(scores[seen] < 0, scores[seen] * penalty, scores[seen] / penalty)
        if size := int(self.told.get("no_repeat_ngram_size", 0)):
            scores[_repeating(whole, size)] = -np.inf
        if len(whole) < self.told.get("min_length", 0) or len(tokens) < self.told.get("min_new_tokens", 0):
            scores[list(ends)] = -np.inf
        scores[list(self.told.get("suppress_tokens", ()))] = -np.inf
        if not tokens:
            scores[list(self.told.get("begin_suppress_tokens", ()))] = -np.inf
        return scores

    def _narrowed(self, scores: Numbers) -> Numbers:
        scores = scores / float(self.told["temperature"])
        if (top_k := min(int(self.told["top_k"]), len(scores))) > 0:
            scores[scores < np.partition(scores, -top_k)[-top_k]] = -np.inf
        if (top_p := float(self.told["top_p"])) < 1.0:
            order = np.argsort(scores, kind="stable")
            out = np.cumsum(_shares(scores[order])) <= 1 - top_p
            out[-1] = False
            scores[order[out]] = -np.inf
        if min_p := float(self.told.get("min_p", 0.0)):
            shares = _shares(scores)
            scores[shares < min_p * shares.max()] = -np.inf
        return scores


# Arguments that alter which token is the likeliest.
ALTERING = frozenset({
    "repetition_penalty", "no_repeat_ngram_size", "min_length", "min_new_tokens", "suppress_tokens", "begin_suppress_tokens",
})  # fmt: skip


def _shares(scores: Numbers) -> Numbers:
    shares: Numbers = np.exp(scores - scores.max())
    shares /= shares.sum()
    return shares


def _repeating(tokens: Sequence[int], size: int) -> list[int]:
    """Tokens that would end an n-gram which is there already."""
    last = list(tokens[len(tokens) - size + 1 :]) if size > 1 else []
    return [tokens[n + size - 1] for n in range(len(tokens) - size + 1) if list(tokens[n : n + size - 1]) == last]
