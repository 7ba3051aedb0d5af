"""Texts by vLLM, many at once: it batches them as they come and go; where each ends is seen here, as for every engine."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from gpu_agent.engines.stops import Stops
from gpu_agent.engines.thinking import Thought
from gpu_agent.engines.vllm.sampling import params_of
from gpu_agent.engines.vllm.steps import Steps
from gpu_agent.engines.written import Prompt, Text, Written


class Texts:
    """Generates with one model; `config` is its own way of generating, `max_len` its window."""

    def __init__(self, steps: Steps, tokenizer: Any, config: Any, *, max_len: int) -> None:
        self._steps = steps
        self._tokenizer = tokenizer
        self._config = config
        self._max_len = max_len
        ends = config.eos_token_id
        self._ends = frozenset([ends] if isinstance(ends, int) else ends or [])
        self._stops = Stops(tokenizer, is_end=self._ends.__contains__)

    def of(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Written]]:
        """Each prompt's new tokens, with its number, as they come. Raises: OfAll."""
        together: dict[object, Text[None]] = {}
        for number, prompt in enumerate(prompts):
            drawn = prompt.seed if prompt.samples else None
            same = (prompt.tokens, prompt.told.until, prompt.limit, prompt.thinking, json.dumps(prompt.told.rest, sort_keys=True), drawn)
            text = together.setdefault(same, Text(prompt, [], Written(Thought(prompt.thinking, self._tokenizer)), None))
            text.waiting.append(number)
        waiting = {str(key): text for key, text in enumerate(sorted(together.values(), key=lambda text: text.prompt.tokens))}
        with self._steps.whole():
            for key, text in waiting.items():
                yield from self._on(key, text, [], finished=True)
            for output in self._steps.run():
                yield from self._on(output.request_id, waiting[output.request_id], output.outputs[0].token_ids, finished=output.finished)

    def _on(self, key: str, text: Text[None], tokens: Sequence[int], *, finished: bool) -> Iterator[tuple[int, Written]]:
        """Goes on with a text by these tokens; `finished`: vLLM has nothing under way for it."""
        if self._ended(text, tokens):
            self._steps.end(key)
            yield from ((number, text.written) for number in text.waiting)
        elif finished:
            self._begin(key, text)

    def _begin(self, key: str, text: Text[None]) -> None:
        """Goes on with the text, as far as its tokens for thinking go where it has some left."""
        text.written.moments.begin()
        written, thinking = len(text.written.tokens), text.prompt.thinking
        most = thinking.tokens if thinking else None
        limit = self._limit(text) - written
        if most is not None and text.written.thought.is_open and written < most:
            limit = min(limit, most - written)
        told = params_of(text.prompt, self._config, ends=self._ends, written=written, limit=limit)
        self._steps.begin(key, (*text.prompt.tokens, *text.written.tokens), **told)

    def _ended(self, text: Text[None], tokens: Sequence[int]) -> bool:
        """Writes the tokens, and what must come behind them; whether the text is over."""
        for token in tokens:
            if self._over(text, token):
                return True
        while (forced := text.written.thought.forced(len(text.written.tokens))) is not None:
            if self._over(text, forced):
                return True
        return False

    def _over(self, text: Text[None], token: int) -> bool:
        text.write(token)
        return self._stops.ended(text) or len(text.written.tokens) >= self._limit(text)

    def _limit(self, text: Text[None]) -> int:
        """New tokens at most: what is asked for, as far as the window goes."""
        return min(text.prompt.limit, self._max_len - len(text.prompt.tokens))
