"""Requests as tokens, exactly as lm-eval's HFLM makes them: where context ends, how rolling windows lie, when generation stops.

Source: lm-eval 0.4.13, api/model.py (TemplateLM._encode_pair, loglikelihood), utils.py (get_rolling_token_windows,
make_disjoint_window), models/utils.py (normalize_gen_kwargs, handle_stop_sequences, postprocess_generated_text).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streams.errors import Invalid
from streams.quality.generation import DEFAULT_GENERATED, LENGTHS, fractions, told_length

# Texts, and whether special tokens are added (None: the tokenizer's own way).
EncodeAll = Callable[[list[str], bool | None], list[list[int]]]


@dataclass(frozen=True, slots=True)
class Scored:
    """Tokens to condition on, and tokens whose likelihood is wanted."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]


def encode_pairs(pairs: Sequence[tuple[str, str]], *, encode_all: EncodeAll, prefix_token: int) -> list[Scored]:
    """Contexts and continuations as tokens. Trailing spaces of a context belong to the continuation; no context is the prefix token.

    So is one of nothing but spaces, of which the tokenizer makes no token: lm-eval ends there by an assertion, for models whose texts begin
    with no token of their own. Raises: Invalid for a continuation that has no token: nothing has no likelihood. (Another assertion.)
    """
    kept = [context.rstrip() for context, _ in pairs]
    texts = dict.fromkeys(text for one, pair in zip(kept, pairs, strict=True) if pair[0] for text in (one, "".join(pair)))
    tokens = dict(zip(texts, encode_all(list(texts), None), strict=True))
    alone = dict.fromkeys(continuation for context, continuation in pairs if not context)
    tokens_alone = dict(zip(alone, encode_all(list(alone), False), strict=True))
    scored = [
        _split(tokens[one], tokens["".join(pair)], prefix_token) if pair[0] else _begun(tokens_alone[pair[1]], prefix_token)
        for one, pair in zip(kept, pairs, strict=True)
    ]
    return _checked(scored)


def encode_apart(pairs: Sequence[tuple[str, str]], *, encode_all: EncodeAll, prefix_token: int) -> list[Scored]:
    """As `encode_pairs`, for an encoder that reads the context and a decoder that says the continuation: tokens of each by itself, of the
    continuation without special ones. Raises: Invalid for a continuation that has no token."""
    kept = [context.rstrip() for context, _ in pairs]
    said = [context[len(one) :] + continuation for one, (context, continuation) in zip(kept, pairs, strict=True)]
    contexts, continuations = list(dict.fromkeys(kept)), list(dict.fromkeys(said))
    tokens = dict(zip(contexts, encode_all(contexts, None), strict=True))
    tokens_said = dict(zip(continuations, encode_all(continuations, False), strict=True))
    scored = [
        Scored(tuple(tokens[one] or [prefix_token]), tuple(tokens_said[text])) if pair[0] else _begun(tokens_said[text], prefix_token)
        for one, text, pair in zip(kept, said, pairs, strict=True)
    ]
    return _checked(scored)


def _checked(scored: list[Scored]) -> list[Scored]:
    if not all(one.continuation for one in scored):
        raise Invalid("an answer whose likelihood is asked has no token: nothing has none; give it a text", code="no-token")
    return scored


def _split(first: list[int], whole: list[int], prefix_token: int) -> Scored:
    if not first:
        return _begun(whole, prefix_token)
    return Scored(tuple(first), tuple(whole[len(first) :]))


def _begun(tokens: list[int], prefix_token: int) -> Scored:
    if tokens[:1] == [prefix_token]:
        return Scored(tuple(tokens[:1]), tuple(tokens[1:]))
    return Scored((prefix_token,), tuple(tokens))


def rolling(tokens: Sequence[int], *, prefix_token: int, max_len: int) -> Iterator[Scored]:
    """Disjoint windows over a text's tokens, each with as much before it as fits; together they score every token once."""
    if not tokens:
        return
    first = min(max_len, len(tokens))
    yield Scored((prefix_token,), tuple(tokens[:first]))
    done = first
    while done < len(tokens):
        length = min(len(tokens) - done, max_len)
        end = done + length
        before = tokens[end - max_len - 1 : end - 1]
        yield Scored(tuple(before[: len(before) - (length - 1)]), tuple(tokens[done:end]))
        done = end


@dataclass(frozen=True, slots=True)
class Generation:
    """How to generate: texts that stop it, how many tokens at most, and what else the model's `generate` is told."""

    until: tuple[str, ...]
    max_tokens: int
    rest: Mapping[str, Any] = field(default_factory=dict)


def generation(told: Mapping[str, Any], *, eos: str) -> Generation:
    """A request's `generation_kwargs`, normalised; greedy unless a temperature above 0 or `do_sample` says otherwise."""
    rest = dict(told)
    until = rest.pop("until", None)
    until = [until] if isinstance(until, str) else list(until or ())
    length = told_length(told)
    temperature = float(rest.get("temperature") or 0.0)
    rest["do_sample"] = bool(rest["do_sample"]) if rest.get("do_sample") is not None else temperature > 0
    if not rest["do_sample"]:
        rest.pop("temperature", None)
    return Generation(
        tuple(until) if not eos or eos in until else (*until, eos), DEFAULT_GENERATED if length is None else length,
        fractions({name: value for name, value in rest.items() if name not in LENGTHS}),
    )  # fmt: skip


def cut(text: str, until: Sequence[str]) -> str:
    """The text up to the first of the stop texts."""
    for stop in until:
        if stop:
            text = text.split(stop, maxsplit=1)[0]
    return text
