"""Answers as they are held to be compared: packed, with hashes for texts; and in what those of a run and of its audit differ.

Compared are prompts, failures, texts with their reasoning (and how much of them was cut), log-likelihoods, and whether an answer is the
likeliest. Counts of tokens, why an answer ended, and the log-probabilities of its tokens are not.
"""

import hashlib
import math
from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from schemas.event import Text
from schemas.measurements import Answer, SampleAnswered

HASH: Final = 16  # bytes of a hash that are held
ANSWER: Final = Struct(f"<iidB{HASH}s")
FAILED, LIKELY, KNOWN, GREEDY = 1, 2, 4, 8
TOLERANCE: Final = 1e-4  # of log-likelihoods and scores: absolute, or of the greater of the two
Difference = tuple[str, str]  # its kind, and in words


class Said(NamedTuple):
    """An answer; of its texts the hash."""

    request: int
    draw: int
    number: float
    flags: int
    texts: bytes

    @property
    def name(self) -> str:
        """Which answer it is."""
        return f"request {self.request}" + (f", draw {self.draw}" if self.draw else "")

    @property
    def likelihood(self) -> float | None:
        """Its log-likelihood."""
        return self.number if self.flags & LIKELY else None

    @property
    def greedy(self) -> bool | None:
        """Whether it is the likeliest."""
        return bool(self.flags & GREEDY) if self.flags & KNOWN else None


def alike(one: float | None, other: float | None) -> bool:
    """Whether two figures are the same within the tolerance; two that are not there are."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def figure(value: float | None) -> str:
    """A figure in words."""
    return "none" if value is None else f"{value:.6g}"


def held(event: SampleAnswered) -> bytes:
    """What of an answered sample is compared: the hash of its prompts, and its answers in their order."""
    answers = sorted(event.answers, key=lambda one: (one.request_index, one.draw))
    return _hash(event.arguments_sha.encode()) + b"".join(map(_packed, answers))


def _packed(one: Answer) -> bytes:
    flags = FAILED * (one.error is not None) + LIKELY * (one.loglikelihood is not None)
    flags += KNOWN * (one.is_greedy is not None) + GREEDY * bool(one.is_greedy)
    texts = b"".join(map(_framed, (one.output, one.reasoning))) + f"{one.output_cut_bytes}/{one.reasoning_cut_bytes}".encode()
    return ANSWER.pack(one.request_index, one.draw, one.loglikelihood or 0.0, flags, _hash(texts))


def _framed(text: Text | None) -> bytes:
    return b"-" if text is None else f"{len(text.bytes)}:".encode() + text.bytes


def _hash(told: bytes) -> bytes:
    return hashlib.sha256(told).digest()[:HASH]


def _said(sample: bytes) -> list[Said]:
    return [Said(*one) for one in ANSWER.iter_unpack(sample[HASH:])]


def fails_in_both(run: bytes, audit: bytes) -> bool:
    """Whether an answer failed on both sides: then nobody knows what the model says."""
    return any(own.flags & other.flags & FAILED for own, other in zip(_said(run), _said(audit), strict=False))


def differs(run: bytes, audit: bytes) -> list[Difference]:
    """In what the answers to one sample differ. Those to other prompts are not looked at."""
    if run == audit:
        return []
    if run[:HASH] != audit[:HASH]:
        return [("prompt", "asked otherwise")]
    own, others = _said(run), _said(audit)
    if [one[:2] for one in own] != [one[:2] for one in others]:
        return [("error", f"{len(own)} answers and {len(others)}")]
    return [told for one, other in zip(own, others, strict=True) for told in _differs(one, other)]


def _differs(run: Said, audit: Said) -> Iterator[Difference]:
    if (run.flags ^ audit.flags) & FAILED:
        yield "error", f"{run.name} failed in the {'run' if run.flags & FAILED else 'audit'} alone"
    if run.texts != audit.texts:
        yield "text", f"the text of {run.name}"
    if not alike(run.likelihood, audit.likelihood):
        yield "likelihood", f"the log-likelihood of {run.name}: {figure(run.likelihood)} and {figure(audit.likelihood)}"
    if run.greedy != audit.greedy:
        yield "greedy", f"whether the answer of {run.name} is the likeliest: {_yes(run.greedy)} and {_yes(audit.greedy)}"


def _yes(value: bool | None) -> str:
    return "unknown" if value is None else "yes" if value else "no"
