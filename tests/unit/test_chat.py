"""What a chat template cannot say is refused."""

import re
from contextlib import nullcontext

import pytest

from infra.harness.chat import Dress, folded, renderer
from query_api.drawing.dressing import dressed
from schemas.requests import Chat, EvaluationRequested, ModelRef, TaskChoice
from streams.errors import Invalid
from streams.planning import check
from tests.pool import STAMP
from tests.runs import run_named

R = run_named("r")

ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What grows?"}]


def test_a_template_that_refuses_or_drops_is_said() -> None:
    """What lm-eval would quietly leave out, we do not."""
    with pytest.raises(Invalid, match="no system text here"):
        renderer("{{ raise_exception('no system text here') }}", {})(ASKED)
    for wrong in ("{% for n in range(10**11) %}x{% endfor %}", "{{ 1 // 0 }}", "{{ messages[0] + 1 }}"):
        with pytest.raises(Invalid, match="the chat template fails over these messages"):
            renderer(wrong, {})(ASKED)
    with pytest.raises(Invalid, match="no Jinja template"):
        renderer("{% for", {})
    with pytest.raises(Invalid, match="drops the beginning"):
        renderer("{{ messages[0].content }}", {})([*ASKED, {"role": "assistant", "content": "So"}], add_generation_prompt=False)


@pytest.mark.parametrize(
    ("chat", "says"),
    [
        (Chat(multiturn=True), "give chat.template"),
        (Chat(thinking=False), "give chat.template"),
        (Chat(fold_system=True, system="Be brief."), "give chat.template"),
        (Chat(template="model", thinking_tokens=9), "set chat.thinking as well"),
        (Chat(template="model", thinking=True, thinking_tokens=0), "give 1 or more"),
        (Chat(template="model", thinking=True, thinking_end=""), "as </think>"),
    ],
)
def test_a_dress_that_makes_no_sense_is_refused(chat: Chat, says: str) -> None:
    """With what to change."""
    request = EvaluationRequested(
        occurred_us=0, producer=STAMP, run_id=R, model=ModelRef(uri="m"), tasks=(TaskChoice(name="t"),), chat=chat
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


REFUSING = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
SHOWN = "{% for one in messages %}<{{ one.role }}>{{ one.content }}{% endfor %}"


def test_a_system_message_is_folded_where_a_template_refuses_its_role() -> None:
    """The refusal names what does it; every other message stays, and so does the build of prompts that are not folded."""
    plain, fold = (Dress(Chat(template="model", system="Be brief.", fold_system=told), REFUSING + SHOWN) for told in (False, True))
    assert plain.render and fold.render
    with pytest.raises(Invalid, match=r"no system role.*chat.fold_system \(--fold-system\)"):
        plain.render(ASKED)
    assert fold.render(ASKED) == "<user>Be brief.\n\nWhat grows?"
    assert fold.render(ASKED[1:]) == "<user>What grows?"
    begun = [*ASKED, {"role": "assistant", "content": "Grass"}]
    assert fold.render(begun, add_generation_prompt=False) == "<user>Be brief.\n\nWhat grows?<assistant>Grass"
    assert folded(ASKED[:1]) == ASKED[:1]
    assert plain.sha != fold.sha
    with pytest.raises(Invalid) as refused:
        Dress(Chat(template="model"), "{{ raise_exception('no') }}").render(ASKED[1:])  # type: ignore[misc]  # it has a template
    assert "fold_system" not in str(refused.value)


OF_PARTS = "{% for one in messages %}<{{ one.role }}>{{ one.content[0].text }}{% endfor %}"
LAST = "{{ messages[-1].content }}"
USERS = "{% for one in messages if one.role != 'system' %}{{ one.content }}{% endfor %}"
EXAMPLES = [ASKED[1], {"role": "assistant", "content": "Grass"}, ASKED[1]]


@pytest.mark.parametrize(
    ("template", "messages", "says"),
    [
        (OF_PARTS, ASKED[1:], "leaves out what the user says: no question would reach the model; mend it"),
        ("{{ messages[0].content }}", ASKED, "leaves out what the user says"),
        (USERS, ASKED, "leaves out the system message; chat.fold_system (--fold-system) puts the system message into the first user"),
        (LAST, ASKED, "leaves out the system message"),
        (LAST, EXAMPLES, "leaves out earlier turns: no example would reach the model; leave chat.multiturn (--multiturn) out"),
        (LAST, ASKED[1:], None),
        (USERS, ASKED[1:], None),
        (USERS, EXAMPLES, None),
        ("{% for one in messages %}{{ one.content | trim | upper }}{% endfor %}", ASKED, None),
        ("{{ messages | tojson }}", ASKED, None),
    ],
)
def test_a_template_that_loses_a_message_without_a_word_is_refused(template: str, messages: list[dict[str, str]], says: str | None) -> None:
    """lm-eval asks without it. A system message is folded where that is asked for, as where its role is refused."""
    with pytest.raises(Invalid, match=re.escape(f"the chat template {says}")) if says else nullcontext():
        renderer(template, {})(messages)
    fold = Dress(Chat(template="model", fold_system=True), USERS).render
    assert fold is not None
    assert fold(ASKED) == "Be brief.\n\nWhat grows?"


def test_a_folded_system_message_is_said() -> None:
    """Beside the system text."""
    chat = Chat(template="model", system="Be brief.", fold_system=True)
    assert dressed(chat.model_dump()) == "chat template · system text · system message in the first user message"
