"""Keys and values in llama.cpp: cells, each of one or many sequences. What sequences share is computed once, and stands once.

A token that several sequences have in common is decoded once, for all of them. Sequence 0 holds the beginning that all share, for batch
after batch; others take it over by reference (`memory_seq_cp` in a unified cache copies no numbers).
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpu_agent.engines import overflow
from gpu_agent.engines.prefix_tree import Tokens, shared

# Tokens that go through the model at once, llama.cpp's own size of a step.
STEP_TOKENS = 512
# Sequences beside the shared beginning; llama.cpp has room for 256.
SEQUENCES = 255
# A shared beginning shorter than this is not worth a step of its own.
SHORTEST_ROOT = 32


class Place(NamedTuple):
    """A token at its position in its sequences; `wanted`: what comes behind it is."""

    token: int
    position: int
    sequences: Sequence[int]
    wanted: bool


class Cells:
    """One context with its sequences; `kv`: what keys and values are kept as."""

    def __init__(self, context: Any, batch: Any, greedy: Any, *, kv: str) -> None:
        self._context = context
        self._kv = kv
        self._batch = batch
        self._greedy = greedy
        self._root: Tokens = ()
        self.capacity = int(context.n_ctx)

    def root(self, sequences: Sequence[Tokens], *, most: int) -> int:
        """How many tokens, at most `most`, all of these begin with, which sequence 0 then holds; 0 where that is not worth it."""
        length = min(shared(min(sequences), max(sequences)), most)
        if length < SHORTEST_ROOT or len(set(sequences)) < 2:
            length = 0
        wanted = sequences[0][:length]
        there = shared(self._root, wanted)
        self._context.memory_seq_rm(0, there, -1)
        self._root = wanted[:there]
        for _ in self.run([Place(token, there + n, (0,), False) for n, token in enumerate(wanted[there:])]):
            pass
        self._root = wanted
        return length

    def begin(self, sequence: int) -> None:
        """The sequence begins with what sequence 0 holds."""
        if self._root:
            self._context.memory_seq_cp(0, sequence, 0, len(self._root))

    def end(self, sequences: Sequence[int]) -> None:
        """The sequences are over, and their cells free."""
        for sequence in sequences:
            self._context.memory_seq_rm(sequence, 0, -1)

    def clear(self) -> None:
        """Nothing is held any more: after a step that failed nobody knows what is."""
        self._root = ()
        self._context.kv_cache_clear()

    def run(self, places: Sequence[Place]) -> Iterator[tuple[int, int]]:
        """Decodes the tokens in order; for each that is wanted its number here, and its number in the step, while that is the last."""
        for first in range(0, len(places), STEP_TOKENS):
            step = places[first : first + STEP_TOKENS]
            self._batch.reset()
            for place in step:
                self._batch.add(place.token, place.position, list(place.sequences), place.wanted)
            self._context.decode(self._batch)
            yield from ((first + n, n) for n, place in enumerate(step) if place.wanted)

    def logits(self, number: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """What the model gives for each token of its vocabulary behind that token of the last step.

        Raises: Permanent where that is no number.
        """
        logits = np.array(self._context.get_logits_ith(number), dtype=np.float64)
        overflow.check_row(logits, dtype=self._kv, hint="give option kv=float32")
        return logits

    def likeliest(self, number: int) -> int:
        """The likeliest token behind that token of the last step."""
        return int(self._greedy.sample(self._context, number))
