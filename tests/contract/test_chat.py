"""Chat templates rendered here are what the tokenizer renders."""

from typing import Any

import pytest

from infra.harness.chat import Dress
from schemas.requests import Chat
from tests.models import tiny_tokenizer

TURNS = "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
TEMPLATES = [
    TURNS + "{% if add_generation_prompt %}[bot]{% endif %}",
    "{%- for m in messages %}\n<|{{ m.role }}|>\n{{ m['content'] | trim }}{{ eos_token }}\n{%- endfor %}"
    "{% if add_generation_prompt %}>{% endif %}",
    TURNS
    + "{% if tools is not none %}tools{% endif %}{% if add_generation_prompt %}{{ '<think>' if enable_thinking else '<no>' }}{% endif %}",
    "{%- for m in messages %}\n{%- if m.role == 'assistant' %}\n  {% generation %}\n{% set x = 'a' %}\n{{ x }}{{ m.content }}"
    "{{ loop.index }}\n{% endgeneration %}\n{% else %}[{{ m.role }}] {{ m.content }}{{ x }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}>{% endif %}",
    TURNS + "{{ messages[0] | tojson(ensure_ascii=true, indent=1) }}{{ {'b': 'é', 'a': 1} | tojson(false, none, none, true) }}",
    TURNS + "{% if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}",
]
ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What grows?"}]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """A small one with special tokens."""
    return tiny_tokenizer()


@pytest.mark.parametrize("thinking", [None, True, False])
@pytest.mark.parametrize("begun", [None, "The answer is", "ends in a space "])
@pytest.mark.parametrize("template", TEMPLATES)
def test_prompts_are_the_tokenizers(tokenizer: Any, template: str, begun: str | None, thinking: bool | None) -> None:
    """With a generation prompt, with an answer that is begun, and with thinking switched on, off and left alone."""
    messages = ASKED + ([{"role": "assistant", "content": begun}] if begun else [])
    told = {} if thinking is None else {"enable_thinking": thinking}
    expected = tokenizer.apply_chat_template(
        messages,
        chat_template=template,
        tokenize=False,
        add_generation_prompt=begun is None,
        continue_final_message=begun is not None,
        **told,
    )
    dress = Dress(Chat(template="model", thinking=thinking), template, tuple(tokenizer.special_tokens_map.items()))
    assert dress.render is not None
    assert dress.render(messages, add_generation_prompt=begun is None) == expected
