"""What a load's requests have in their bodies beside the load's own: no key that would make it another load, or another measurement."""

import json
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NoReturn

from streams.errors import Invalid
from streams.once import once

CODE: Final = "workload"
LENGTH, PROMPT = "the load says how long answers are (output_tokens)", "the load says what is asked (input_tokens, trace)"
ALONE, SEVERAL = (
    "each request is answered at once, and knows of no other",
    "a request has one answer, or tokens of several would be counted as one's",
)
OWN: Final[Mapping[str, str]] = MappingProxyType({
    "model": "the request says which model", "stream": "the load says whether answers are streamed (stream)",
    "stream_options": "usage is asked for already", "prompt": PROMPT, "messages": PROMPT, "input": PROMPT, "max_tokens": LENGTH,
    "max_completion_tokens": LENGTH, "max_output_tokens": LENGTH, "n": SEVERAL, "best_of": SEVERAL,
    "echo": "the prompt would come back as an answer", "background": ALONE, "previous_response_id": ALONE, "conversation": ALONE,
})  # fmt: skip


def body_of(told: str) -> dict[str, Any]:
    """The keys and values in such a text. Raises: Invalid, in our words alone, where it is no JSON object, or a key is the load's own."""
    try:
        body = json.loads(told, object_pairs_hook=once, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Invalid(f'extra_body is no JSON: give an object, as {{"top_k": 5}} ({type(error).__name__})', code=CODE) from error
    if not isinstance(body, dict):
        raise Invalid('extra_body is no JSON object: give one, as {"top_k": 5}', code=CODE)
    if (name := next((name for name in body if name in OWN), None)) is not None:
        raise Invalid(f"extra_body may not say {name}: {OWN[name]}; leave it out", code=CODE)
    return body


def _finite(told: str) -> float:
    """A number that JSON can write again: 1e999 is infinite here, and `Infinity` is no JSON."""
    value = float(told)
    return value if math.isfinite(value) else _no_number(told)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
