"""The texts under way in an ONNX graph, a row each: what is kept of them from step to step.

Their keys and values stand as they came: a prompt that was shorter than others beside it has a gap behind its end, which is passed over.
A graph that bears no gaps has texts of one length together; one that keeps nothing reads each text whole for each of its tokens.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from gpu_agent.engines.onnx.bearing import Bears
from gpu_agent.engines.onnx.graph import Graph, Numbers, Past, Whole, past_of
from gpu_agent.engines.onnx.likelihood import Roots, columns, filled
from gpu_agent.engines.prefix_tree import Tokens


class Slots(Protocol):
    """Rows of texts; each method but `keep` gives the logits [rows, vocabulary] behind the rows that it went on with."""

    def begin(self, prompts: Sequence[Tokens]) -> Numbers:
        """Puts these texts behind those under way."""
        ...

    def step(self, newest: Sequence[int]) -> Numbers:
        """Goes on with each text by a token."""
        ...

    def keep(self, rows: Sequence[int]) -> None:
        """The other texts are over."""
        ...


class Kept:
    """Rows of keys and values. `most`: tokens whose logits are there at once."""

    def __init__(self, graph: Graph, bears: Bears, *, root: int, past: Past | None, most: int) -> None:
        self._graph = graph
        self._bears = bears
        self._root, self._root_past = root, past
        self._most = most
        self._past: Past | None = None
        self._seen: Whole = np.zeros((0, 0), np.int64)

    def begin(self, prompts: Sequence[Tokens]) -> Numbers:
        """As `Slots` has it."""
        tokens = filled([prompt[self._root :] for prompt in prompts])
        ends = [len(prompt) - self._root - 1 for prompt in prompts]
        past, before = None, self._root_past.of([0] * len(prompts)) if self._root_past is not None else None
        found: list[Numbers] = [np.empty(0)] * len(prompts)
        divided = self._bears.past if len(prompts) == 1 else self._bears.rows
        most = max(1, self._most // len(prompts)) if divided else tokens.shape[1]
        for first, logits, present in columns(self._graph, tokens, before, most=most):
            past = present
            for row, end in enumerate(ends):
                if first <= end < first + logits.shape[1]:
                    found[row] = logits[row, end - first]
        assert past is not None
        places = np.arange(past.length)
        self._join(past, np.array([places < len(prompt) for prompt in prompts], np.int64))
        return np.stack(found)

    def step(self, newest: Sequence[int]) -> Numbers:
        """As `Slots` has it."""
        positions = self._seen.sum(-1, keepdims=True)
        self._seen = np.concatenate([self._seen, np.ones((len(newest), 1), np.int64)], axis=1)
        logits, self._past = self._graph.run(np.array([newest], np.int64).T, self._past, seen=self._seen, positions=positions)
        return logits[:, -1]

    def keep(self, rows: Sequence[int]) -> None:
        """As `Slots` has it. Places that no text sees any more go too."""
        seen = self._seen[list(rows)]
        used = seen.any(axis=0)
        if self._past is None or not rows:
            self._past, self._seen = None, np.zeros((0, 0), np.int64)
            return
        self._past = past_of([array[list(rows)][:, :, used] for array in self._past.arrays()])
        self._seen = seen[:, used]

    def _join(self, past: Past, seen: Whole) -> None:
        if self._past is None:
            self._past, self._seen = past, seen
            return
        longest = max(past.length, self._past.length)
        parts = [[_widened(array, longest) for array in one.arrays()] for one in (self._past, past)]
        self._past = past_of([np.concatenate(both) for both in zip(*parts, strict=True)])
        gaps = [np.pad(one, ((0, 0), (longest - one.shape[1], 0))) for one in (self._seen, seen)]
        self._seen = np.concatenate(gaps)


class Read:
    """Rows of texts that are read whole for each token."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._texts: list[Tokens] = []

    def begin(self, prompts: Sequence[Tokens]) -> Numbers:
        """As `Slots` has it."""
        self._texts += prompts
        return self._behind(prompts)

    def step(self, newest: Sequence[int]) -> Numbers:
        """As `Slots` has it."""
        self._texts = [(*text, token) for text, token in zip(self._texts, newest, strict=True)]
        return self._behind(self._texts)

    def keep(self, rows: Sequence[int]) -> None:
        """As `Slots` has it."""
        self._texts = [self._texts[row] for row in rows]

    def _behind(self, texts: Sequence[Tokens]) -> Numbers:
        logits, _ = self._graph.run(filled(texts))
        return logits[range(len(texts)), [len(text) - 1 for text in texts]]


def slots_of(graph: Graph, bears: Bears, roots: Roots, prompts: Sequence[Tokens], *, most: int) -> tuple[Slots, int]:
    """Slots for such prompts, and how many tokens they share, which are computed once."""
    if not bears.past:
        return Read(graph), 0
    # What follows a shared beginning is several rows of several tokens.
    root, past = roots.of(prompts, most=min(map(len, prompts)) - 1) if bears.rows else (0, None)
    return Kept(graph, bears, root=root, past=past, most=most), root


def _widened(array: Numbers, length: int) -> Numbers:
    return np.pad(array, ((0, 0), (0, 0), (length - array.shape[2], 0), (0, 0)))
