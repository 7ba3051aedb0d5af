"""Chat templates rendered as transformers renders them.

Source: transformers 5.19, utils/chat_template_utils.py: a sandboxed Jinja environment with trimmed blocks and these globals; a turn
that the model is to continue ends where its text does.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser

from infra.harness.templates import ImmutableSandboxed
from schemas.requests import Chat
from streams.errors import Invalid

# Stands behind the text of a turn that is to be continued, to find where the template put its end.
MARK = "\ue000CONTINUED\ue001 "
# What a template's expressions may come to, beside what Jinja itself says.
FAILING = (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError)
# The messages themselves, for who dresses them in a template of their own.
MESSAGES = (
    "{% if not add_generation_prompt %}{{ raise_exception('a server cannot go on with the beginning of an answer, which this task gives; "
    "leave chat.template (--chat) out') }}{% endif %}{{ messages | tojson }}"
)
# lm-eval 0.4.13 leaves the system message out where a template refuses it (models/huggingface.py, apply_chat_template), with a warning.
FOLD = "chat.fold_system (--fold-system) puts the system message into the first user message"
# What a message may lose without a word: by its role, what is then to be said and done.
LOST = {
    "user": "what the user says: no question would reach the model; mend it, or give another",
    "system": f"the system message; {FOLD}",
    "turns": "earlier turns: no example would reach the model; leave chat.multiturn (--multiturn) out, or mend it",
}


@dataclass(frozen=True, slots=True)
class Dress:
    """How prompts are dressed: the chat settings, with the template's text and the special tokens that it may name."""

    chat: Chat
    template: str | None = None
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def render(self) -> Callable[..., str] | None:
        """The function from messages to the text that a model reads; None without a template."""
        if self.template is None:
            return None
        told: dict[str, object] = dict(self.variables)
        if self.chat.thinking is not None:
            told["enable_thinking"] = self.chat.thinking
        render = renderer(self.template, told)
        return (lambda messages, *rest, **named: render(folded(messages), *rest, **named)) if self.chat.fold_system else render

    @property
    def sha(self) -> str:
        """A name of it. What happens after the prompt is no part of it."""
        chat = self.chat.model_dump(exclude={"thinking_tokens", "thinking_end"} | ({"fold_system"} if not self.chat.fold_system else set()))
        told = [chat, self.template, self.variables]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


class Generated(Extension):
    """The tag `generation` around what a model has said, by which training tells it from the rest: here it is text as any other."""

    tags = {"generation"}  # noqa: RUF012  # as Jinja declares it

    def parse(self, parser: Parser) -> nodes.Node:
        """What stands in it; names that are set there are not known behind it."""
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


def _json(value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None, sort_keys: bool = False) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def renderer(template: str, variables: Mapping[str, object]) -> Callable[..., str]:
    """A function from messages to the text that a model reads. `variables`: the tokenizer's special tokens, and the switches given."""
    environment = ImmutableSandboxed(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generated])
    environment.filters["tojson"] = _json
    environment.globals |= {"raise_exception": _refuse, "strftime_now": lambda form: datetime.now().strftime(form)}
    try:
        compiled = environment.from_string(template)
    except TemplateError as error:
        raise Invalid(f"the chat template is no Jinja template: {error}", code="chat-template") from error

    def filled(messages: list[dict[str, Any]], begins: bool) -> str:
        text = compiled.render(messages=messages, tools=None, documents=None, add_generation_prompt=begins, **variables)
        text.encode()
        return text

    @functools.cache
    def lost(system: bool, turns: bool) -> str | None:
        return _lost(lambda messages: filled(messages, True), system=system, turns=turns)

    def render(messages: list[dict[str, Any]], add_generation_prompt: bool = True) -> str:
        begun = messages if add_generation_prompt else [*messages[:-1], messages[-1] | {"content": messages[-1]["content"] + MARK}]
        system = messages[0]["role"] == "system"
        try:
            text = filled(begun, add_generation_prompt)
        except TemplateError as error:
            hint = f"; where it is the system role, {FOLD}" if system else ""
            raise Invalid(f"the chat template refuses these messages: {error}{hint}", code="chat-template") from error
        except FAILING as error:  # what its expressions come to: the fault is the template's, and not the task's
            told = f"{type(error).__name__}: {error}"
            raise Invalid(
                f"the chat template fails over these messages ({told}); mend it, or give another", code="chat-template"
            ) from error
        text = text if add_generation_prompt else _unended(text)
        if (part := lost(system, any(one["role"] == "assistant" for one in messages[:-1]))) is not None:
            raise Invalid(f"the chat template leaves out {LOST[part]}", code="chat-template")
        return text

    return render


def _lost(render: Callable[[list[dict[str, Any]]], str], *, system: bool, turns: bool) -> str | None:
    """Which of LOST a template loses of a conversation with a system message, and earlier turns, or without; None where all is there.

    The conversation is made of words that nobody says, so that they are found again however the template trims or writes them.
    """
    roles = [*(["system"] if system else []), *(["user", "assistant"] if turns else []), "user"]
    words = [f"assayprobe{number}word" for number in range(len(roles))]
    try:
        text = render([{"role": role, "content": word} for role, word in zip(roles, words, strict=True)]).casefold()
    except (TemplateError, *FAILING):  # it takes no such conversation, though it took another: nothing is known
        return None
    there = [word in text for word in words]
    if not there[-1]:
        return "user"
    if system and not there[0]:
        return "system"
    return None if all(there) else "turns"


def folded(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with the system message put before the first user message, a blank line between; as they are where there is none."""
    if len(messages) < 2 or (messages[0]["role"], messages[1]["role"]) != ("system", "user"):
        return messages
    system, first, *rest = messages
    return [first | {"content": f"{system['content'].rstrip()}\n\n{first['content']}"}, *rest]


def _unended(text: str) -> str:
    """The text up to the mark; without the spaces before it where the template trims them behind it."""
    before, mark, _ = text.rpartition(MARK.strip())
    if not mark:
        raise Invalid("the chat template drops the beginning of the answer, which this task gives", code="chat-template")
    return before if text[len(before) :].startswith(MARK) else before.rstrip()


def _refuse(message: str) -> None:
    raise TemplateError(message)
