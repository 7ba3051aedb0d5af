"""The texts under way in a graph, a row each: what is kept of them from step to step.

Their keys and values stand as they came: a prompt that was shorter than others beside it has a gap behind its end, which is passed over.
A graph that bears no gaps has texts of one length together; one that keeps nothing reads each text whole for each of its tokens.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from gpu_agent.engines.graphs.bearing import Bears
from gpu_agent.engines.graphs.graph import Graph, Numbers, Past
from gpu_agent.engines.graphs.roots import Roots, columns, filled
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

    def __init__(self, graph: Graph, bears: Bears, *, root: Past | None, most: int) -> None:
        self._graph = graph
        self._bears = bears
        self._root = root
        self._most = most
        self._past: Past | None = None

    def begin(self, prompts: Sequence[Tokens]) -> Numbers:
        """As `Slots` has it."""
        before = self._root.places if self._root is not None else 0
        tokens, lengths = filled([prompt[before:] for prompt in prompts]), [len(prompt) - before for prompt in prompts]
        divided = self._bears.past if len(prompts) == 1 else self._bears.rows
        most = max(1, self._most // len(prompts)) if divided else tokens.shape[1]
        found, past = dict[int, Numbers](), self._root.of([0] * len(prompts)) if self._root is not None else None
        for first, logits, present in columns(self._graph, tokens, past, most=most):
            found |= {row: logits[row, end - 1 - first] for row, end in enumerate(lengths) if 0 < end - first <= logits.shape[1]}
            begun = present
        assert begun is not None
        begun = begun.ending(lengths, before=before)
        self._past = begun if self._past is None else self._past.and_rows(begun)
        return np.stack([found[row] for row in range(len(prompts))])

    def step(self, newest: Sequence[int]) -> Numbers:
        """As `Slots` has it."""
        logits, self._past = self._graph.run(np.array([newest], np.int64).T, self._past)
        return logits[:, -1]

    def keep(self, rows: Sequence[int]) -> None:
        """As `Slots` has it. Places that no text sees any more go too."""
        self._past = self._past.of(rows) if self._past is not None and rows else None


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
    return Kept(graph, bears, root=past, most=most), root
