"""A sentence read by a language model: what it is asked, and what of its answer counts. Whatever it says is text until it is validated.

The model is asked for the requirement as people write it, by a JSON schema. Of what it gives each part counts that a requirement could
have, by the same rules as a file's; the others are told with why not. It stands beside what rules read of the same sentence, differences
marked, and nothing is recommended until somebody has looked it over.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from streams.deciding.reading import LATENCIES, LISTS, requirement_of
from streams.errors import Invalid
from streams.numbers import LONGEST_SHOWN, shown

MOST_SAID: Final = 20_000  # characters of an answer that are read
MOST_VALUES: Final = 100
LONGEST_VALUE: Final = 200
DEEPEST: Final = 3
_TEXT: Final = {"type": "string"}
_NAMES: Final = {"type": "array", "items": _TEXT}


def _part(names: Sequence[str]) -> dict[str, Any]:
    return {"type": "object", "properties": dict.fromkeys(names, _TEXT), "additionalProperties": False}


def _by_name(value: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": value}


SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object", "additionalProperties": False,
    "properties": {
        "tasks": _by_name({"type": "number"}), "floors": _by_name(_TEXT), "latency": _part(LATENCIES),
        "traffic": _part(("rate", "input", "output")), "budget": _part(("per_month", "per_1m_tokens", "capital")),
        "energy": _part(("per_token", "carbon_per_1m_tokens")), "threshold": _TEXT,
        "allowed": {
            "type": "object", "additionalProperties": False,
            "properties": {
                **dict.fromkeys(LISTS, _NAMES), "context": _TEXT, "memory": _TEXT, "owned": _by_name({"type": "integer"}),
            },
        },
    },
}  # fmt: skip
EXAMPLE: Final = (
    "a coding bot in the EU, 20 requests a second, prompts of 800 tokens, first token within half a second, 3000 dollars a month, two L40S",
    {
        "tasks": {"humaneval": 1}, "traffic": {"rate": "20/s", "input": "800 tokens"}, "latency": {"ttft_p95": "0.5 s"},
        "budget": {"per_month": "3000 USD"}, "allowed": {"regions": ["eu"], "owned": {"L40S": 2}},
    },
)  # fmt: skip
NOTHING: Final[tuple[object, ...]] = (None, {}, [], "")  # as models say that nothing was said
TRAFFIC: Final = {"rate": "1/s", "input": "1 tokens", "output": "1 tokens"}
SYSTEM: Final = """You read what somebody looks for into JSON. Write one JSON object and nothing else.
Parts: tasks (name: weight), floors (task: share, "60 %"), latency (ttft_p95, itl_p95, e2e_p95: "800 ms"), traffic (rate "20/s", input and \
output "800 tokens"), budget (per_month, per_1m_tokens, capital: "3000 USD"), energy (per_token "2 J"), allowed (models, hardware, \
engines, places [cpu, one-gpu, several-gpus, air-gapped], regions, licences, languages [de, en], kinds [base, fine-tuned], context "8 k", \
memory "48 GB", owned {{device: count}}), threshold ("80 %").
Every amount is a text with its unit. Leave out what is not said. Tasks that can be asked for: {tasks}."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What counts of a model's answer, as people write it, and the parts that do not, each with why. `said`: its beginning."""

    requirement: Mapping[str, Any]
    refused: Mapping[str, str]
    said: str


@dataclass(frozen=True, slots=True)
class Compared:
    """A field by both readers; None where one of them has nothing there."""

    field: str
    rules: str | None
    model: str | None

    @property
    def same(self) -> bool:
        """Both say the same."""
        return self.rules is not None and self.model is not None and _plain(self.rules) == _plain(self.model)


def messages(sentence: str, tasks: Sequence[str]) -> list[dict[str, str]]:
    """What a model is asked, as a chat."""
    named = ", ".join(tasks[:MOST_VALUES]) or "any of lm-eval's"
    asked, answer = EXAMPLE
    return [
        {"role": "system", "content": SYSTEM.format(tasks=named)}, {"role": "user", "content": asked},
        {"role": "assistant", "content": json.dumps(answer)}, {"role": "user", "content": sentence},
    ]  # fmt: skip


