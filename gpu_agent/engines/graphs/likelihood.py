"""Log-likelihoods of continuations by a graph: what sequences share goes through once, and its keys and values to all that follow.

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
from gpu_agent.engines.graphs.bearing import Bears
from gpu_agent.engines.graphs.graph import Graph, Numbers, Past
from gpu_agent.engines.graphs.roots import Room, Roots, columns, filled
from gpu_agent.engines.prefix_tree import Tokens, rows
from gpu_agent.engines.scored import Likelihood, Wanted

# What a family of sequences shares is not worth a step of its own where it is shorter.
SHORTEST_TRUNK: Final = 8
# Places whose logits become log-likelihoods at once.
PLACES_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class Stretch:
    """Tokens of all of these sequences, from position `begin` on, behind that row of a past."""

    tokens: Tokens
    sequences: tuple[Tokens, ...]
    begin: int
    row: int

    @property
    def end(self) -> int:
        """The position behind its last token."""
        return self.begin + len(self.tokens)


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
        root, past = self._roots.of(list(numbers), most=min(len(one.tokens) - len(one.targets) for one in asked))
        yield from self._behind(past, self._stretches(list(numbers), root), _Scores(asked, numbers, dtype=self._dtype))

    def _behind(self, past: Past | None, stretches: Sequence[Stretch], scores: "_Scores") -> Iterator[tuple[int, Likelihood]]:
        """What is scored of these stretches and of all that follows them."""
        waiting, before = sorted(stretches, key=lambda one: -len(one.tokens)), past.places if past is not None else 0
        while waiting:
            count = self._count(len(waiting[0].tokens), before)
            together, waiting = waiting[:count], waiting[count:]
            tokens, own = filled([one.tokens for one in together]), past.of([one.row for one in together]) if past is not None else None
            behind: Past | None = None
            for first, logits, present in columns(self._graph, tokens, own, most=self._width(together)):
                yield from scores.see(together, logits, first=first)
                behind = present
            for root, longer in self._next(together, behind, before=own.places if own is not None else 0):
                yield from self._behind(root, longer, scores)

    def _next(self, together: Sequence[Stretch], behind: Past | None, *, before: int) -> Iterator[tuple[Past, list[Stretch]]]:
        """What follows these stretches, with its past: all at once where a past may have gaps, else what follows each."""
        longer = [[tokens for tokens in one.sequences if len(tokens) > one.end] for one in together]
        if behind is None or not any(longer):
            return
        if self._bears.gaps:
            several = [self._stretches(own, one.end, row) for row, (one, own) in enumerate(zip(together, longer, strict=True)) if own]
            yield behind.ending([len(one.tokens) for one in together], before=before), [one for part in several for one in part]
            return
        for row, (one, own) in enumerate(zip(together, longer, strict=True)):
            if own:
                yield behind.first(one.end, row=row), self._stretches(own, one.end)

    def _count(self, longest: int, before: int) -> int:
        """How many rows go through at once."""
        if not self._bears.rows:
            return 1 if before else max(1, min(self._room.rows(before=0, longest=longest), self._room.logits // longest))
        return self._room.rows(before=before, longest=longest)

    def _width(self, together: Sequence[Stretch]) -> int:
        """How many tokens of each row go through at once; all, where what follows a past cannot be such rows."""
        alone = len(together) == 1
        divided = self._bears.past if alone else self._bears.rows
        return max(1, self._room.logits // len(together)) if divided else len(together[0].tokens)

    def _stretches(self, sequences: Sequence[Tokens], begin: int, row: int = 0) -> list[Stretch]:
        """The tokens that come next: what a family shares, where that is worth a step of its own, or all that a sequence has left."""
        found = list[Stretch]()
        for tree in rows(sequences, root=begin, longest=max(map(len, sequences)) * len(sequences)):
            trunk, family = tree.segments[0].tokens, tuple(tree.leaves)
            if len(family) > 1 and len(trunk) >= SHORTEST_TRUNK and self._bears.past:
                found.append(Stretch(trunk, family, begin, row))
            else:
                found += [Stretch(tokens[begin:], (tokens,), begin, row) for tokens in family]
        return found


class _Scores:
    """What is known so far of each that was asked."""

    def __init__(self, asked: Sequence[Wanted], numbers: dict[Tokens, list[int]], *, dtype: str) -> None:
        self._asked = asked
        self._numbers = numbers
        self._dtype = dtype
        self._found: defaultdict[int, list[tuple[float, bool]]] = defaultdict(list)

    def see(self, together: Sequence[Stretch], logits: Numbers, *, first: int) -> Iterator[tuple[int, Likelihood]]:
        """Takes logits [rows, tokens, vocabulary] of the stretches from their tokens `first` on."""
        wanted = self._wanted(together, first, first + logits.shape[1])
        places = sorted(wanted)
        for start in range(0, len(places), PLACES_AT_ONCE):
            own = places[start : start + PLACES_AT_ONCE]
            outputs = logits[[row for row, _ in own], [number - first for _, number in own]]
            totals, best = _log_sums(outputs, dtype=self._dtype), outputs.argmax(-1).tolist()
            for place, output, total, likeliest in zip(own, outputs, totals, best, strict=True):
                for number, target in wanted[place]:
                    found = self._found[number]
                    found.append((float(output[target]) - total, likeliest == target))
                    if len(found) == len(self._asked[number].targets):
                        yield number, _likelihood(self._found.pop(number))

    def _wanted(self, together: Sequence[Stretch], first: int, last: int) -> Mapping[tuple[int, int], list[tuple[int, int]]]:
        """By row and number of a token there, from `first` up to `last`: which (asked, target) want what comes behind it."""
        wanted: defaultdict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        for row, stretch in enumerate(together):
            for number in (number for tokens in stretch.sequences for number in self._numbers[tokens]):
                one = self._asked[number]
                scored = len(one.tokens) - len(one.targets) - stretch.begin
                for place in range(max(first, scored), min(len(stretch.tokens), last)):
                    wanted[row, place].append((number, one.targets[place - scored]))
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
