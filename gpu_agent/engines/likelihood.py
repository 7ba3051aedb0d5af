"""Log-likelihoods of continuations: whatever sequences share is computed once, and the output head runs where something is scored.

Models that attend otherwise (state spaces, position biases, code of their own) take the plain path: one sequence at a time. Which path
is a model's is tried when it is loaded: both must say the same of a small tree.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from inspect import signature
from typing import Any

import torch

from gpu_agent.engines import overflow
from gpu_agent.engines.engine import Halved
from gpu_agent.engines.failures import is_out_of_memory
from gpu_agent.engines.memory import Budget
from gpu_agent.engines.prefix_tree import Row, Tokens, packs, rows, shared
from gpu_agent.engines.scored import Likelihood, Wanted
from gpu_agent.engines.tree_attention import KeyValues, Pack, pack_of
from infra.model_shapes import shape_of
from streams.model_memory import scored_at_once

# A shared beginning shorter than this is not worth a forward of its own.
SHORTEST_ROOT = 32
# A root at hand that is this much of the one wanted will do.
KEPT_RATIO = 0.9
# Places whose logits become log-likelihoods at once.
ROWS_AT_ONCE = 64


def forward(model: Any, pack: Pack, *, keep: torch.Tensor | int) -> torch.Tensor:
    """Logits at the places of the pack that `keep` names, or at its last ones; [places, vocabulary]."""
    # A mask of four dimensions is passed on as it is; the pack says what is seen.
    none = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=pack.tokens.device)
    out = model(input_ids=pack.tokens, position_ids=pack.positions, attention_mask=none, use_cache=False, pack=pack, logits_to_keep=keep)
    logits: torch.Tensor = out.logits[0]
    return logits


def keeping(model: Any, count: int) -> dict[str, int]:
    """What tells a model to run its output head on the last `count` tokens alone, where it can be told."""
    return {"logits_to_keep": count} if "logits_to_keep" in signature(model.forward).parameters else {}


class Roots:
    """The beginning that many sequences share: the last one's keys and values are kept, for batch after batch and job after job."""

    def __init__(self, model: Any, device: torch.device) -> None:
        self._model = model
        self._device = device
        self._tokens: Tokens = ()
        self._kept: KeyValues = {}

    def of(self, sequences: Sequence[Tokens], *, most: int) -> tuple[int, KeyValues]:
        """How many tokens, at most `most`, all of the sequences begin with, and their keys and values; 0 where they are not worth it."""
        length = min(shared(min(sequences), max(sequences)), most)
        if length < SHORTEST_ROOT or len(set(sequences)) < 2:
            return 0, {}
        wanted_root = sequences[0][:length]
        at_hand = shared(self._tokens, wanted_root)
        if at_hand < KEPT_RATIO * length:
            self._compute(wanted_root)
            at_hand = length
        return at_hand, {layer: (key[:, :, :at_hand], value[:, :, :at_hand]) for layer, (key, value) in self._kept.items()}

    def _compute(self, tokens: Tokens) -> None:
        self._tokens, self._kept = (), {}
        pack = pack_of(rows([tokens], root=0, longest=len(tokens)), device=self._device)
        pack.keep = True
        forward(self._model, pack, keep=1)
        self._tokens, self._kept = tokens, pack.kept


