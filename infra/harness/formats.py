"""Prompt formats: the same task's prompt, written in another way that asks the same.

A format changes what the task's own template says beside the document: how fields are labelled and set apart. The document's texts, the
answers and the scoring stay as they are. The set is fixed, so that set-ups of two runs are the same; a format that finds nothing to change
in a task's template is none for it. Source: the separators, casings and spacings of FormatSpread, Sclar et al., ICLR 2024, arXiv
2310.11324, section 3.1.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

OWN: Final = "own"
INSTRUCTION: Final = "Read what follows carefully.\n\n"
LABEL: Final = re.compile(r"^([^\W\d_][^\W_]*(?: [^\W_]+){0,3}):(?=[ \n]|$)", re.MULTILINE)
LABELLED: Final = re.compile(r"^([^\W\d_][^\W_]*(?: [^\W_]+){0,3}): ", re.MULTILINE)
OPTION: Final = re.compile(r"^([A-J])\. ", re.MULTILINE)
TAG: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
FIRST_PRIVATE: Final = 0xE000  # a character that no template has stands for each tag while the text between is changed


@dataclass(frozen=True, slots=True)
class Format:
    """What a format does to the text of a template between its tags, to the delimiter of few-shot examples, and what it puts first.

    `stop`: where an answer ends too, because the next example would begin with it.
    """

    template: Callable[[str], str] = str
    examples: Callable[[str], str] = str
    first: str = ""
    stop: str = ""


FORMATS: Final[Mapping[str, Format]] = MappingProxyType({
    OWN: Format(),
    "capitals": Format(lambda text: LABEL.sub(lambda found: f"{found[1].upper()}:", text)),
    "dash": Format(lambda text: LABEL.sub(r"\1 -", text)),
    "bold": Format(lambda text: LABEL.sub(r"**\1:**", text)),
    "line": Format(lambda text: LABELLED.sub(r"\1:\n", text)),
    "brackets": Format(lambda text: OPTION.sub(r"(\1) ", text)),
    "spaced": Format(lambda text: re.sub(r"(?<=[^\n])\n(?=[^\n])", "\n\n", text), examples=lambda text: f"{text}\n"),
    "ruled": Format(examples=lambda text: f"{text}---{text}", stop="\n---"),
    "instruction": Format(first=INSTRUCTION),
})  # fmt: skip


def between_tags(template: str, change: Callable[[str], str]) -> str:
    """A Jinja template with the text between its tags changed."""
    tags = TAG.findall(template)
    numbers = iter(range(len(tags)))
    masked = TAG.sub(lambda _: chr(FIRST_PRIVATE + next(numbers)), template)
    return "".join(tags[ord(one) - FIRST_PRIVATE] if 0 <= ord(one) - FIRST_PRIVATE < len(tags) else one for one in change(masked))


@contextmanager
def written(task: Any, name: str) -> Iterator[None]:
    """While it lasts, the task (lm-eval's object) writes its prompts in that format."""
    changes = list(_changes(task, FORMATS[name]))
    before = [(holder, field, getattr(holder, field)) for holder, field, _ in changes]
    for holder, field, value in changes:
        setattr(holder, field, value)
    try:
        yield
    finally:
        for holder, field, value in before:
            setattr(holder, field, value)


def formats_of(task: Any) -> list[str]:
    """The formats that the task's prompts can have, its own first: those that change something."""
    return [name for name, one in FORMATS.items() if name == OWN or any(_changes(task, one))]


def _changes(task: Any, one: Format) -> Iterator[tuple[Any, str, Any]]:
    """What the format changes: a holder of fields, the field, and its value."""
    if type(task).__name__ != "ConfigurableTask" or task.OUTPUT_TYPE == "loglikelihood_rolling":
        return
    holders = [task.config, *([task.fewshot_cfg] if task.config.num_fewshot else [])]
    changed = [*_templates(task, one, holders), *_delimiters(task, one, holders)]
    yield from changed
    if changed and task.OUTPUT_TYPE == "generate_until":
        yield task.config, "generation_kwargs", _stops(task.config.generation_kwargs or {}, one)
    if one.first:
        yield task.config, "description", one.first + (task.config.description or "")


def _templates(task: Any, one: Format, holders: Sequence[Any]) -> Iterator[tuple[Any, str, Any]]:
    """Where the texts of the examples or of the question are made by code, none is changed: they would no longer be alike."""
    texts = [(holder, text) for holder in holders if (text := holder.doc_to_text) is not None]
    if task.prompt is not None or any(not isinstance(text, str) or text in task.features for _, text in texts):
        return
    for holder, text in texts:
        if (changed := between_tags(text, one.template)) != text:
            yield holder, "doc_to_text", changed


def _delimiters(task: Any, one: Format, holders: Sequence[Any]) -> Iterator[tuple[Any, str, Any]]:
    for holder in holders if task.config.num_fewshot else ():
        if holder.fewshot_delimiter is not None and (changed := one.examples(holder.fewshot_delimiter)) != holder.fewshot_delimiter:
            yield holder, "fewshot_delimiter", changed


def _stops(given: Mapping[str, Any], one: Format) -> dict[str, Any]:
    """Generation arguments with the texts that end an answer, as they are and as the format writes them."""
    until = given.get("until") or []
    told = [until] if isinstance(until, str) else list(until)
    whole = list(dict.fromkeys([*told, *map(one.template, told), *([one.stop] if one.stop else [])]))
    return {**given, "until": whole} if whole != told else dict(given)
