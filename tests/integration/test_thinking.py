"""Models that think before they answer: the answer is lm-eval's, a spent budget ends the thinking, stop texts end answers only."""

from pathlib import Path
from typing import Any

import pytest

from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Thinking
from gpu_agent.engines.transformers import Transformers
from schemas.requests import ModelRef
from streams.errors import Invalid
from tests.models import tiny_llama
from tests.reference import hflm, ours, theirs

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
PROMPT = "Question: What is it that grows in the garden, and why? Answer:"
PLAIN: dict[str, Any] = {"until": [], "max_gen_toks": 48}
# With more than greedy search's settings, the model's own `generate` writes the text.
WAYS = [pytest.param(PLAIN, id="slots"), pytest.param(PLAIN | {"top_k": 50}, id="alone")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model."""
    return tiny_llama(tmp_path_factory.mktemp("model"), max_length=256)


@pytest.fixture(scope="module")
def engine(folder: Path) -> Transformers:
    """Ours."""
    engine = Transformers()
    engine.load(ModelRef(uri=str(folder)), options={}, device="cpu")
    return engine


def answer(engine: Transformers, settings: dict[str, Any], thinking: Thinking | None = None) -> EngineAnswer:
    """To the one prompt."""
    return ours(engine, [EngineRequest(0, "generate_until", PROMPT, generation=settings, thinking=thinking)])[0]


def written(engine: Transformers) -> str:
    """All that the model writes, with nobody asking it to think."""
    return answer(engine, PLAIN).output or ""


@pytest.mark.parametrize("settings", WAYS)
def test_the_answer_is_what_lm_eval_takes_for_it(engine: Transformers, folder: Path, settings: dict[str, Any]) -> None:
    """Behind the last end, without the white space before it."""
    text = written(engine)
    end = text[20:26]
    reference = hflm(folder)
    reference.think_end_token = end
    (expected,) = theirs(reference, "generate_until", [(PROMPT, dict(PLAIN))])
    found = answer(engine, settings, Thinking(end))
    assert (found.output, found.error) == (expected, None)
    assert found.reasoning == text.rpartition(end)[0]
    assert found.reasoning_tokens


@pytest.mark.parametrize("settings", WAYS)
def test_a_thought_that_never_ends_is_no_answer(engine: Transformers, settings: dict[str, Any]) -> None:
    """It is kept as what was thought, and why there is no answer is said: lm-eval would score it."""
    found = answer(engine, settings, Thinking("never to be seen"))
    assert (found.output, found.reasoning, found.finish_reason) == (None, written(engine), "thinking")
    assert (found.reasoning_tokens, found.output_tokens) == (48, 48)
    assert "never ended" in (found.error or "")


@pytest.mark.parametrize("settings", WAYS)
def test_a_spent_budget_ends_the_thinking(engine: Transformers, settings: dict[str, Any]) -> None:
    """After as many tokens the end is put in, and the whole length of an answer is left."""
    found = answer(engine, settings, Thinking("</think>", 7))
    free = answer(engine, PLAIN | {"max_gen_toks": 7})
    assert found.reasoning == free.output
    assert found.reasoning_tokens is not None
    assert found.reasoning_tokens > 7
    assert found.output
    assert found.output_tokens == 48 + 7
    assert found.finish_reason == "length"


@pytest.mark.parametrize("settings", WAYS)
def test_a_stop_text_in_the_reasoning_ends_nothing(engine: Transformers, settings: dict[str, Any]) -> None:
    """It ends the answer behind it."""
    stop = written(engine)[3:5]
    found = answer(engine, settings | {"until": [stop]}, Thinking("</think>", 16))
    assert stop in (found.reasoning or "")
    assert stop not in (found.output or "")
    assert answer(engine, settings | {"until": [stop]}).output_tokens < 16


def test_beams_do_not_think(engine: Transformers) -> None:
    """It is said."""
    with pytest.raises(Invalid, match="num_beams"):
        answer(engine, PLAIN | {"num_beams": 2}, Thinking("</think>"))
