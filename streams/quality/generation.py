"""Generation arguments, as lm-eval and transformers call them: which there are, what each takes, and which exclude each other.

No library of models is needed for it, so that a request is refused before anything runs, by the same words as an engine would use.
Source: lm-eval 0.4.13, models/utils.py, normalize_gen_kwargs; transformers 5.19, GenerationConfig (what generates without code of others,
and gives one text to a request). A test holds the names against both.
"""

import difflib
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from streams.engines import kind_of
from streams.errors import Invalid
from streams.once import once

# Names of one thing, the first of those given counts.
LENGTHS: Final = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
DEFAULT_GENERATED: Final = (
    256  # tokens of an answer at most, where nothing says it. Source: lm-eval 0.4.13, models/huggingface.py, max_gen_toks
)
LONGEST_QUOTE: Final = 80
# What one request may take of an agent: its memory and time go with both, and others wait behind it.
LONGEST_TEXT: Final = 1_000_000
MOST_BEAMS: Final = 64
MOST_BIAS: Final = 10_000  # a logit and it are a number in float16 too
USUAL: Final = ("until", "max_gen_toks", "do_sample", "temperature", "top_k", "top_p", "num_beams")
# What people write for it elsewhere → what is meant here.
ELSEWHERE: Final = {"stop": "until", "stop_strings": "until", "stop_sequences": "until", "n": "repeats of the task",
                    "num_return_sequences": "repeats of the task", "seed": "seeds of the task"}  # fmt: skip
Takes = tuple[str, Callable[[Any], bool]]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list | tuple) and all(isinstance(one, str) for one in value))


def _token(value: Any) -> bool:
    return _whole(value) and value >= 0


