"""Chat templates rendered as transformers renders them.

Source: transformers 5.19, utils/chat_template_utils.py: a sandboxed Jinja environment with trimmed blocks and these globals; a turn
that the model is to continue ends where its text does.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import TemplateError
from jinja2.ext import loopcontrols

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
FOLD = "; where it is the system role, chat.fold_system (--fold-system) puts the system message into the first user message"


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


def renderer(template: str, variables: Mapping[str, object]) -> Callable[..., str]:
    """A function from messages to the text that a model reads. `variables`: the tokenizer's special tokens, and the switches given."""
    environment = ImmutableSandboxed(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = lambda value, **named: json.dumps(value, ensure_ascii=False, **named)
    environment.globals |= {"raise_exception": _refuse, "strftime_now": lambda form: datetime.now().strftime(form)}
    try:
        compiled = environment.from_string(template)
    except TemplateError as error:
        raise Invalid(f"the chat template is no Jinja template: {error}", code="chat-template") from error

    def render(messages: list[dict[str, Any]], add_generation_prompt: bool = True) -> str:
        turns = messages if add_generation_prompt else [*messages[:-1], messages[-1] | {"content": messages[-1]["content"] + MARK}]
        try:
            text = compiled.render(messages=turns, tools=None, documents=None, add_generation_prompt=add_generation_prompt, **variables)
            text.encode()
        except TemplateError as error:
            hint = FOLD if messages[0]["role"] == "system" else ""
            raise Invalid(f"the chat template refuses these messages: {error}{hint}", code="chat-template") from error
        except FAILING as error:  # what its expressions come to: the fault is the template's, and not the task's
            told = f"{type(error).__name__}: {error}"
            raise Invalid(
                f"the chat template fails over these messages ({told}); mend it, or give another", code="chat-template"
            ) from error
        return text if add_generation_prompt else _unended(text)

    return render


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
