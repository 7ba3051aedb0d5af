"""Tasks of lm-eval's own too are held to what engine and model take, before anything runs."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agents.building import Building
from agents.preparing import Preparing
from infra.harness.building import identify
from infra.harness.chat import Dress
from infra.kafka import Log
from infra.model_shapes import Shape
from infra.settings import Settings
from infra.task_fitness import check_asked
from query_api.cli.estimating import estimated
from schemas.requests import Chat, EngineChoice, EvaluationRequested, Generation, ModelRef, TaskChoice
from streams.errors import Invalid
from streams.planning import check
from tests.in_memory import InMemory
from tests.models import causal
from tests.pool import STAMP
from tests.runs import run_named

CHAT: dict[str, Any] = {"template": "model", "thinking": True}


def refusal(task: str, *, window: int, engine: str = "transformers", apart: bool = False, own: str = "{}", **chat: Any) -> str:
    """What is said of a task for a model of that window; nothing where it can be asked."""
    choice = TaskChoice(name=task, generation=Generation(json_text=own))
    request = EvaluationRequested(occurred_us=1, producer=STAMP, run_id=run_named("t"), model=ModelRef(uri="m"), tasks=(choice,),
                                  engine=EngineChoice(name=engine), chat=Chat(**chat))  # fmt: skip
    facts: Any = SimpleNamespace(shape=Shape(vocabulary=512, encoder_decoder=apart), max_len=window)
    check(request)
    told = identify(choice, dress=Dress(request.chat), settings=Settings())
    try:
        check_asked(told, choice, request, facts)
    except Invalid as error:
        return str(error)
    return ""


def test_a_task_of_lm_evals_is_held_to_the_models_window() -> None:
    """By the arguments that it says, or by those of the request in their place."""
    assert refusal("assay_poem", window=10_000) == ""
    said = refusal("assay_poem", window=16)
    assert said.startswith("task assay_poem: ") and said.endswith("the model's window is 16 tokens; give a max_gen_toks below that")
    assert refusal("assay_poem", window=16, own='{"max_gen_toks": 15}') == ""
    assert refusal("assay_arithmetic", window=2) == ""


def test_tokens_to_think_with_count_before_those_of_the_answer() -> None:
    own = '{"max_gen_toks": 40}'
    assert refusal("assay_poem", window=541, own=own, **CHAT, thinking_tokens=500) == ""
    said = refusal("assay_poem", window=540, own=own, **CHAT, thinking_tokens=500)
    assert said == (
        "task assay_poem: 40 tokens are to be generated behind 500 of thinking, and the model's window is 540 tokens; give fewer of both "
        "(max_gen_toks, chat.thinking_tokens)"
    )
    assert refusal("assay_poem", window=541, own=own, **CHAT) == ""


@pytest.mark.parametrize(
    ("engine", "more", "says"),
    [
        ("transformers", {"own": '{"guidance_scale": 2}', "apart": True}, "guidance_scale=2 is for models of a decoder alone"),
        ("transformers", {"own": '{"guidance_scale": 1.0}', "apart": True}, ""),
        ("transformers", {"own": '{"guidance_scale": 2}'}, ""),
        ("transformers", {"own": '{"num_beams": 2}', **CHAT}, "a model that thinks first cannot be searched by beams"),
        ("transformers", {"own": '{"suppress_tokens": [512]}'}, "names token 512, and the model has tokens 0 to 511"),
        ("gguf", {"own": '{"num_beams": 2}'}, "engine gguf does not take generation argument num_beams=2"),
        ("classifier", {}, "asks for texts, which engine classifier does not answer; give engine transformers, or another task"),
    ],
)
def test_what_would_fail_at_the_agent_is_refused_for_every_task(engine: str, more: dict[str, Any], says: str) -> None:
    told = refusal("assay_poem", window=10_000, engine=engine, **more)
    assert says in told and bool(says) == bool(told)


@pytest.mark.parametrize(
    ("engine", "task", "says"),
    [
        ("encoder", "assay_arithmetic", "engine encoder says how alike texts are"),
        ("classifier", "assay_text", "asks for how likely whole texts are, which engine classifier does not answer"),
    ],
)
def test_an_engine_is_not_asked_for_what_it_does_not_answer(engine: str, task: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.preparing.brought", lambda request, **_: (request, None))
    body = {"model": {"uri": "/m"}, "engine": {"name": engine}, "tasks": [{"name": task, "limit": 2}]}
    with pytest.raises(Invalid, match=says):
        estimated(body, Settings(), told=lambda text: None, quiet=True)


class Here:
    """Builders that are no other process."""

    builds = None

    def asked_by(self, _who: str) -> "Here":
        return self

    async def run(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """At once."""
        return function(*arguments, **named)


def test_a_planner_refuses_it_before_anything_is_built(tmp_path: Path) -> None:
    request = EvaluationRequested(occurred_us=1, producer=STAMP, run_id=run_named("t"), tasks=(TaskChoice(name="assay_poem"),),
                                  model=ModelRef(uri=str(causal(tmp_path / "m"))))  # fmt: skip
    preparing = Preparing(cast(Log, InMemory()), Settings(), cast(Building, Here()))

    async def act() -> None:
        brought, facts = await preparing.brought(request)
        with pytest.raises(Invalid, match=r"^task assay_poem: .* tokens are to be generated, and the model's window is 16 tokens; give"):
            await preparing.plan(brought, facts, asked_us=1)

    asyncio.run(act())