def _tokens(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(map(_token, value))


def _pair_of(first: Callable[[Any], bool], second: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and len(value) == 2 and first(value[0]) and second(value[1])


def _each(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and bool(value) and all(map(holds, value))


ABOVE_0: Final[Takes] = ("a number above 0", lambda value: _number(value) and value > 0)
PENALTY: Final[Takes] = ("a number from 0.001 to 1000", lambda value: _number(value) and 0.001 <= value <= 1000)
FACTOR: Final[Takes] = ("a number from -1000 to 1000", lambda value: _number(value) and abs(value) <= 1000)
SHARE: Final[Takes] = ("a number above 0, at most 1", lambda value: _number(value) and 0 < value <= 1)
PART: Final[Takes] = ("a number from 0 to 1", lambda value: _number(value) and 0 <= value <= 1)
BELOW_1: Final[Takes] = ("a number from 0, below 1", lambda value: _number(value) and 0 <= value < 1)
MOST_TOKENS: Final[Takes] = (
    f"a whole number, 1 or more, at most {LONGEST_TEXT:,}",
    lambda value: _whole(value) and 1 <= value <= LONGEST_TEXT,
)
BEAMS: Final[Takes] = (f"a whole number from 1 to {MOST_BEAMS}", lambda value: _whole(value) and 1 <= value <= MOST_BEAMS)
COUNT_OR_0: Final[Takes] = (
    f"a whole number, 0 or more, at most {LONGEST_TEXT:,}",
    lambda value: _whole(value) and 0 <= value <= LONGEST_TEXT,
)
FLAG: Final[Takes] = ("true or false", lambda value: isinstance(value, bool))
TOKEN: Final[Takes] = ("a token's id, 0 or more", _token)
TOKENS: Final[Takes] = ("a list of token ids, each 0 or more", _tokens)
TOKEN_OR_TOKENS: Final[Takes] = ("a token's id or a list of them, each 0 or more", lambda value: _token(value) or _tokens(value))
WORDS: Final[Takes] = ("a list of words, each a list of token ids: [[12, 7], [3]]", _each(_tokens))
BIASES: Final[Takes] = (
    f"a list of token ids, each list with its bias, from -{MOST_BIAS:,} to {MOST_BIAS:,}: [[[12, 7], -1.5]]",
    _each(_pair_of(_tokens, lambda value: _number(value) and abs(value) <= MOST_BIAS)),
)
DECAY: Final[Takes] = ("where it begins and a factor: [20, 1.05]", _pair_of(_token, lambda value: _number(value) and 0 < value <= 1000))
ARGUMENTS: Final[Mapping[str, Takes]] = {
    **dict.fromkeys((*LENGTHS, "max_length"), MOST_TOKENS),
    **dict.fromkeys(("min_length", "min_new_tokens", "no_repeat_ngram_size", "top_k"), COUNT_OR_0),
    **dict.fromkeys(("do_sample", "renormalize_logits", "remove_invalid_values", "use_cache"), FLAG),
    **dict.fromkeys(("top_p", "typical_p", "top_h"), SHARE),
    **dict.fromkeys(("epsilon_cutoff", "eta_cutoff"), BELOW_1),
    "min_p": PART,
    **dict.fromkeys(("repetition_penalty", "encoder_repetition_penalty"), PENALTY),
    **dict.fromkeys(("length_penalty", "guidance_scale"), FACTOR),
    **dict.fromkeys(("suppress_tokens", "begin_suppress_tokens"), TOKENS),
    **dict.fromkeys(("eos_token_id", "forced_eos_token_id"), TOKEN_OR_TOKENS),
    "forced_bos_token_id": TOKEN,
    "bad_words_ids": WORDS,
    "sequence_bias": BIASES,
    "exponential_decay_length_penalty": DECAY,
    "max_time": ABOVE_0,
    "num_beams": BEAMS,
    "until": ("a text or a list of texts", _texts),
    "temperature": ("0, or a number from 0.001 to 1000", lambda value: _number(value) and (value == 0 or 0.001 <= value <= 1000)),
    "early_stopping": ('true, false or "never"', lambda value: isinstance(value, bool) or value == "never"),
}  # fmt: skip
OF_TOKENS: Final = frozenset(name for name, takes in ARGUMENTS.items() if takes in (TOKEN, TOKENS, TOKEN_OR_TOKENS, WORDS, BIASES))
# Of which transformers takes no whole number, though it is one.
FRACTIONS: Final = frozenset({"temperature", *(name for name, takes in ARGUMENTS.items() if takes in (PENALTY, SHARE, BELOW_1, PART))})
# What is never said, or not at first.
BARRING: Final = ("suppress_tokens", "begin_suppress_tokens")
# Values that leave a text as it is.
NEUTRAL: Final[Mapping[str, Any]] = {
    "num_beams": 1, "encoder_repetition_penalty": 1.0, "length_penalty": 1.0, "early_stopping": False, "guidance_scale": 1.0,
    "typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0,
}  # fmt: skip


def arguments(text: str) -> dict[str, Any]:
    """The generation arguments that a JSON text gives, checked. Raises: Invalid, saying what to change."""
    try:
        told = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise Invalid(
            f"generation arguments {_quoted(text)} are no JSON ({error}); give an object, as " + '{"max_gen_toks": 64}', code="generation"
        ) from error
    if not isinstance(told, dict):
        raise Invalid(f"generation arguments {_quoted(text)} are no JSON object; give one, as " + '{"max_gen_toks": 64}', code="generation")
    try:
        json.dumps(told, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Invalid("generation arguments hold half of a letter (a lone surrogate): write the letter, or leave it out",
                      code="generation") from error  # fmt: skip
    check(told)
    return told


def check(told: Mapping[str, Any]) -> None:
    """Raises: Invalid for an argument that there is not, a value that it does not take, or arguments that exclude each other."""
    for name, value in told.items():
        if name not in ARGUMENTS:
            raise Invalid(f"there is no generation argument {_quoted(name)}; {_meant(name)}", code="generation")
        takes, holds = ARGUMENTS[name]
        if value is not None and not holds(value):
            raise Invalid(f"generation argument {name} is {_quoted(value)}; give {takes}", code="generation")
    lengths = {name: told[name] for name in LENGTHS if told.get(name) is not None}
    if len(set(lengths.values())) > 1:
        said = " and ".join(f"{name}={value}" for name, value in lengths.items())
        raise Invalid(f"{said} are names of one thing, the most tokens of an answer, and only {next(iter(lengths))} would count: keep one",
                      code="generation")  # fmt: skip
    if told.get("do_sample") and told.get("temperature") == 0:
        raise Invalid(
            "do_sample is true and temperature 0: nothing can be drawn at that temperature; leave do_sample out for the likeliest tokens, "
            "or give a temperature above 0", code="generation",
        )  # fmt: skip


def remark(told: Mapping[str, Any]) -> str | None:
    """What is to be said of arguments that are taken, and mean what few want."""
    until = told.get("until")
    if until == "" or (isinstance(until, list | tuple) and "" in until):
        return "until has an empty text, which ends every answer after one token, as in lm-eval: leave it out"
    return None


def check_taken(told: Mapping[str, Any], *, engine: str) -> None:
    """Raises: Invalid for an argument that the engine does not take, unless its value leaves everything as it is, and for such a value."""
    taken, bounds = kind_of(engine).arguments, kind_of(engine).bounds
    for name, (least, most) in bounds.items():
        if (value := told.get(name)) and not least <= value <= most:
            raise Invalid(
                f"engine {engine} takes generation argument {name} from {least:g} to {most:g}, and not {_quoted(value)}; give one of "
                "those, or give engine transformers", code="generation",
            )  # fmt: skip
    for name, value in told.items():
        if taken is None or name in taken or value is None or (name in NEUTRAL and value == NEUTRAL[name]):
            continue
        raise Invalid(
            f"engine {engine} does not take generation argument {name}={_quoted(value)}; leave it out, or give engine transformers",
            code="generation",
        )


def check_tokens(told: Mapping[str, Any], *, vocabulary: int) -> None:
    """Raises: Invalid for the id of a token that a model of so many tokens does not have, and where none of them is left to be said."""
    for name in OF_TOKENS & told.keys():
        value = [pair[0] for pair in told[name]] if name == "sequence_bias" and told[name] else told[name]
        if unknown := [token for token in _ids(value) if token >= vocabulary]:
            raise Invalid(
                f"generation argument {name} names token {unknown[0]}, and the model has tokens 0 to {vocabulary - 1}; give one of those",
                code="generation",
            )
    barred = {token for name in BARRING for token in told.get(name) or ()}
    if len(barred) >= vocabulary:
        raise Invalid(
            f"generation arguments {' and '.join(name for name in BARRING if told.get(name))} bar all {vocabulary} tokens of the model: "
            "nothing is left to be said; take some out", code="generation",
        )  # fmt: skip


def check_model(told: Mapping[str, Any], *, encoder_decoder: bool, thinks: bool) -> None:
    """Raises: Invalid for what a model with an encoder, or one that thinks first, cannot do.

    Guidance asks a model once more, without the prompt, as decoders alone can be asked. Source: transformers 5.19, generation/utils.py.
    """
    if encoder_decoder and (value := told.get("guidance_scale")) not in (None, 1):
        raise Invalid(
            f"generation argument guidance_scale={value:g} is for models of a decoder alone, and this one has an encoder; leave it out",
            code="generation",
        )
    if thinks and (told.get("num_beams") or 1) > 1:
        raise Invalid("a model that thinks first cannot be searched by beams; leave num_beams or chat.thinking out", code="generation")


def told_length(told: Mapping[str, Any]) -> int | None:
    """The most tokens of an answer that the arguments say, by whichever name; None where they say none."""
    return next((int(told[name]) for name in LENGTHS if told.get(name) is not None), None)


def check_window(told: Mapping[str, Any], *, window: int, unsaid: int | None = None, thinking: int = 0) -> None:
    """Raises: Invalid for lengths that a window of so many tokens has no room for. `unsaid`: tokens of an answer whose length nothing says.

    `thinking`: tokens to think with, before those of the answer. `max_length` counts the prompt too; lm-eval lets it pass the window, where
    a model's positions end.
    """
    whole, new = told.get("max_length"), told_length(told)
    if whole is not None and whole > window:
        raise Invalid(
            f"generation argument max_length is {whole:,}, and the model's window {window:,} tokens; give no more than that, or "
            "max_gen_toks, which counts new tokens alone", code="generation",
        )  # fmt: skip
    tokens = new if new is not None or whole is not None else unsaid
    if tokens is not None and tokens + thinking >= window:
        said = "" if new is not None else ", as where nothing says how many (max_gen_toks)"
        thought = f" behind {thinking:,} of thinking" if thinking else ""
        less = "fewer of both (max_gen_toks, chat.thinking_tokens)" if thinking else "a max_gen_toks below that"
        raise Invalid(
            f"{tokens:,} tokens are to be generated{thought}{said}, and the model's window is {window:,} tokens; give {less}",
            code="generation",
        )


def fractions(told: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with whole numbers as fractions, where a model's own `generate` takes no others."""
    found: dict[str, Any] = {name: float(value) if name in FRACTIONS and value is not None else value for name, value in told.items()}
    if found.get("sequence_bias"):
        found["sequence_bias"] = [[list(tokens), float(bias)] for tokens, bias in found["sequence_bias"]]
    return found


def _ids(value: Any) -> Iterator[int]:
    """The token ids in an argument's value."""
    if _whole(value):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _ids(one)


def merged(task: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A task's arguments with a request's own in place of them; a length of the request's counts, whichever of its names the task uses."""
    lengths = LENGTHS if any(own.get(name) is not None for name in LENGTHS) else ()
    return {name: value for name, value in task.items() if name not in lengths} | dict(own)


def text_seed(seed: int, *, build_id: str, ordinal: int, repeat: int, request: int, draw: int) -> int:
    """The seed by which one text is drawn, 0 to 2⁶³ - 1: a hash of all that tells it from the run's other texts.

    So no two texts share their noise, and the same request gives the same text whatever the shard, the batch, the attempt or the agent.
    """
    told = json.dumps([seed, build_id, ordinal, repeat, request, draw])
    return int.from_bytes(hashlib.blake2b(told.encode(), digest_size=8).digest(), "big") >> 1


def _meant(name: str) -> str:
    if name in ELSEWHERE:
        return f"give {ELSEWHERE[name]} instead"
    close = difflib.get_close_matches(name, ARGUMENTS, n=1, cutoff=0.7)
    return f"did you mean {close[0]}?" if close else f"usual ones are {', '.join(USUAL)}, and transformers' others"


def _quoted(value: object) -> str:
    told = repr(value)
    return told if len(told) <= LONGEST_QUOTE else f"{told[:LONGEST_QUOTE]}…"
