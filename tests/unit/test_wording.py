"""Prompts of as many tokens as were asked for, by the model's own tokenizer."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_agent.workloads.schedule import Planned, schedule
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


@given(st.integers(1, 200), st.sampled_from(["", "run/perf/1"]), st.sampled_from([0.0, 0.1, 0.5, 0.97, 1.0]))
def test_a_prompt_has_as_many_tokens_as_were_asked_for(tokens: int, mark: str, shared: float) -> None:
    """Its mark, or as much of it as there is room for, and what it shares with others in them."""
    told = Workload(requests=5, warmup_requests=0, input_tokens=tokens, shared_prefix_ratio=shared, shared_prefixes=2)
    found = list(prompts(told, mark=mark, by=wording_of(counting())))
    assert {counting()(one) for one in found} == {tokens}
    assert len(set(found)) == 5 or tokens - round(shared * tokens) < 20


@given(st.integers(2, 200), st.sampled_from(["", "run/perf/1"]))
def test_what_is_shared_is_as_long_as_was_asked_for(tokens: int, mark: str) -> None:
    """The mark of all in it; and of blocks, those that are the same begin a prompt's text alike."""
    by = wording_of(counting())
    one = Planned(0, "steady", None, tokens + 30, 1, 7, shared=((5, tokens // 2), (6, tokens - tokens // 2)))
    front = prompt_of(replace(one, input_tokens=tokens), mark=mark, by=by)
    assert counting()(front) == tokens and prompt_of(one, mark=mark, by=by).startswith(front)
    more = replace(one, index=1, seed=8, input_tokens=tokens + 40, shared=(*one.shared, (9, 10)))
    assert prompt_of(more, mark=mark, by=by).startswith(front)


@pytest.mark.parametrize("mark", ["", "run/perf/1"])
def test_without_a_tokenizer_a_token_is_a_word_behind_the_mark(mark: str) -> None:
    """As many as were asked for."""
    (found,) = prompts(Workload(requests=1, warmup_requests=0, input_tokens=30), mark=mark, by=Wording())
    assert len(found.split()) == 30 + bool(mark)
