"""Chat templates rendered here are what the tokenizer renders; what a template cannot say is refused."""

from typing import Any

import pytest

from infra.harness.building import Dress
from infra.harness.chat import renderer
from query_api.dressing import dressed
from schemas.requests import Chat, EvaluationRequested, ModelRef, TaskChoice
from streams.errors import Invalid
from streams.planning import check
from tests.models import tiny_tokenizer
from tests.pool import STAMP

TURNS = "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
TEMPLATES = [
    TURNS + "{% if add_generation_prompt %}[bot]{% endif %}",
    "{%- for m in messages %}\n<|{{ m.role }}|>\n{{ m['content'] | trim }}{{ eos_token }}\n{%- endfor %}"
    "{% if add_generation_prompt %}>{% endif %}",
    TURNS
    + "{% if tools is not none %}tools{% endif %}{% if add_generation_prompt %}{{ '<think>' if enable_thinking else '<no>' }}{% endif %}",
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


def test_a_template_that_refuses_or_drops_is_said() -> None:
    """What lm-eval would quietly leave out, we do not."""
    with pytest.raises(Invalid, match="no system text here"):
        renderer("{{ raise_exception('no system text here') }}", {})(ASKED)
    with pytest.raises(Invalid, match="no Jinja template"):
        renderer("{% for", {})
    with pytest.raises(Invalid, match="drops the beginning"):
        renderer("{{ messages[0].content }}", {})([*ASKED, {"role": "assistant", "content": "So"}], add_generation_prompt=False)


@pytest.mark.parametrize(
    ("chat", "says"),
    [
        (Chat(multiturn=True), "give chat.template"),
        (Chat(thinking=False), "give chat.template"),
        (Chat(template="model", thinking_tokens=9), "set chat.thinking as well"),
        (Chat(template="model", thinking=True, thinking_tokens=0), "give 1 or more"),
        (Chat(template="model", thinking=True, thinking_end=""), "as </think>"),
    ],
)
def test_a_dress_that_makes_no_sense_is_refused(chat: Chat, says: str) -> None:
    """With what to change."""
    request = EvaluationRequested(
        occurred_us=0, producer=STAMP, run_id="r", model=ModelRef(uri="m"), tasks=(TaskChoice(name="t"),), chat=chat
    )  # fmt: skip
    with pytest.raises(Invalid) as refused:
        check(request)
    assert says in str(refused.value)


def test_what_happens_after_the_prompt_does_not_make_another_build() -> None:
    """A thinking's limit does not; whether it is switched on does."""
    dresses = ({"thinking": True}, {"thinking": True, "thinking_tokens": 9}, {"thinking": False})
    plain, limited, off = (Dress(Chat.model_validate({"template": "model"} | told), "x") for told in dresses)
    assert plain.sha == limited.sha != off.sha


def test_a_dress_is_said_in_a_few_words() -> None:
    """Nothing for prompts as the tasks have them."""
    assert dressed(Chat().model_dump()) == ""
    chat = Chat(template="model", system="Be brief.", multiturn=True, thinking=True, thinking_tokens=512)
    assert dressed(chat.model_dump()) == "chat template · system text · examples as turns · thinking, 512 tokens at most"
    assert dressed(Chat(template="{{ m }}", thinking=False).model_dump()) == "a chat template of its own · thinking off"
