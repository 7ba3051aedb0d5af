"""Texts that a model is to write: the prompt of each, the text as it grows, and the answer that comes of it. No library of models here."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Thinking
from gpu_agent.engines.prefix_tree import Tokens
from gpu_agent.engines.prompts import Generation, cut, generation
from gpu_agent.engines.thinking import Thought
from streams.errors import Invalid
from streams.quality.generation import check, check_model, check_window, told_length

D = TypeVar("D")
# What a request may set of sampling, with what transformers takes where neither request nor model says it.
DEFAULTS: Final[Mapping[str, float]] = {"temperature": 1.0, "top_k": 50, "top_p": 1.0}


@dataclass(frozen=True, slots=True)
class Prompt:
    """Tokens to go on from, and how; `limit`: new tokens at most."""

    tokens: Tokens
    told: Generation
    limit: int
    seed: int
    thinking: Thinking | None = None

    @property
    def is_plain(self) -> bool:
        """Whether every token follows from its own logits: the likeliest, or drawn from them."""
        return self.told.rest.keys() <= {"do_sample", "max_length", *DEFAULTS}

    @property
    def samples(self) -> bool:
        """Whether tokens are drawn."""
        return bool(self.told.rest.get("do_sample"))


@dataclass(slots=True)
class Moments:
    """When a text's prompt went into the model, and when its first token was there; None: not yet."""

    began_ns: int | None = None
    first_ns: int | None = None

    def begin(self) -> None:
        """Now its prompt goes in, if it has not yet."""
        self.began_ns = self.began_ns or time.perf_counter_ns()

    def come(self) -> None:
        """Now a token is there."""
        self.first_ns = self.first_ns or time.perf_counter_ns()


@dataclass(frozen=True, slots=True)
class Written:
    """New tokens, where their thinking ends, and when they came."""

    thought: Thought
    tokens: list[int] = field(default_factory=list)
    moments: Moments = field(default_factory=Moments, compare=False)


@dataclass(frozen=True, slots=True)
class Text(Generic[D]):
    """A prompt's text as it grows; `waiting` are the numbers of the requests that want it, `dice` what it draws by."""

    prompt: Prompt
    waiting: list[int]
    written: Written
    dice: D | None

    def write(self, token: int) -> None:
        """Goes on by the token that was chosen, or by the one that must come."""
        tokens, thought = self.written.tokens, self.written.thought
        self.written.moments.come()
        forced = thought.forced(len(tokens))
        tokens.append(token if forced is None else forced)
        thought.see(tokens)


def prompt_of(request: EngineRequest, tokens: Sequence[int], *, eos: str, max_len: int, apart: bool = False) -> Prompt:
    """A request's prompt, its beginning cut off where it leaves no room in the window of `max_len` tokens.

    `apart`: an encoder reads the prompt, and a decoder writes: each has a window of its own. Raises: Invalid.
    """
    check(request.generation)
    told = generation(request.generation, eos=eos)
    limit = told.max_tokens + (request.thinking.tokens or 0 if request.thinking else 0)
    check_model(told.rest, encoder_decoder=apart, thinks=request.thinking is not None)
    check_window({"max_length": told.rest.get("max_length")}, window=max_len)
    room = max_len - limit
    if room <= 0 and told.rest.get("max_length") is not None and told_length(request.generation) is None:
        room = max_len  # nobody asked for so many: max_length says how long prompt and answer are together
    if room <= 0:
        raise Invalid(
            f"{limit} tokens are to be generated, and the model's length is {max_len}; give a max_gen_toks below that", code="too-long"
        )
    kept = tuple(tokens[-max_len if apart else -room :])
    if told.rest.get("max_length") is not None:
        limit = _rest_of(int(told.rest["max_length"]), prompt=1 if apart else len(kept))
    return Prompt(kept, told, limit, request.seed, request.thinking)


def answer_of(request: EngineRequest, prompt: Prompt, written: Written, *, own: int) -> EngineAnswer:
    """The answer that a written text is; `own`: how many tokens the request has itself."""
    parts = written.thought.part(written.tokens)
    reason = "length" if len(written.tokens) >= prompt.limit else "stop"
    return EngineAnswer(
        request.index, request.draw, reason if parts.answer is not None else "thinking", len(prompt.tokens),
        output=cut(parts.answer, prompt.told.until) if parts.answer is not None else None, reasoning=parts.reasoning,
        output_tokens=len(written.tokens), reasoning_tokens=parts.reasoning_tokens,
        truncated_tokens=own - len(prompt.tokens), error=parts.error, began_ns=written.moments.began_ns, first_ns=written.moments.first_ns,
    )  # fmt: skip


def _rest_of(max_length: int, *, prompt: int) -> int:
    """How many tokens are left behind a prompt, of a length that counts it too. Raises: Invalid where none is."""
    if max_length <= prompt:
        raise Invalid(
            f"generation argument max_length {max_length} counts the prompt too, which has {prompt} tokens; give max_gen_toks, which "
            "counts new tokens alone", code="generation",
        )  # fmt: skip
    return max_length - prompt
