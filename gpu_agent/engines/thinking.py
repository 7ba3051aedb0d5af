"""Thinking before the answer: it ends with a text of its own, which is put in where its tokens are spent; the answer is what follows.

Stop texts are looked for in the answer only: reasoning is full of blank lines, and one of them is no end.

A text whose thinking never ends has no answer. lm-eval takes all of it for the answer, and scores what was only thought.

Source: lm-eval 0.4.13, models/utils.py, postprocess_generated_text (the answer follows the last end, without leading white space);
Muennighoff et al. 2025, s1: Simple test-time scaling, section 3.1 (budget forcing).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpu_agent.engines.engine import Thinking

LOOK_BACK = 2
# How most models that think mark it in their own texts. Source: the chat templates of DeepSeek-R1 and Qwen3.
BEGIN, END = "<think>", "</think>"


@dataclass(frozen=True, slots=True)
class Parts:
    """A text's reasoning, None where it has none, and its answer, None where the thinking never ended; `error` says so."""

    reasoning: str | None
    answer: str | None
    reasoning_tokens: int | None = None
    error: str | None = None


def spoken(text: str) -> Parts:
    """The parts of a text that came without its tokens: it is thought where it begins by the mark of that, up to the last end.

    So it is where an end comes without a beginning: some templates begin the thought within the prompt. Source: DeepSeek-R1's.
    """
    begins = text.lstrip().startswith(BEGIN)
    if not begins and (END not in text or BEGIN in text[: text.index(END)]):
        return Parts(None, text)
    reasoning, found, answer = (text.lstrip().removeprefix(BEGIN) if begins else text).rpartition(END)
    return Parts(reasoning, answer.lstrip()) if found else Parts(answer, None)


def look_back(tokenizer: Any, until: Sequence[str]) -> int:
    """How many of the newest tokens can hold one of these texts. Source: lm-eval 0.4.13, models/utils_hf.py, MultiTokenEOSCriteria."""
    return max((len(tokenizer.encode(stop, add_special_tokens=False)) + LOOK_BACK for stop in until if stop), default=1)


class Thought:
    """Where in one text's tokens its thinking ends. `ended` counts the tokens up to the last end seen, 0 where none was."""

    def __init__(self, thinking: Thinking | None, tokenizer: Any) -> None:
        self.ended = 0
        self._thinking = thinking
        self._tokenizer = tokenizer
        self._closing: list[int] = tokenizer.encode(thinking.end, add_special_tokens=False) if thinking else []
        # A model may write it in other tokens than the tokenizer, each of which has a byte or more.
        self._span = max(len(self._closing), len(thinking.end.encode())) + LOOK_BACK if thinking else 1

    @property
    def is_open(self) -> bool:
        """Whether the text is still being thought, not answered."""
        return self._thinking is not None and not self.ended

    def forced(self, count: int) -> int | None:
        """The token that must come behind so many, because the tokens to think with are spent; None where the model's own comes."""
        most = self._thinking.tokens if self._thinking else None
        if most is None or not self.is_open or not 0 <= count - most < len(self._closing):
            return None
        return self._closing[count - most]

    def see(self, tokens: Sequence[int]) -> None:
        """Looks whether the newest of the text's tokens completes an end of thinking."""
        if self._thinking is None:
            return
        newest = tokens[max(self.ended, len(tokens) - self._span) :]
        if self._thinking.end in self._tokenizer.decode(newest):
            self.ended = len(tokens)

    def part(self, tokens: Sequence[int]) -> Parts:
        """The whole text's parts, without special tokens."""
        text = self._tokenizer.decode(tokens, skip_special_tokens=True)
        if self._thinking is None:
            return Parts(None, text)
        if not self.ended:
            return Parts(text, None, len(tokens), _never(self._thinking, len(tokens)))
        reasoning, found, answer = text.rpartition(self._thinking.end)
        if not found:  # the end is a special token
            reasoning = self._tokenizer.decode(tokens[: self.ended], skip_special_tokens=True)
            answer = self._tokenizer.decode(tokens[self.ended :], skip_special_tokens=True)
        return Parts(reasoning, answer.lstrip(), self.ended)


def _never(thinking: Thinking, count: int) -> str:
    return (
        f"the thinking never ended: {count} tokens without {thinking.end!r}, so that there is no answer; give more room (max_gen_toks), or "
        "chat.thinking_tokens, after which it is ended"
    )
