"""Chat templates rendered as transformers renders them.

Source: transformers 5.19, utils/chat_template_utils.py: a sandboxed Jinja environment with trimmed blocks and these globals.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from streams.errors import Invalid


def renderer(template: str, variables: Mapping[str, str]) -> Callable[..., str]:
    """A function from messages to the text that a model reads. `variables`: the tokenizer's special tokens."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = lambda value, **named: json.dumps(value, ensure_ascii=False, **named)
    environment.globals |= {"raise_exception": _refuse, "strftime_now": lambda form: datetime.now().strftime(form)}
    try:
        compiled = environment.from_string(template)
    except TemplateError as error:
        raise Invalid(f"the chat template is no Jinja template: {error}", code="chat-template") from error

    def render(messages: list[dict[str, Any]], add_generation_prompt: bool = True) -> str:
        try:
            return compiled.render(messages=messages, add_generation_prompt=add_generation_prompt, **variables)
        except TemplateError as error:
            raise Invalid(f"the chat template refuses these messages: {error}", code="chat-template") from error

    return render


def _refuse(message: str) -> None:
    raise TemplateError(message)
