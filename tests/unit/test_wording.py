"""Prompts of as many tokens as were asked for, by the model's own tokenizer."""

from collections.abc import Callable, Iterator
from functools import cache

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gpu_agent.workloads.schedule import schedule
from gpu_agent.workloads.wording import WORDS, Wording, prompt_of, wording_of
from schemas.requests import Workload
from tests.models import tiny_tokenizer


@cache
def counting() -> Callable[[str], int]:
    """A real tokenizer's count, in which some of the words are one token and others several."""
    tokenizer = tiny_tokenizer()
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))


def prompts(told: Workload, *, mark: str, by: Wording) -> Iterator[str]:
    """Those of a load."""
    return (prompt_of(one, mark=mark, by=by) for one in schedule(told, seed=5)[1])


def test_words_are_drawn_that_are_one_token() -> None:
    """Of a tokenizer that has some; of none, all."""
    by = wording_of(counting())
    assert 0 < len(by.words) < len(WORDS) and all(counting()(f"the {word}") == counting()("the") + 1 for word in by.words)
    assert wording_of(None) == wording_of(lambda text: 3 * len(text.split())) == Wording()


@given(st.integers(20, 200), st.sampled_from(["", "run/perf/1"]), st.sampled_from([0.0, 0.5]))
def test_a_prompt_has_as_many_tokens_as_were_asked_for(tokens: int, mark: str, shared: float) -> None:
    """Its mark and what it shares with others in them."""
    assume(tokens >= 60 or not shared)  # two marks take what is left for its own words
    told = Workload(requests=5, warmup_requests=0, input_tokens=tokens, shared_prefix_ratio=shared, shared_prefixes=2)
    found = list(prompts(told, mark=mark, by=wording_of(counting())))
    assert {counting()(one) for one in found} == {tokens}
    assert len(set(found)) == 5


@pytest.mark.parametrize("mark", ["", "run/perf/1"])
def test_without_a_tokenizer_a_token_is_a_word_behind_the_mark(mark: str) -> None:
    """As many as were asked for."""
    (found,) = prompts(Workload(requests=1, warmup_requests=0, input_tokens=30), mark=mark, by=Wording())
    assert len(found.split()) == 30 + bool(mark)
