"""Generation arguments, as lm-eval and transformers call them: which there are, what each takes, and which exclude each other.

No library of models is needed for it, so that a request is refused before anything runs, by the same words as an engine would use.
Source: lm-eval 0.4.13, models/utils.py, normalize_gen_kwargs; transformers 5.19, GenerationConfig (what generates without code of others,
and gives one text to a request). A test holds the names against both.
"""

import difflib
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from streams.engines import kind_of
from streams.errors import Invalid

# Names of one thing, the first of those given counts.
LENGTHS: Final = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
LONGEST_QUOTE: Final = 80
# What one request may take of an agent: its memory and time go with both, and others wait behind it.
LONGEST_TEXT: Final = 1_000_000
MOST_BEAMS: Final = 64
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


ABOVE_0: Final[Takes] = ("a number above 0", lambda value: _number(value) and value > 0)
SHARE: Final[Takes] = ("a number above 0, at most 1", lambda value: _number(value) and 0 < value <= 1)
PART: Final[Takes] = ("a number from 0 to 1", lambda value: _number(value) and 0 <= value <= 1)
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
ANY_NUMBER: Final[Takes] = ("a number", _number)
TOKENS: Final[Takes] = ("token ids", lambda value: isinstance(value, int | list | tuple | dict) and not isinstance(value, bool))
ARGUMENTS: Final[Mapping[str, Takes]] = {
    **dict.fromkeys((*LENGTHS, "max_length"), MOST_TOKENS),
    **dict.fromkeys(("min_length", "min_new_tokens", "no_repeat_ngram_size", "top_k"), COUNT_OR_0),
    **dict.fromkeys(("do_sample", "renormalize_logits", "remove_invalid_values", "use_cache"), FLAG),
    **dict.fromkeys(("top_p", "typical_p"), SHARE),
    **dict.fromkeys(("min_p", "top_h", "epsilon_cutoff", "eta_cutoff"), PART),
    **dict.fromkeys(("repetition_penalty", "encoder_repetition_penalty", "max_time"), ABOVE_0),
    **dict.fromkeys(("length_penalty", "guidance_scale"), ANY_NUMBER),
    **dict.fromkeys(
        ("bad_words_ids", "suppress_tokens", "begin_suppress_tokens", "sequence_bias", "eos_token_id", "forced_bos_token_id",
         "forced_eos_token_id", "exponential_decay_length_penalty"), TOKENS,
    ),
    "num_beams": BEAMS,
    "until": ("a text or a list of texts", _texts),
    "temperature": ("a number, 0 or more", lambda value: _number(value) and value >= 0),
    "early_stopping": ('true, false or "never"', lambda value: isinstance(value, bool) or value == "never"),
}  # fmt: skip
# Values that leave a text as it is.
NEUTRAL: Final[Mapping[str, Any]] = {
    "num_beams": 1, "encoder_repetition_penalty": 1.0, "length_penalty": 1.0, "early_stopping": False, "guidance_scale": 1.0,
    "typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0,
}  # fmt: skip


def arguments(text: str) -> dict[str, Any]:
    """The generation arguments that a JSON text gives, checked. Raises: Invalid, saying what to change."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(
            f"generation arguments {_quoted(text)} are no JSON ({error}); give an object, as " + '{"max_gen_toks": 64}', code="generation"
        ) from error
    if not isinstance(told, dict):
        raise Invalid(f"generation arguments {_quoted(text)} are no JSON object; give one, as " + '{"max_gen_toks": 64}', code="generation")
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
    if told.get("do_sample") and told.get("temperature") == 0:
        raise Invalid(
            "do_sample is true and temperature 0: nothing can be drawn at that temperature; leave do_sample out for the likeliest tokens, "
            "or give a temperature above 0", code="generation",
        )  # fmt: skip


def check_taken(told: Mapping[str, Any], *, engine: str) -> None:
    """Raises: Invalid for an argument that the engine does not take, unless its value leaves everything as it is."""
    taken = kind_of(engine).arguments
    for name, value in told.items():
        if taken is None or name in taken or value is None or (name in NEUTRAL and value == NEUTRAL[name]):
            continue
        raise Invalid(
            f"engine {engine} does not take generation argument {name}={_quoted(value)}; leave it out, or give engine transformers",
            code="generation",
        )


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
