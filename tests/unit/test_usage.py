"""A server's counts beside its texts': what special tokens and another cut explain is nothing, what they do not is said."""

from typing import Any

import pytest

from tests.unit.test_speed import figures, request


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


def test_without_a_tokenizer_nothing_is_compared() -> None:
    """Nor is anything of an engine of ours, which counts them itself."""
    for counted_by in ("usage", "engine", "tokenizer"):
        found = figures([request(0, sent=0, first=1, last=9, counted_by=counted_by)])
        assert found["usage_contradicted"].value is None and "no tokenizer" in (found["usage_contradicted"].why_undefined or "")
