"""Log-likelihoods of prompts as servers tell them: which of the tokens are an answer's, and where those of its context end.

With the server's tokenizer here, tokens are sent, cut and split as lm-eval's local-completions does it: all is as in our own engines.
Without it texts are sent, and the server is asked how many tokens a context has alone, by which lm-eval splits; but a text without a
context then has no token before it, so that its first one has no likelihood, and windows over a long text cannot be laid.

Source: lm-eval 0.4.13, models/openai_completions.py (_create_payload, parse_logprobs), models/api_models.py (batch_loglikelihood_requests);
vLLM 0.32, v1/engine/logprobs.py: of a prompt's token its own log-probability comes first.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from gpu_agent.engines.engine import EngineAnswer, EngineRequest
from gpu_agent.engines.failures import words_of
from gpu_agent.engines.scored import Likelihood, Wanted
from gpu_agent.engines.served.client import Client
from streams.errors import Invalid

ROUNDING: Final = 1e-3  # by which a likelihood of 1 may lie above it
PATH: Final = "/v1/completions"
Prompt = str | Sequence[int]


@dataclass(frozen=True, slots=True)
class Told:
    """A token's log-probability in nats, None for one that has nothing before it, and whether it is the likeliest."""

    logprob: float | None
    greedy: bool


@dataclass(frozen=True, slots=True)
class Way:
    """A way in which a server tells a prompt's log-probabilities: what asks for them, and the tokens of the prompt in its answer."""

    asks: Mapping[str, Any]
    tokens: Callable[[Mapping[str, Any]], list[Told]]

    def reads(self, told: Mapping[str, Any]) -> bool:
        """Whether the answer has them: of every token but the first."""
        try:
            found = self.tokens(told)
        except (LookupError, TypeError, ValueError, AttributeError):
            return False
        return len(found) > 1 and all(one.logprob is not None for one in found[1:])


def _echoed(told: Mapping[str, Any]) -> list[Told]:
    """Behind the prompt's tokens comes the one that had to be generated."""
    choice = told["choices"][0]["logprobs"]
    own, likeliest = choice["token_logprobs"], choice["top_logprobs"]
    usage = told.get("usage") or {}
    length = usage["prompt_tokens"] if usage.get("prompt_tokens") else len(own) - 1
    if length > len(own):
        raise ValueError("the answer does not hold its prompt")
    values = [_logprob(one) for one in own]
    told_of = zip(values, likeliest, strict=True)
    return [Told(one, one is not None and one >= max((top or {}).values(), default=one)) for one, top in told_of][:length]


def _beside(told: Mapping[str, Any]) -> list[Told]:
    found = [next(iter((one or {}).values()), None) for one in told["choices"][0]["prompt_logprobs"]]
    return [Told(_logprob(one["logprob"]), one["rank"] == 1) if one else Told(None, False) for one in found]


def _logprob(told: object) -> float | None:
    """A log-probability as it was told; None for none. Raises: ValueError for what is none."""
    if told is None:
        return None
    if isinstance(told, bool) or not isinstance(told, int | float) or not math.isfinite(told) or told > ROUNDING:
        raise ValueError(f"{str(told)[:40]} is no log-probability, which is 0 or less")
    return float(told)


BY: Final[Mapping[str, Way]] = {
    "echo": Way({"echo": True, "logprobs": 1}, _echoed), "prompt_logprobs": Way({"prompt_logprobs": 1}, _beside),
}  # fmt: skip


class Likelihoods:
    """Asks one server's model, by the way that it was found to have."""

    def __init__(self, client: Client, model: str, *, by: str) -> None:
        self._client = client
        self._model = model
        self._way = BY[by]

    def of(self, several: Sequence[Wanted]) -> Iterator[tuple[int, Likelihood]]:
        """The likelihood of each row of tokens, with its number, as they come."""
        return self._client.each(self._scored, several)

    def _scored(self, one: Wanted) -> Likelihood:
        began_ns = time.perf_counter_ns()
        return replace(_sum(self._tokens((*one.tokens, one.targets[-1]))[-len(one.targets) :]), began_ns=began_ns)

    def of_texts(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer]:
        """The requests' answers, their texts sent as they are. Raises: Invalid for what cannot be known without the tokenizer."""
        for request in requests:
            _check(request)
        contexts = list(dict.fromkeys(request.context.rstrip() for request in requests))
        counts = {contexts[number]: count for number, count in self._client.each(lambda text: len(self._tokens(text)), contexts)}
        for number, answer in self._client.each(lambda one: self._answered(one, counts[one.context.rstrip()]), requests):
            assert answer.index == requests[number].index
            yield answer

    def _answered(self, request: EngineRequest, context_tokens: int) -> EngineAnswer:
        began_ns = time.perf_counter_ns()
        tokens = self._tokens(request.context + (request.continuation or ""))
        if len(tokens) <= context_tokens:
            raise Invalid("an answer whose likelihood is asked has no token: nothing has none; give it a text", code="no-token")
        found = _sum(tokens[context_tokens:])
        return EngineAnswer(
            request.index, request.draw, "none", len(tokens), loglikelihood=found.total, is_greedy=found.greedy,
            token_logprobs=found.tokens, began_ns=began_ns, ended_ns=time.perf_counter_ns(),
        )  # fmt: skip

    def _tokens(self, prompt: Prompt) -> list[Told]:
        told = self._client.post(PATH, {"model": self._model, "prompt": prompt, "max_tokens": 1, "temperature": 0.0, **self._way.asks}).told
        try:
            return self._way.tokens(told)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise Invalid(
                f"{self._client.base} tells the likelihoods of this prompt in a form that is not understood: {words_of(error)}",
                code="server-cannot",
            ) from error


def _check(request: EngineRequest) -> None:
    if request.request_type != "loglikelihood" or not request.context.rstrip():
        what = "the likelihood of a text without a context" if request.request_type == "loglikelihood" else "the likelihood of a whole text"
        raise Invalid(
            f"{what} wants a token before its first, which only the model's tokenizer tells: give --option tokenizer=FOLDER, of the model "
            "that is served", code="no-tokenizer",
        )  # fmt: skip


def _sum(tokens: Sequence[Told]) -> Likelihood:
    """Raises: Invalid where one of the tokens has no log-probability."""
    values = [one.logprob for one in tokens if one.logprob is not None]
    if len(values) < len(tokens):
        raise Invalid("the server tells no log-probability of the first token; give --option tokenizer=FOLDER", code="no-tokenizer")
    return Likelihood(math.fsum(values), all(one.greedy for one in tokens), np.asarray(values, "<f4").tobytes())
