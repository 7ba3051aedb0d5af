"""A server's counts beside its texts': what special tokens and another cut explain is nothing, what they do not is said."""

from typing import Any

import pytest

from schemas.requests import Traced, Workload
from schemas.results import Figure
from streams.speed.performance import Speed
from streams.speed.usage import Asked, asked_of
from tests.unit.test_speed import JOB, figures, request


def told(**counted: Any) -> dict[str, Any]:
    """A request's counts, by usage."""
    return {"counted_by": "usage", "prompt_tokens": 20, "text_prompt_tokens": 20, "output_tokens": 32, "text_tokens": 32,
            "text_reasoning_tokens": 0} | counted  # fmt: skip


@pytest.mark.parametrize(
    ("counted", "says"),
    [
        ({}, None),
        ({"output_tokens": 33}, None),  # the end of the text
        ({"output_tokens": 38}, None),  # and a text that is cut otherwise
        ({"output_tokens": 40}, "usage says 40 output tokens, the text has 32 (1 of 2)"),
        ({"output_tokens": 20}, "usage says 20 output tokens, the text has 32 (1 of 2)"),
        ({"output_tokens": 64, "reasoning_tokens": 32}, None),  # hidden
        ({"output_tokens": 32, "reasoning_tokens": 20, "text_reasoning_tokens": 20}, None),
        ({"output_tokens": 52, "reasoning_tokens": 20, "text_reasoning_tokens": 20}, "usage says 52 output tokens"),  # counted twice
        ({"output_tokens": 932, "reasoning_tokens": 910, "text_reasoning_tokens": 10}, None),  # a summary of it
        ({"prompt_tokens": 9}, "usage says 9 prompt tokens, the text has 20"),  # cut, or without what was cached
        ({"prompt_tokens": 280}, None),  # a template
        ({"prompt_tokens": 480}, "usage says 480 prompt tokens, the text has 20"),
    ],
)
def test_a_usage_that_contradicts_the_text_is_said(counted: dict[str, Any], says: str | None) -> None:
    """Of one request of two; the figures rest on the usage."""
    one = told(**counted)
    found = figures([request(0, sent=0, first=1, last=9, **told()), request(1, sent=10, first=11, last=19, **one)])
    contradicted = found["usage_contradicted"]
    assert (contradicted.value, contradicted.n) == (0 if says is None else 1, 2)
    assert (contradicted.origin or "").startswith(says or "") and (contradicted.origin is None) is (says is None)
    assert (found["text_tokens"].value, found["output_tokens"].value) == (64, 32 + one["output_tokens"])


def asked_for(least: int, most: int, *counted: Any) -> dict[str, Figure]:
    """The figures of requests whose answers were to be so long, without any tokenizer."""
    speed = Speed(JOB)
    for n, one in enumerate(counted):
        plain = {"counted_by": "usage", "prompt_tokens": 20} | one
        speed.add(request(n, sent=10 * n, first=10 * n + 1, last=10 * n + 9, **plain))
    return {figure.metric: figure for figure in speed.summary(asked=Asked(least, most)).figures}


def test_a_usage_above_what_was_asked_for_cannot_be_right() -> None:
    """It needs no tokenizer to see that; reasoning that a server bounds by itself is none of it."""
    found = asked_for(
        8, 8, {"output_tokens": 16}, {"output_tokens": 8}, {"output_tokens": 9}, {"output_tokens": 40, "reasoning_tokens": 32}
    )
    told = found["usage_contradicted"]
    assert (told.value, told.n) == (2, 4)
    assert told.origin == "usage says 16 output tokens, at most 8 were asked for (so, or nearly, 2 of 4)"
    assert (found["text_tokens"].value, found["output_tokens"].value) == (None, 73)  # figures rest on the usage all the same
    ours = asked_for(8, 8, {"output_tokens": 16, "counted_by": "tokenizer"})["usage_contradicted"]
    assert ours.value is None and "no usage was told" in (ours.why_undefined or "")


def test_answers_that_are_shorter_than_asked_for_are_counted() -> None:
    """Below the shortest that was asked for; what is not counted at all is none."""
    found = asked_for(8, 32, {"output_tokens": 3}, {"output_tokens": 7}, {"output_tokens": 8}, {"output_tokens": 32})["answers_short"]
    assert (found.value, found.n, found.origin) == (2, 4, "the shortest has 3 of 8 tokens")
    none = asked_for(8, 8, {"output_tokens": 0, "counted_by": "none"})["answers_short"]
    assert none.value is None and none.why_undefined == "nothing counts the tokens of the answers"


def test_a_contradiction_is_counted_once_a_request() -> None:
    """Though both its text and what was asked for contradict it."""
    told = asked_for(8, 8, {"output_tokens": 40, "text_tokens": 8, "text_reasoning_tokens": 0, "text_prompt_tokens": 20})
    assert told["usage_contradicted"].value == 1
    assert told["usage_contradicted"].origin == (
        "usage says 40 output tokens, the text has 8 (1 of 1); usage says 40 output tokens, at most 8 were asked for (1 of 1)"
    )


def test_a_trace_asks_for_the_lengths_that_it_has() -> None:
    """Any other load for its own."""
    trace = tuple(Traced(at_ms=n, input_tokens=5, output_tokens=one) for n, one in enumerate((7, 100, 3)))
    assert asked_of(Workload(profile="trace", trace=trace)) == Asked(3, 100)
    assert asked_of(Workload(output_tokens=9)) == Asked(9, 9)


def test_without_a_tokenizer_nothing_is_compared() -> None:
    """Nor is anything of an engine of ours, which counts them itself."""
    for counted_by in ("usage", "engine", "tokenizer"):
        found = figures([request(0, sent=0, first=1, last=9, counted_by=counted_by)])
        assert found["usage_contradicted"].value is None and "no tokenizer" in (found["usage_contradicted"].why_undefined or "")
