"""What many sequences begin with, computed once by a graph; and how much goes through it at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gpu_agent.engines.graphs.bearing import Bears
from gpu_agent.engines.graphs.graph import Graph, Numbers, Past, Whole
from gpu_agent.engines.prefix_tree import Tokens, shared

# A shared beginning shorter than this is not worth a step of its own.
SHORTEST_ROOT: Final = 32
# A root at hand that is this much of the one wanted will do.
KEPT_RATIO: Final = 0.9


@dataclass(frozen=True, slots=True)
class Room:
    """How much goes through at once: `tokens`; so many that their logits bear it; so many with their past; and with one copied for them."""

    tokens: int
    logits: int
    kept: int
    copied: int

    def rows(self, *, before: int, longest: int) -> int:
        """How many rows of that length fit behind a past."""
        most = min(self.kept, self.copied) if before else self.kept
        return max(1, min(self.tokens // longest, most // (before + longest)))


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
        return at_hand, self._past if at_hand == self._past.places else self._past.first(at_hand)


def columns(graph: Graph, tokens: Whole, past: Past | None, *, most: int) -> Iterator[tuple[int, Numbers, Past | None]]:
    """The tokens [rows, tokens] in steps of at most so many each row: where each begins, its logits, and the past behind it."""
    for first in range(0, tokens.shape[1], most):
        logits, past = graph.run(tokens[:, first : first + most], past)
        yield first, logits, past


def filled(several: Sequence[Tokens]) -> Whole:
    """Rows of one length: the token that stands behind the end of a shorter one does not matter."""
    longest = max(map(len, several))
    return np.array([[*tokens, *[0] * (longest - len(tokens))] for tokens in several], np.int64)
