"""What is generated stays in the model's window, however long it is asked for; and nobody is given lengths that they did not ask for."""

import json
from pathlib import Path
from typing import Any

import pytest

from gpu_agent.engines.engine import EngineRequest
from gpu_agent.engines.written import Prompt, prompt_of
from infra.preparing import facts_of
from schemas.requests import EngineChoice, Generation, ModelRef, TaskChoice
from streams.errors import Invalid
from streams.quality.generation import check_window
from tests.models import causal
from tests.unit.test_told_models import asked


def prompt(told: dict[str, Any], *, tokens: int, window: int, apart: bool = False) -> Prompt:
    """The prompt of a request with so many tokens."""
    return prompt_of(EngineRequest(0, "generate_until", "x", generation=told), list(range(tokens)), eos="", max_len=window, apart=apart)


@pytest.mark.parametrize(
    ("told", "given", "kept", "limit"),
    [
        ({"max_length": 512}, {"tokens": 300, "window": 512}, 256, 256),  # as HFLM: 256 tokens of the window are left to the answer
        ({"max_length": 400, "max_gen_toks": 200}, {"tokens": 400, "window": 512}, 312, 88),
        ({"max_length": 64}, {"tokens": 20, "window": 64}, 20, 44),
        ({"max_length": 64}, {"tokens": 100, "window": 64, "apart": True}, 64, 63),
        ({"max_length": 300}, {"tokens": 5, "window": 300}, 5, 295),
        ({"max_gen_toks": 63}, {"tokens": 20, "window": 64}, 1, 63),
    ],
)
def test_prompt_and_answer_are_no_longer_than_the_window(told: dict[str, Any], given: dict[str, Any], kept: int, limit: int) -> None:
    """An encoder's prompt has a window of its own; the decoder's text begins by one token that counts."""
    found = prompt(told, **given)
    assert (len(found.tokens), found.limit) == (kept, limit)
    assert found.limit + (1 if given.get("apart") else len(found.tokens)) <= given["window"]


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("length", [513, 600, 1_000_000])
def test_a_length_beyond_the_window_is_refused(length: int, apart: bool) -> None:
    with pytest.raises(Invalid, match=f"max_length is {length:,}, and the model's window 512 tokens; give no more"):
        prompt({"max_length": length}, tokens=5, window=512, apart=apart)


def test_lengths_that_were_asked_for_or_are_usual_are_refused_by_their_own_number() -> None:
    with pytest.raises(Invalid, match="max_length 64 counts the prompt too, which has 64 tokens"):
        prompt({"max_length": 64}, tokens=80, window=64)
    for told, tokens in (({}, 256), ({"max_length": 64, "max_new_tokens": 70}, 70)):
        with pytest.raises(Invalid, match=f"{tokens} tokens are to be generated, and the model's length is 64"):
            prompt(told, tokens=5, window=64)
    check_window({}, window=64)
    with pytest.raises(Invalid, match=r"256 tokens are to be generated, as where nothing says how many \(max_gen_toks\), and the model's"):
        check_window({}, window=256, unsaid=256)


@pytest.mark.parametrize(
    ("told", "options", "says"),
    [
        ({"max_length": 17}, {}, "max_length is 17, and the model's window 16"), ({"max_length": 16}, {}, None),
        ({"max_length": 16}, {"max_length": "12"}, "max_length is 16, and the model's window 12"),
        ({"max_gen_toks": 16}, {}, "16 tokens are to be generated, and the model's window is 16"), ({"max_new_tokens": 15}, {}, None),
        ({"do_sample": True}, {}, None),
    ],
)  # fmt: skip
def test_a_request_for_more_than_the_window_is_refused_before_it_runs(
    tmp_path: Path, told: dict[str, Any], options: dict[str, str], says: str | None
) -> None:
    """The window is the model's, or the engine's option."""
    request = asked(ModelRef(uri=str(causal(tmp_path / "m")))).model_copy(update={
        "tasks": (TaskChoice(name="assay_copy", generation=Generation(json_text=json.dumps(told))),),
        "engine": EngineChoice(options=options),
    })  # fmt: skip
    if says is None:
        assert facts_of(request) is not None
        return
    with pytest.raises(Invalid, match=says):
        facts_of(request)
