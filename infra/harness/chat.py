"""Chat templates rendered as transformers renders them.

Source: transformers 5.19, utils/chat_template_utils.py: a sandboxed Jinja environment with trimmed blocks and these globals; a turn
that the model is to continue ends where its text does.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from streams.errors import Invalid

# Stands behind the text of a turn that is to be continued, to find where the template put its end.
MARK = "\ue000CONTINUED\ue001 "


def renderer(template: str, variables: Mapping[str, object]) -> Callable[..., str]:
    """A function from messages to the text that a model reads. `variables`: the tokenizer's special tokens, and the switches given."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
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
        except TemplateError as error:
            raise Invalid(f"the chat template refuses these messages: {error}", code="chat-template") from error
        return text if add_generation_prompt else _unended(text)

    return render


def _unended(text: str) -> str:
    """The text up to the mark; without the spaces before it where the template trims them behind it."""
    before, mark, _ = text.rpartition(MARK.strip())
    if not mark:
        raise Invalid("the chat template drops the beginning of the answer, which this task gives", code="chat-template")
    return before if text[len(before) :].startswith(MARK) else before.rstrip()


def _refuse(message: str) -> None:
    raise TemplateError(message)
