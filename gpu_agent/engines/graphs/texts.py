"""Texts by a graph, many at once: each has a row; one that ends makes room for the next. What prompts share is computed once."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from gpu_agent.engines import overflow
from gpu_agent.engines.drawing import ALTERING, Dice, Numbers
from gpu_agent.engines.graphs.bearing import Bears
from gpu_agent.engines.graphs.graph import Graph
from gpu_agent.engines.graphs.roots import Room, Roots
from gpu_agent.engines.graphs.slots import Slots, slots_of
from gpu_agent.engines.own_settings import PLAIN, check_own
from gpu_agent.engines.stops import Stops
from gpu_agent.engines.thinking import Thought
from gpu_agent.engines.written import DEFAULTS, Prompt, Text, Written
from streams.model_memory import TOKENS_AT_ONCE, TOKENS_PER_SLOT

AT_ONCE: Final = TOKENS_AT_ONCE // TOKENS_PER_SLOT
# Texts are begun as soon as this share of the rows is free, until none is.
FREE_RATIO: Final = 0.25


class Texts:
    """Generates with one model; `config` is its own way of generating."""

    def __init__(
        self, graph: Graph, bears: Bears, tokenizer: Any, config: Any, *, engine: str, roots: Roots, room: Room, dtype: str
    ) -> None:  # fmt: skip
        self._engine = engine
        self._graph = graph
        self._bears = bears
        self._tokenizer = tokenizer
        self._config = config
        self._roots = roots
        self._room = room
        self._dtype = dtype
        ends = getattr(config, "eos_token_id", None)
        self._ends = frozenset([ends] if isinstance(ends, int) else ends or [])
        self._stops = Stops(tokenizer, is_end=self._ends.__contains__)
        usual = dict(PLAIN) | {"min_p": None}
        names = (*ALTERING, *DEFAULTS, "min_p")
        told = {name: getattr(config, name, None) for name in names}
        self._own = {name: value for name, value in told.items() if value not in (None, usual.get(name))}

    def of(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Written]]:
        """Each prompt's new tokens, with its number, as they come. Raises: OfAll, Permanent where what is given is no number."""
        together: dict[object, Text[Dice]] = {}
        for number, prompt in enumerate(prompts):
            check_own(self._config, engine=self._engine, samples=prompt.samples)
            drawn = prompt.seed if prompt.samples else None
            same = (prompt.tokens, prompt.told.until, prompt.limit, prompt.thinking, json.dumps(prompt.told.rest, sort_keys=True), drawn)
            if same not in together:
                together[same] = Text(prompt, [], Written(Thought(prompt.thinking, self._tokenizer)), Dice.of(prompt, self._own))
            together[same].waiting.append(number)
        # Those of one length lie side by side.
        waiting = sorted(together.values(), key=lambda text: (-len(text.prompt.tokens), -text.prompt.limit))
        for text in self._together(waiting):
            yield from ((number, text.written) for number in text.waiting)

    def _together(self, waiting: list[Text[Dice]]) -> Iterator[Text[Dice]]:
        """The texts as they end."""
        if not waiting:
            return
        prompts = [text.prompt.tokens for text in waiting]
        slots, root = slots_of(self._graph, self._bears, self._roots, prompts, most=min(self._room.logits, self._room.tokens))
        longest = max(len(text.prompt.tokens) + text.prompt.limit for text in waiting)
        # What is read whole for each token gives the logits of all.
        most = self._room.kept if self._bears.past else min(self._room.logits, self._room.tokens)
        count = max(1, min(AT_ONCE, most // longest))
        under_way: list[Text[Dice]] = []
        begun: list[Text[Dice]] = []
        while waiting or under_way:
            begun = self._next(waiting, under_way, least=1 if begun else max(1, FREE_RATIO * count), count=count, root=root)
            if begun:
                for text in begun:
                    text.written.moments.begin()
                waiting, first = waiting[len(begun) :], len(under_way)
                logits = slots.begin([text.prompt.tokens for text in begun])
                under_way += begun
            else:
                logits, first = slots.step([text.written.tokens[-1] for text in under_way]), 0
            yield from self._written(under_way, first, logits, slots)

    def _written(self, under_way: list[Text[Dice]], first: int, logits: Numbers, slots: Slots) -> Iterator[Text[Dice]]:
        """Goes on with the texts from `first` on; those that end are no longer under way."""
        if not np.isfinite(logits.max(-1)).all():
            raise overflow.no_numbers(self._dtype)
        likeliest = logits.argmax(-1).tolist()
        for row, text in enumerate(under_way[first:]):
            text.write(likeliest[row] if text.dice is None else self._drawn(text, text.dice, logits[row]))
        left = [row for row, text in enumerate(under_way) if row < first or not self._stops.ended(text)]
        if len(left) < len(under_way):
            ended = [text for row, text in enumerate(under_way) if row not in left]
            under_way[:] = [under_way[row] for row in left]
            slots.keep(left)
            yield from ended

    def _drawn(self, text: Text[Dice], dice: Dice, logits: Numbers) -> int:
        return dice.chosen(logits.astype(np.float64), text.written.tokens, ends=sorted(self._ends))

    def _next(
        self, waiting: Sequence[Text[Dice]], under_way: Sequence[Text[Dice]], *, least: float, count: int, root: int
    ) -> list[Text[Dice]]:
        """The next prompts to go through together: none where fewer than `least` rows are free, or other lengths in the way."""
        free = count - len(under_way)
        if not waiting or free < least or (under_way and self._bears.past and not self._bears.gaps):
            return []
        longest = len(waiting[0].prompt.tokens)
        alike = [text for text in waiting if len(text.prompt.tokens) == longest] if self._bears.past and not self._bears.gaps else waiting
        return list(alike[: min(free, max(1, self._room.tokens // max(1, longest - root)))])
