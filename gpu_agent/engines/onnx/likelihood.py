"""Log-likelihoods of continuations by an ONNX graph: what sequences share goes through once, and its keys and values to all that follow.

Sequences are a tree. What follows one and the same past goes through together, in rows that are filled up behind their ends: what stands
behind a token changes nothing of it, so that no mask is needed, which not every graph bears.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gpu_agent.engines import overflow
from gpu_agent.engines.onnx.bearing import Bears
from gpu_agent.engines.onnx.graph import Graph, Numbers, Past
from gpu_agent.engines.prefix_tree import Tokens, rows, shared
from gpu_agent.engines.scored import Likelihood, Wanted

# A shared beginning shorter than this is not worth a step of its own.
SHORTEST_ROOT: Final = 32
# Nor is what a family of sequences shares behind it.
SHORTEST_TRUNK: Final = 8
# A root at hand that is this much of the one wanted will do.
KEPT_RATIO: Final = 0.9
# Places whose logits become log-likelihoods at once.
PLACES_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class Room:
    """How much goes through at once: `tokens`; so many of them that their logits bear it; and so many with their past."""

    tokens: int
    logits: int
    kept: int

    def rows(self, *, before: int, longest: int) -> int:
        """How many rows of that length fit behind a past."""
        return max(1, min(self.tokens // max(1, longest), self.kept // max(1, before + longest)))


class Roots:
    """The beginning that many sequences share: the last one's keys and values are kept, for batch after batch and job after job."""

    def __init__(self, graph: Graph, bears: Bears, room: Room) -> None:
        self._graph = graph
        self._bears = bears
        self._room = room
        self._tokens: Tokens = ()
        self._past: Past | None = None

    def of(self, sequences: Sequence[Tokens], *, most: int) -> tuple[int, Past | None]:
        """How many tokens, at most `most`, all of the sequences begin with, and their past; 0 where that is not worth it."""
        length = min(shared(min(sequences), max(sequences)), most)
        if not self._bears.past or length < SHORTEST_ROOT or len(set(sequences)) < 2:
            return 0, None
        wanted = sequences[0][:length]
        at_hand = shared(self._tokens, wanted)
        if self._past is None or at_hand < KEPT_RATIO * length:
            self._tokens, self._past = (), None
            *_, (_, _, self._past) = columns(self._graph, filled([wanted]), None, most=min(self._room.tokens, self._room.logits))
            self._tokens, at_hand = wanted, length
        assert self._past is not None
        return at_hand, self._past if at_hand == self._past.length else self._past.first(at_hand)


def columns(graph: Graph, tokens: Numbers, past: Past | None, *, most: int) -> Iterator[tuple[int, Numbers, Past | None]]:
    """The tokens [rows, tokens] in steps of at most so many each row: where each begins, its logits, and the past behind it."""
    for first in range(0, tokens.shape[1], most):
        logits, past = graph.run(tokens[:, first : first + most], past)
        yield first, logits, past


