"""Requests whose likelihood is wanted: what goes through a model for each, and the answer that comes of it. No library of models here."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Halved
from gpu_agent.engines.prefix_tree import Tokens
from gpu_agent.engines.prompts import EncodeAll, Scored, encode_apart, encode_pairs, rolling


@dataclass(frozen=True, slots=True)
class Wanted:
    """Input tokens, and the tokens whose likelihood is wanted behind the last of them; `truncated` tokens were cut off on the left, of
    which `lost` are such whose likelihood is wanted. `apart`: the input is an encoder's, and the targets are said after all of it."""

    tokens: Tokens
    targets: Tokens
    truncated: int
    lost: int = 0
    apart: bool = False

    @property
    def asked(self) -> int:
        """How many tokens of the request the model has."""
        return len(self.tokens) + (len(self.targets) if self.apart else 1)


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Log-likelihood in nats, whether each token is the likeliest, and each token's own as float32 bytes.

    `began_ns`: when the model began with it, and with all that it read together; None where the engine cannot say.
    """

    total: float
    greedy: bool
    tokens: bytes
    began_ns: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a model reads: its tokenizer, the token that begins a text, and its window in tokens. `apart`: by an encoder and a decoder, each
    with such a window."""

    encode_all: EncodeAll
    prefix_token: int
    max_len: int
    apart: bool = False


# The likelihood of each, with its number, as they come.
Of = Callable[[Sequence[Wanted]], Iterator[tuple[int, Likelihood] | Halved]]


def wanted(scored: Scored, *, max_len: int, apart: bool = False) -> Wanted:
    """What goes through the model: the pair without its last token, its beginning cut off where it is too long; or each part by itself."""
    if apart:
        tokens, targets = scored.context[-max_len:], scored.continuation[-max_len:]
        lost = len(scored.continuation) - len(targets)
        return Wanted(tokens, targets, len(scored.context) - len(tokens) + lost, lost, apart)
    whole = scored.context + scored.continuation
    tokens = whole[-(max_len + 1) :][:-1]
    count = min(len(scored.continuation), len(tokens))
    lost = len(scored.continuation) - count
    return Wanted(tokens, scored.continuation[lost:], len(whole) - 1 - len(tokens), lost)


def score(requests: Sequence[EngineRequest], reading: Reading, of: Of) -> Iterator[EngineAnswer | Halved]:
    """The requests' answers, from the likelihoods that `of` gives."""
    several = _wanted(requests, reading)
    whose = [number for number, parts in enumerate(several) for _ in parts]
    found: dict[int, list[Likelihood]] = {number: [] for number in range(len(requests))}
    yield from (_answer(requests[number], [], []) for number, parts in enumerate(several) if not parts)
    for one in of([part for parts in several for part in parts]):
        if isinstance(one, Halved):
            yield one
            continue
        number = whose[one[0]]
        found[number].append(one[1])
        if len(found[number]) == len(several[number]):
            yield _answer(requests[number], several[number], found[number])


def _wanted(requests: Sequence[EngineRequest], reading: Reading) -> list[list[Wanted]]:
    """What must be scored to answer each: a pair, or the windows over a text."""
    pairs = [(request.context, request.continuation or "") for request in requests if request.request_type == "loglikelihood"]
    texts = [request.context for request in requests if request.request_type != "loglikelihood"]
    scored = iter(
        (encode_apart if reading.apart else encode_pairs)(pairs, encode_all=reading.encode_all, prefix_token=reading.prefix_token)
    )
    tokens = iter(reading.encode_all(texts, None))
    return [
        [wanted(one, max_len=reading.max_len, apart=reading.apart) for one in (
            [next(scored)] if request.request_type == "loglikelihood"
            else rolling(next(tokens), prefix_token=reading.prefix_token, max_len=reading.max_len)
        )]
        for request in requests
    ]  # fmt: skip


def _answer(request: EngineRequest, parts: Sequence[Wanted], found: Sequence[Likelihood]) -> EngineAnswer:
    """The answer; a text's windows add up, and only a pair's own tokens are told one by one. One cut off itself has no likelihood."""
    total, greedy = math.fsum(one.total for one in found), all(one.greedy for one in found)
    began_ns = min((one.began_ns for one in found if one.began_ns is not None), default=None)
    if request.request_type != "loglikelihood":
        prompt_tokens = sum(len(part.targets) for part in parts)
        return EngineAnswer(request.index, request.draw, "none", prompt_tokens, loglikelihood=total, is_greedy=greedy, began_ns=began_ns)
    part = parts[0]
    if part.lost:
        return EngineAnswer(
            request.index, request.draw, "truncated", part.asked, truncated_tokens=part.truncated,
            error=f"the answer to be scored has {len(part.targets) + part.lost} tokens, and the model's window {len(part.targets)}: its "
            "likelihood is not known; take a model with a longer window", began_ns=began_ns,
        )  # fmt: skip
    return EngineAnswer(
        request.index, request.draw, "truncated" if part.truncated else "none", part.asked, loglikelihood=total,
        is_greedy=greedy, token_logprobs=found[0].tokens, truncated_tokens=part.truncated, began_ns=began_ns,
    )  # fmt: skip
