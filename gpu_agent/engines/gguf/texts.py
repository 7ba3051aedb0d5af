"""Texts by llama.cpp, many at once: each is a sequence; one that ends makes room for the next, and what prompts share is computed once."""

import json
from collections.abc import Iterator, Sequence

from gpu_agent.engines.drawing import Dice
from gpu_agent.engines.gguf.cells import Cells, Place
from gpu_agent.engines.gguf.tokenizer import Tokenizer
from gpu_agent.engines.stops import Stops
from gpu_agent.engines.thinking import Thought
from gpu_agent.engines.written import Prompt, Text, Written
from streams.model_memory import TOKENS_AT_ONCE, TOKENS_PER_SLOT

AT_ONCE = TOKENS_AT_ONCE // TOKENS_PER_SLOT
UnderWay = dict[int, Text[Dice]]


class Texts:
    """Generates with one model."""

    def __init__(self, cells: Cells, tokenizer: Tokenizer, *, ends: Sequence[int]) -> None:
        self._cells = cells
        self._tokenizer = tokenizer
        self._ends = ends
        self._stops = Stops(tokenizer, is_end=tokenizer.is_end)

    def of(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Written]]:
        """Each prompt's new tokens, with its number, as they come."""
        together: dict[object, Text[Dice]] = {}
        for number, prompt in enumerate(prompts):
            drawn = prompt.seed if prompt.samples else None
            same = (prompt.tokens, prompt.told.until, prompt.limit, prompt.thinking, json.dumps(prompt.told.rest, sort_keys=True), drawn)
            if same not in together:
                together[same] = Text(prompt, [], Written(Thought(prompt.thinking, self._tokenizer)), Dice.of(prompt))
            together[same].waiting.append(number)
        waiting = sorted(together.values(), key=lambda text: -len(text.prompt.tokens) - text.prompt.limit)
        for text in self._together(waiting):
            yield from ((number, text.written) for number in text.waiting)

    def _together(self, waiting: list[Text[Dice]]) -> Iterator[Text[Dice]]:
        """The texts as they end."""
        if not waiting:
            return
        prompts = [text.prompt.tokens for text in waiting]
        root = self._cells.root(prompts, most=min(map(len, prompts)) - 1)
        under_way: UnderWay = {}
        while waiting or under_way:
            begun = self._begun(waiting, under_way, root)
            places = [place for sequence in begun for place in _prompt(sequence, begun[sequence], root)]
            places += [_newest(sequence, text) for sequence, text in under_way.items()]
            under_way = begun | under_way
            for place, number in self._cells.run(places):
                (sequence,) = places[place].sequences
                text = under_way[sequence]
                text.write(self._chosen(text, number))
                if self._stops.ended(text):
                    self._cells.end([sequence])
                    yield under_way.pop(sequence)

    def _begun(self, waiting: list[Text[Dice]], under_way: UnderWay, root: int) -> UnderWay:
        """The next texts, as many as there is room for, each a free sequence that begins with what all share."""
        begun: UnderWay = {}
        room = self._cells.capacity - root - sum(_length(text, root) for text in under_way.values())
        free = [sequence for sequence in range(1, AT_ONCE + 1) if sequence not in under_way]
        while waiting and free and _length(waiting[0], root) <= room:
            text = waiting.pop(0)
            room -= _length(text, root)
            text.written.moments.begin()
            begun[free[0]] = text
            self._cells.begin(free.pop(0))
        return begun

    def _chosen(self, text: Text[Dice], number: int) -> int:
        if text.dice is None:
            if not text.written.tokens:
                self._cells.logits(number)  # that they are numbers is looked at once a text, for all of them are copied for it
            return self._cells.likeliest(number)
        return text.dice.chosen(self._cells.logits(number), text.written.tokens, ends=self._ends)


def _length(text: Text[Dice], root: int) -> int:
    """How many cells of its own the text takes at most."""
    return len(text.prompt.tokens) + text.prompt.limit - root


def _prompt(sequence: int, text: Text[Dice], root: int) -> Iterator[Place]:
    tokens = text.prompt.tokens
    for position in range(root, len(tokens)):
        yield Place(tokens[position], position, (sequence,), position == len(tokens) - 1)


def _newest(sequence: int, text: Text[Dice]) -> Place:
    written = text.written.tokens
    return Place(written[-1], len(text.prompt.tokens) + len(written) - 1, (sequence,), True)
