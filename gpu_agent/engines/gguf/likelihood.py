"""Log-likelihoods of continuations by llama.cpp: prefix trees go through the model, each token once, whoever shares it."""

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from gpu_agent.engines.gguf.cells import SEQUENCES, Cells, Place
from gpu_agent.engines.prefix_tree import Row, Tokens, packs, rows
from gpu_agent.engines.scored import Likelihood, Wanted


@dataclass(slots=True)
class Pack:
    """Rows side by side: their tokens, and for each that is scored which (asked, target) want it."""

    places: list[Place] = field(default_factory=list)
    wanting: defaultdict[int, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    sequences: int = 0


class Likelihoods:
    """Scores sequences with one model; `budget`: tokens that are laid out together."""

    def __init__(self, cells: Cells, *, budget: int) -> None:
        self._cells = cells
        self._budget = budget

    def of(self, asked: Sequence[Wanted]) -> Iterator[tuple[int, Likelihood]]:
        """The likelihood of each, with its number, as they come."""
        numbers: dict[Tokens, list[int]] = {}
        for number, one in enumerate(asked):
            numbers.setdefault(one.tokens, []).append(number)
        ordered = sorted(numbers)
        for first in range(0, len(ordered), SEQUENCES):
            own = {tokens: numbers[tokens] for tokens in ordered[first : first + SEQUENCES]}
            yield from self._together(asked, own)

    def _together(self, asked: Sequence[Wanted], numbers: dict[Tokens, list[int]]) -> Iterator[tuple[int, Likelihood]]:
        most = min(len(tokens) - len(asked[number].targets) for tokens, own in numbers.items() for number in own)
        root = self._cells.root(list(numbers), most=most)
        budget = min(self._budget, self._cells.capacity - root)
        for together in packs(rows(list(numbers), root=root, longest=budget), budget=budget):
            pack = _pack(together, asked, numbers)
            for sequence in range(1, pack.sequences + 1):
                self._cells.begin(sequence)
            yield from self._scored(pack, asked)
            self._cells.end(range(1, pack.sequences + 1))

    def _scored(self, pack: Pack, asked: Sequence[Wanted]) -> Iterator[tuple[int, Likelihood]]:
        found: dict[int, list[tuple[float, bool]]] = defaultdict(list)
        began_ns = time.perf_counter_ns()
        for place, number in self._cells.run(pack.places):
            logits = self._cells.logits(number)
            total, best = _log_sum(logits), int(logits.argmax())
            for one, target in pack.wanting[place]:
                found[one].append((float(logits[target]) - total, best == target))
                if len(found[one]) == len(asked[one].targets):
                    yield one, _likelihood(found.pop(one), began_ns=began_ns)


def _log_sum(logits: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> float:
    """log Σ exp(logits)."""
    most = float(logits.max())
    return most + math.log(float(np.exp(logits - most).sum()))


def _likelihood(tokens: Sequence[tuple[float, bool]], *, began_ns: int) -> Likelihood:
    own = [value for value, _ in tokens]
    return Likelihood(math.fsum(own), all(greedy for _, greedy in tokens), np.array(own, dtype="<f4").tobytes(), began_ns)


def _pack(together: Sequence[Row], asked: Sequence[Wanted], numbers: dict[Tokens, list[int]]) -> Pack:
    """The rows' tokens, each for all of the sequences that have it."""
    pack = Pack()
    for row in together:
        start, of = len(pack.places), defaultdict[int, list[int]](list)
        for tokens, leaf in row.leaves.items():
            pack.sequences += 1
            for segment in row.path(leaf):
                of[segment.start].append(pack.sequences)
            for one in numbers[tokens]:
                targets = asked[one].targets
                for place, target in zip(row.places(tokens, last=len(targets)), targets, strict=True):
                    pack.wanting[start + place].append((one, target))
        for segment in row.segments:
            pack.places += [
                Place(token, segment.position + n, of[segment.start], start + segment.start + n in pack.wanting)
                for n, token in enumerate(segment.tokens)
            ]
    return pack