def taken(text: str) -> Taken:
    """What counts of an answer, whatever it is."""
    said = text[:MOST_SAID]
    told = _object(said)
    if told is None:
        return Taken({}, {"the answer": "there is no JSON object in it"}, said)
    found, refused = dict[str, Any](), dict[str, str]()
    for part, value in list(told.items())[:MOST_VALUES]:
        for name, one in value.items() if isinstance(value, dict) else [(None, value)]:
            if one in NOTHING:
                continue
            try:
                _take(found, _checked(part, one if name is None else {name: one}))
            except Invalid as error:
                refused[(part if name is None else f"{part}.{name}")[:LONGEST_SHOWN]] = str(error)
    return Taken(found, refused, said)


def _take(found: dict[str, Any], told: Mapping[str, Any]) -> None:
    """Adds a part's field to those that are there."""
    for part, value in told.items():
        found[part] = {**found.get(part, {}), **value} if isinstance(value, dict) else value


def compared(rules: Mapping[str, Any], model: Mapping[str, Any]) -> tuple[Compared, ...]:
    """Every field that either reader has, in one order."""
    left, right = dict(_flat(rules)), dict(_flat(model))
    return tuple(Compared(name, left.get(name), right.get(name)) for name in sorted({*left, *right}))


def _object(text: str) -> dict[str, Any] | None:
    """The first JSON object of a text that is one; models write words around it."""
    decoder, start = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str), text.find("{")
    while start >= 0:
        try:
            found, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            start = text.find("{", start + 1) if text.count("{", 0, start) < MOST_VALUES else -1
            continue
        return found if isinstance(found, dict) else None
    return None


def _checked(part: str, value: Any) -> dict[str, Any]:
    """The part, where a requirement could have it. Raises: Invalid."""
    told = {part: _listed(part, _bounded(value, DEEPEST))}
    # What a sentence need not say, a rate of a currency or how long requests are, is asked for where the form is sent, as by rules.
    beside = {"budget": {"rates": {"EUR": "1"}}, "traffic": {"traffic": {**TRAFFIC, **told[part]}}} if isinstance(value, dict) else {}
    try:
        requirement_of(told | beside.get(part, {}))
    except Invalid:
        raise
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise Invalid(f"{part} is {shown(value)}, which no requirement has", code="requirement") from error
    return told


def _listed(part: str, value: Any) -> Any:
    """The same, with a text in the place of a list of names as that list: L40S, or L40S, H100."""
    if part != "allowed" or not isinstance(value, dict):
        return value
    return {
        name: [word for each in one.split(",") if (word := each.strip())] if name in LISTS and isinstance(one, str) else one
        for name, one in value.items()
    }


def _bounded(value: Any, depth: int) -> Any:
    """The same as plain texts, lists and mappings, small ones. Raises: Invalid."""
    if isinstance(value, str):
        if len(value) > LONGEST_VALUE or not value.isprintable():
            raise Invalid(f"{shown(value)} is no name and no amount", code="requirement")
        return value
    if depth and isinstance(value, dict) and len(value) <= MOST_VALUES:
        named = {_bounded(name, 0): _bounded(one, depth - 1) for name, one in value.items() if one is not None}
        return {name: one for name, one in named.items() if one not in ({}, [], "")}
    if depth and isinstance(value, list) and len(value) <= MOST_VALUES:
        return [_bounded(one, 0) for one in value]
    raise Invalid(f"{shown(value)} is no name and no amount", code="requirement")


def _flat(told: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Every field with its value as text; a list is one value."""
    for name, value in told.items():
        where = f"{path}.{name}".lstrip(".")
        if isinstance(value, Mapping):
            yield from _flat(value, where)
        else:
            yield where, ", ".join(sorted(map(str, value))) if isinstance(value, list | tuple) else str(value)


def _plain(text: str) -> str:
    return "".join(text.lower().split())