def filled(several: Sequence[Tokens]) -> Numbers:
    """Rows of one length: the token that stands behind the end of a shorter one does not matter."""
    longest = max(map(len, several))
    return np.array([[*tokens, *[0] * (longest - len(tokens))] for tokens in several], np.int64)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Tokens of all of these sequences, up to position `end`."""

    tokens: Tokens
    sequences: tuple[Tokens, ...]
    end: int


class Likelihoods:
    """Scores sequences with one model of that dtype."""

    def __init__(self, graph: Graph, bears: Bears, *, roots: Roots, room: Room, dtype: str) -> None:
        self._graph = graph
        self._bears = bears
        self._roots = roots
        self._room = room
        self._dtype = dtype

    def of(self, asked: Sequence[Wanted]) -> Iterator[tuple[int, Likelihood]]:
        """The likelihood of each, with its number, as they come. Raises: Permanent where one is no number."""
        if not asked:
            return
        numbers: dict[Tokens, list[int]] = {}
        for number, one in enumerate(asked):
            numbers.setdefault(one.tokens, []).append(number)
        sequences = list(numbers)
        root, past = self._roots.of(sequences, most=min(len(one.tokens) - len(one.targets) for one in asked))
        scores = _Scores(asked, numbers, dtype=self._dtype)
        yield from self._behind(past, root, sequences, scores)

    def _behind(self, past: Past | None, begin: int, sequences: Sequence[Tokens], scores: "_Scores") -> Iterator[tuple[int, Likelihood]]:
        """What is scored of these sequences from position `begin` on."""
        waiting = sorted(self._stretches(sequences, begin), key=lambda one: -len(one.tokens))
        while waiting:
            count = self._count(len(waiting[0].tokens), begin)
            together, waiting = waiting[:count], waiting[count:]
            before = past.of([0] * len(together)) if past is not None and len(together) > 1 else past
            behind: Past | None = None
            for first, logits, present in columns(
                self._graph, filled([one.tokens for one in together]), before, most=self._width(together)
            ):
                yield from scores.see(together, logits, first=begin + first)
                behind = present
            for row, one in enumerate(together):
                if longer := [tokens for tokens in one.sequences if len(tokens) > one.end]:
                    assert behind is not None
                    yield from self._behind(behind.first(one.end, row=row), one.end, longer, scores)

    def _count(self, longest: int, begin: int) -> int:
        """How many rows go through at once."""
        if not self._bears.rows:
            return 1 if begin else max(1, min(self._room.rows(before=0, longest=longest), self._room.logits // longest))
        return self._room.rows(before=begin, longest=longest)

    def _width(self, together: Sequence[Stretch]) -> int:
        """How many tokens of each row go through at once; all, where what follows a past cannot be such rows."""
        alone = len(together) == 1
        divided = self._bears.past if alone else self._bears.rows
        return max(1, self._room.logits // len(together)) if divided else len(together[0].tokens)

    def _stretches(self, sequences: Sequence[Tokens], begin: int) -> Iterator[Stretch]:
        """The tokens that come next: what a family shares, where that is worth a step of its own, or all that a sequence has left."""
        for row in rows(sequences, root=begin, longest=max(map(len, sequences)) * len(sequences)):
            trunk, family = row.segments[0].tokens, tuple(row.leaves)
            if len(family) > 1 and len(trunk) >= SHORTEST_TRUNK and self._bears.past:
                yield Stretch(trunk, family, begin + len(trunk))
            else:
                yield from (Stretch(tokens[begin:], (tokens,), len(tokens)) for tokens in family)


class _Scores:
    """What is known so far of each that was asked."""

    def __init__(self, asked: Sequence[Wanted], numbers: dict[Tokens, list[int]], *, dtype: str) -> None:
        self._asked = asked
        self._numbers = numbers
        self._dtype = dtype
        self._found: defaultdict[int, list[tuple[float, bool]]] = defaultdict(list)

    def see(self, together: Sequence[Stretch], logits: Numbers, *, first: int) -> Iterator[tuple[int, Likelihood]]:
        """Takes logits [rows, tokens, vocabulary] of the stretches from position `first` on."""
        wanted = self._wanted(together, first, first + logits.shape[1])
        places = sorted(wanted)
        for start in range(0, len(places), PLACES_AT_ONCE):
            own = places[start : start + PLACES_AT_ONCE]
            outputs = logits[[row for row, _ in own], [position - first for _, position in own]]
            totals, best = _log_sums(outputs, dtype=self._dtype), outputs.argmax(-1).tolist()
            for place, output, total, likeliest in zip(own, outputs, totals, best, strict=True):
                for number, target in wanted[place]:
                    found = self._found[number]
                    found.append((float(output[target]) - total, likeliest == target))
                    if len(found) == len(self._asked[number].targets):
                        yield number, _likelihood(self._found.pop(number))

    def _wanted(self, together: Sequence[Stretch], first: int, last: int) -> Mapping[tuple[int, int], list[tuple[int, int]]]:
        """By row and position, from `first` up to `last`: which (asked, target) want what comes behind it."""
        wanted: defaultdict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        for row, stretch in enumerate(together):
            for number in (number for tokens in stretch.sequences for number in self._numbers[tokens]):
                one = self._asked[number]
                begin = len(one.tokens) - len(one.targets)
                for position in range(max(first, begin), min(stretch.end, last)):
                    wanted[row, position].append((number, one.targets[position - begin]))
        return wanted


def _log_sums(outputs: Numbers, *, dtype: str) -> list[float]:
    """log Σ exp of each row. Raises: Permanent where a row has NaN or infinity in it."""
    most = outputs.max(-1, keepdims=True)
    if not np.isfinite(most).all():
        raise overflow.no_numbers(dtype)
    sums = np.exp(outputs - most).sum(-1, dtype=np.float64)
    return [float(one) + math.log(float(total)) for one, total in zip(most[:, 0], sums, strict=True)]


def _likelihood(tokens: Sequence[tuple[float, bool]]) -> Likelihood:
    own = [value for value, _ in tokens]
    return Likelihood(math.fsum(own), all(greedy for _, greedy in tokens), np.array(own, dtype="<f4").tobytes())