class Likelihoods:
    """Scores sequences with one model."""

    def __init__(self, model: Any, *, device: torch.device, budget: Budget, roots: Roots | None) -> None:
        self._model = model
        self._device = device
        self._budget = budget
        self._roots = roots
        self._most = scored_at_once(shape_of(model.config.to_dict()).vocabulary, int(model.dtype.itemsize))

    @property
    def shares(self) -> bool:
        """Whether the model takes trees."""
        return self._roots is not None

    def of(self, asked: Sequence[Wanted]) -> Iterator[tuple[int, Likelihood] | Halved]:
        """The likelihood of each, with its number, as they come; where memory runs out, smaller packs go on. Raises: Temporary."""
        if self._roots is None:
            yield from ((number, self._alone(one)) for number, one in enumerate(asked))
            return
        left: dict[Tokens, list[int]] = {}
        for number, one in enumerate(asked):
            left.setdefault(one.tokens, []).append(number)
        while left:
            try:
                for number, likelihood in self._packed(asked, dict(left), self._roots):
                    left.pop(asked[number].tokens, None)
                    yield number, likelihood
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            if left:
                self._budget.halve(self._device)
                yield Halved(self._budget.text)

    def _packed(self, asked: Sequence[Wanted], numbers: dict[Tokens, list[int]], roots: Roots) -> Iterator[tuple[int, Likelihood]]:
        most = min(len(one.tokens) - len(one.targets) for one in asked)
        root, kept = roots.of(list(numbers), most=most)
        found = rows(list(numbers), root=root, longest=self._budget.tokens)
        targets = {sequence: max(len(asked[number].targets) for number in several) for sequence, several in numbers.items()}
        for together in _bounded(packs(found, budget=self._budget.tokens), targets, most=self._most):
            members = [number for row in together for sequence in row.leaves for number in numbers[sequence]]
            yield from zip(members, self._scored(together, [asked[number] for number in members], kept), strict=True)

    def _scored(self, together: Sequence[Row], asked: Sequence[Wanted], root: KeyValues) -> list[Likelihood]:
        """Likelihoods of all that a pack of rows holds, from one forward."""
        began_ns = time.perf_counter_ns()
        pack = pack_of(together, device=self._device)
        pack.root = root
        start, row_of = 0, dict[Tokens, tuple[int, Row]]()
        for row in together:
            row_of |= {sequence: (start, row) for sequence in row.leaves}
            start += row.length
        places = [_places(*row_of[one.tokens], one=one) for one in asked]
        kept = sorted({place for several in places for place in several})
        number = {place: n for n, place in enumerate(kept)}
        logits = forward(self._model, pack, keep=torch.tensor(kept, dtype=torch.long, device=self._device))
        return likelihoods_of(logits, [[number[place] for place in several] for several in places], [one.targets for one in asked],
                              began_ns=began_ns)  # fmt: skip

    def _alone(self, one: Wanted) -> Likelihood:
        began_ns = time.perf_counter_ns()
        tokens = torch.tensor([one.tokens], device=self._device)
        count = len(one.targets)
        logits = self._model(tokens, **keeping(self._model, count)).logits[0]
        logits = logits[len(logits) - count :]
        return likelihoods_of(logits, [list(range(count))], [one.targets], began_ns=began_ns)[0]


def _bounded(packed: Iterable[list[Row]], targets: Mapping[Tokens, int], *, most: int) -> Iterator[list[Row]]:
    """The packs, those divided in which more than `most` places would be scored; a row is never divided."""
    for rows_together in packed:
        part, places = list[Row](), 0
        for row in rows_together:
            own = min(row.length, sum(targets[sequence] for sequence in row.leaves))
            if part and places + own > most:
                yield part
                part, places = [], 0
            part.append(row)
            places += own
        yield part


def _places(start: int, row: Row, *, one: Wanted) -> list[int]:
    return [start + place for place in row.places(one.tokens, last=len(one.targets))]


def likelihoods_of(logits: torch.Tensor, places: Sequence[Sequence[int]], targets: Sequence[Tokens], *, began_ns: int) -> list[Likelihood]:
    """Each sequence's likelihood from its places among the logits, [places, vocabulary]. Raises: Permanent where these are no numbers."""
    overflow.check(logits, dtype=logits.dtype)
    at = torch.tensor([place for several in places for place in several], dtype=torch.long, device=logits.device)
    token = torch.tensor([token for several in targets for token in several], dtype=torch.long, device=logits.device)
    every, likeliest = torch.empty_like(at, dtype=logits.dtype), (logits.argmax(-1)[at] == token).tolist()
    for first in range(0, len(logits), ROWS_AT_ONCE):  # all at once they would take the logits' memory twice
        own = (at >= first) & (at < first + ROWS_AT_ONCE)
        every[own] = torch.log_softmax(logits[first : first + ROWS_AT_ONCE], dim=-1)[at[own] - first, token[own]]
    every = every.cpu()
    found, begin = [], 0
    for several in targets:
        own, end = every[begin : begin + len(several)], begin + len(several)
        found.append(Likelihood(float(own.sum()), all(likeliest[begin:end]), own.float().numpy().astype("<f4").tobytes(), began_ns))
        begin = end
    return found
