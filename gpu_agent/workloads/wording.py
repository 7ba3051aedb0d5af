"""The prompts of a load on a server: words drawn by each request's seed, of as many tokens as it shall have.

A prompt begins with a mark that no other request has: of the job, its attempt and the request. So the same seed gives the same load again,
but nothing that a server could have kept from before: caches of prefixes begin at the front. Prompts that shall begin alike begin with the
mark of the job and its attempt, so that they do so among themselves alone. Where a workload wants its prompts repeated, the mark is left
out, and the same seed gives the same prompts.

With the model's tokenizer only such words are drawn as are one token behind another word, and as many fewer as the mark has tokens: the
text then has just the tokens that were asked for (what a server puts before it, as a chat's template, is not in them), and just those are
shared that shall be. Of a prompt that is shorter than its mark the mark is cut. Without a tokenizer a token is a word, and the mark comes
on top.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gpu_agent.workloads.answers import Tokens
from gpu_agent.workloads.schedule import Planned

WORDS: Final = ("the", "of", "and", "to", "in", "is", "that", "for", "on", "was", "with", "as", "it", "at", "by", "from")
MARK: Final = 12  # hexadecimal digits


@dataclass(frozen=True, slots=True)
class Wording:
    """Words to draw from. `tokens_of` counts a text's tokens, where the model's tokenizer is here and has words of one token."""

    words: Sequence[str] = WORDS
    tokens_of: Tokens | None = None


PLAIN: Final = Wording()


def wording_of(tokens_of: Tokens | None) -> Wording:
    """What to draw from with that tokenizer."""
    if tokens_of is None:
        return PLAIN
    alone = tokens_of(WORDS[0])
    single = [word for word in WORDS if tokens_of(f"{WORDS[0]} {word}") - alone == 1]
    return Wording(single, tokens_of) if single else PLAIN


def prompt_of(planned: Planned, *, mark: str, by: Wording = PLAIN) -> str:
    """The request's prompt. What it shares with others comes first, behind the mark of them all, and its own mark only then."""
    if planned.text is not None:
        return planned.text
    shared = sum(count for _, count in planned.shared)
    common = [word for name, count in planned.shared for word in _words(name, count, by)]
    own = _words(planned.seed, planned.input_tokens - shared, by)
    front = _behind("", _mark(mark) if mark else "", common, tokens=shared, by=by)
    return _behind(front, _mark(f"{mark}/{planned.index}") if mark else "", own, tokens=planned.input_tokens, by=by)


def _behind(before: str, mark: str, words: Sequence[str], *, tokens: int, by: Wording) -> str:
    """What stands before, the mark and the words behind it, so many tokens in all; of no words no mark either.

    As many words as the mark has tokens are left out, the first ones: blocks that prompts share end where they do. The mark, or the first
    word of all, which may be several tokens without one before it, is cut where there is no room for it.
    """
    if by.tokens_of is None or not words:
        return " ".join(filter(None, [before, mark if words else "", *words]))
    head = " ".join(filter(None, [before, mark or words[0]]))
    while (left := tokens - by.tokens_of(head)) < 0:
        head = head[:-1]
    return " ".join([head, *words[max(0, len(words) - left) :]])


def _words(seed: int, count: int, by: Wording) -> list[str]:
    return list(np.random.default_rng(seed).choice(by.words, count))


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:MARK]
