"""Where a text that is being written ends: at a token that ends texts, at its limit, or with one of its stop texts."""

from collections.abc import Callable, Sequence
from typing import Any

from gpu_agent.engines.thinking import look_back
from gpu_agent.engines.written import Text


class Stops:
    """The ends of one tokenizer's texts. `is_end` says of a token whether it ends a text."""

    def __init__(self, tokenizer: Any, *, is_end: Callable[[int], bool]) -> None:
        self._tokenizer = tokenizer
        self.is_end = is_end
        self._spans: dict[tuple[str, ...], int] = {}

    def ended(self, text: Text[Any]) -> bool:
        """Whether the newest token ends the text, or completes one of its stop texts."""
        tokens, thought = text.written.tokens, text.written.thought
        if self.is_end(tokens[-1]) or len(tokens) >= text.prompt.limit:
            return True
        return not thought.is_open and self.stopped(tokens[thought.ended :], text.prompt.told.until)

    def stopped(self, tokens: Sequence[int], until: tuple[str, ...]) -> bool:
        """Whether the newest of these tokens hold one of the stop texts."""
        newest = self._tokenizer.decode(tokens[-self._span(until) :])
        return any(stop in newest for stop in until)  # an empty one at once, as in lm-eval

    def _span(self, until: tuple[str, ...]) -> int:
        if until not in self._spans:
            self._spans[until] = look_back(self._tokenizer, until)
        return self._spans[until]
