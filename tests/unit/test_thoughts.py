"""The end of a thought is seen in whichever tokens a model writes it."""

import pytest

from gpu_agent.engines.engine import Thinking
from gpu_agent.engines.thinking import Thought
from tests.models import tiny_tokenizer


@pytest.mark.parametrize("end", ["Answer: A tree, a flower", "</think>", "ünïcödé"])
def test_an_end_in_other_tokens_than_the_tokenizers_ends_a_thought(end: str) -> None:
    """Byte by byte, between other words."""
    tokenizer = tiny_tokenizer()
    own = tokenizer.encode(end, add_special_tokens=False)
    apart = [token for letter in end for token in tokenizer.encode(letter, add_special_tokens=False)]
    assert len(apart) >= len(own)
    for closing in (own, apart):
        thought, tokens = Thought(Thinking(end), tokenizer), []
        for token in [*tokenizer.encode("hm "), *closing, *tokenizer.encode(" 12")]:
            tokens.append(token)
            thought.see(tokens)
        assert not thought.is_open and thought.ended == len(tokenizer.encode("hm ")) + len(closing)
        parts = thought.part(tokens)
        assert (parts.reasoning, parts.answer, parts.error) == ("hm ", "12", None)
