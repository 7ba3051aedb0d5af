"""Log-likelihoods of continuations by vLLM, each token that many begin with computed once, by its cache of prefixes.

vLLM tells log-probabilities of a prompt only where it computes it, and by itself takes nothing from the cache then. Here it may, for only
the last tokens are wanted; where it took more than what comes before them, which it tells, it is asked again without the cache. The very
last token never goes through the model: it is asked for as the one that would be generated, so that requests that differ in nothing else
are one, and a window holds as many tokens as elsewhere.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from gpu_agent.engines import overflow
from gpu_agent.engines.prefix_tree import Tokens
from gpu_agent.engines.scored import Likelihood, Wanted
from gpu_agent.engines.vllm.steps import Steps

# Tokens that one request may ask for in the place of the generated one. Source: vLLM 0.32, sampling_params.py, MAX_LOGPROB_TOKEN_IDS.
MOST_LAST: Final = 128


@dataclass(slots=True)
class Row:
    """Tokens that go through the model, the last `count - 1` of them scored, and behind them each token of `last`, for these numbers."""

    tokens: Tokens
    count: int
    last: dict[int, list[int]] = field(default_factory=dict)
    began_ns: int = field(default_factory=time.perf_counter_ns)

    def asks(self, *, cached: bool) -> Mapping[str, Any]:
        """As vLLM's sampling parameters; `cached`: whether what is in its cache may be taken from there."""
        scored = {"prompt_logprobs": 0} if self.count > 1 else {}
        own = {"max_tokens": 1, "temperature": 0.0, "logprob_token_ids": list(self.last), "skip_reading_prefix_cache": not cached}
        return own | scored


class Likelihoods:
    """Scores sequences with one model of that dtype; `block`: how many tokens are cached together."""

    def __init__(self, steps: Steps, *, block: int, dtype: str) -> None:
        self._steps = steps
        self._block = block
        self._dtype = dtype

    def of(self, asked: Sequence[Wanted]) -> Iterator[tuple[int, Likelihood]]:
        """The likelihood of each, with its number, as they come. Raises: Permanent where one is no number."""
        waiting = {str(key): row for key, row in enumerate(_rows(asked))}
        with self._steps.whole():
            for key, row in waiting.items():
                self._steps.begin(key, row.tokens, **row.asks(cached=len(row.tokens) - row.count >= self._block))
            for output in self._steps.run():
                row = waiting[output.request_id]
                if row.count > 1 and output.num_cached_tokens > len(row.tokens) - row.count:
                    self._steps.begin(output.request_id, row.tokens, **row.asks(cached=False))
                else:
                    yield from _likelihoods(row, output, dtype=self._dtype)


def _rows(asked: Sequence[Wanted]) -> list[Row]:
    """What is asked as rows, in an order in which neighbours share much."""
    rows: dict[tuple[Tokens, int], list[Row]] = {}
    for number, one in enumerate(asked):
        alike = rows.setdefault((one.tokens, len(one.targets)), [Row(one.tokens, len(one.targets))])
        if len(alike[-1].last) == MOST_LAST and one.targets[-1] not in alike[-1].last:
            alike.append(Row(one.tokens, len(one.targets)))
        alike[-1].last.setdefault(one.targets[-1], []).append(number)
    return [row for key in sorted(rows) for row in rows[key]]


def _likelihoods(row: Row, output: Any, *, dtype: str) -> Iterator[tuple[int, Likelihood]]:
    """Of each number that the row is for; a token of rank 1 is the likeliest."""
    before = row.count - 1
    values = output.prompt_logprobs.logprobs[-before:] if before else []
    greedy = all(rank == 1 for rank in output.prompt_logprobs.ranks[-before:]) if before else True
    generated, told = output.outputs[0].token_ids[0], output.outputs[0].logprobs[0]
    for token, numbers in row.last.items():
        own = [*values, told[token].logprob]
        overflow.check_likelihoods(own, dtype=dtype)
        found = Likelihood(math.fsum(own), greedy and token == generated, np.asarray(own, "<f4").tobytes(), row.began_ns)
        yield from ((number, found) for number in numbers)
