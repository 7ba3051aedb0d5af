"""Texts, many at once: every text has a slot of keys and values, written in place; a text that ends makes room for the next.

Prompts go through the model packed, without padding, and what they share is computed once. What is neither greedy search nor plain
sampling (beams, penalties) is left to the model's own `generate`, one request at a time, its draws by its seed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from gpu_agent.engines import overflow
from gpu_agent.engines.devices import free_bytes
from gpu_agent.engines.engine import Halved
from gpu_agent.engines.failures import is_out_of_memory
from gpu_agent.engines.likelihood import Roots, forward
from gpu_agent.engines.memory import FREE_RATIO, Budget
from gpu_agent.engines.own_settings import PLAIN, PLAIN_SAMPLING, leaves
from gpu_agent.engines.prefix_tree import Row, Segment, Tokens
from gpu_agent.engines.sampling import Dice, Sampling, chosen
from gpu_agent.engines.searched import Searched, stops_of
from gpu_agent.engines.thinking import Thought
from gpu_agent.engines.tree_attention import KeyValues, Layer, additive, joined, pack_of, partial, rooted
from gpu_agent.engines.written import Prompt, Text, Written
from infra.model_shapes import shape_of
from streams.model_memory import TOKENS_PER_SLOT, slots_bytes


@dataclass(slots=True)
class Slots:
    """Keys and values of the texts under way, by layer [slots, heads, places, size]; `lengths`: how many places each has filled.

    The beginning that all of them share, `base` tokens, is held once, as `root`, and takes no places.
    """

    count: int
    places: int
    base: int
    root: KeyValues
    layers: KeyValues = field(default_factory=dict)
    lengths: list[int] = field(default_factory=list)
    masks: dict[int | None, torch.Tensor] = field(default_factory=dict)
    at: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))

    def attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, layer: Layer) -> torch.Tensor:
        """One step of every text: its new token's keys and values take their place, and it sees all that is filled."""
        keys, values = self.layers[layer.number]
        rows, heads, _, size = query.shape
        slot = torch.arange(rows, device=query.device)
        keys[slot, :, self.at], values[slot, :, self.at] = key[:, :, 0], value[:, :, 0]
        width = max(self.lengths) + 1
        folded = query.view(rows, key.shape[1], heads // key.shape[1], size)
        mask = self._mask(layer.window, width=width, like=query)
        output, weight = partial(folded, keys[:rows, :, :width], values[:rows, :, :width], mask=mask, scale=layer.scale)
        output, weight = output.reshape(rows, heads, 1, -1), weight.reshape(rows, heads, 1)
        if not self.root:
            return output
        # To the root the texts' new tokens are as those of one text.
        shared, total = rooted(query.permute(2, 1, 0, 3), *self.root[layer.number], positions=self.at + self.base, layer=layer)
        return joined(output, weight, shared.permute(2, 1, 0, 3), total.permute(2, 1, 0))

    def _mask(self, window: int | None, *, width: int, like: torch.Tensor) -> torch.Tensor:
        if window not in self.masks:
            behind = self.at[:, None] - torch.arange(width, device=like.device)
            seen = behind >= 0 if window is None else (behind >= 0) & (behind < window)
            self.masks[window] = additive(seen, like)[:, None, None]
        return self.masks[window]

    def step(self, device: torch.device) -> None:
        """Before each step: where the new tokens go."""
        self.at = torch.tensor(self.lengths, device=device)
        self.masks.clear()

    def fill(self, kept: KeyValues, *, starts: Sequence[int], lengths: Sequence[int]) -> None:
        """Takes texts from a pack into the next free slots: what each has behind the root."""
        first = len(self.lengths)
        for layer, own in kept.items():
            if layer not in self.layers:
                made = (part.new_zeros(self.count, part.shape[1], self.places, part.shape[3]) for part in own)
                self.layers[layer] = (next(made), next(made))
            for n, part in enumerate(own):
                store = self.layers[layer][n]
                for number, (start, length) in enumerate(zip(starts, lengths, strict=True)):
                    store[first + number, :, :length] = part[0, :, start : start + length]
        self.lengths += lengths

    def drop(self, slot: int) -> None:
        """Frees a slot; the last one's text moves into it."""
        last = len(self.lengths) - 1
        if slot != last:
            for store in (part for own in self.layers.values() for part in own):
                store[slot, :, : self.lengths[last]] = store[last, :, : self.lengths[last]]
            self.lengths[slot] = self.lengths[last]
        self.lengths.pop()


class Texts:
    """Generates with one model."""

    def __init__(self, model: Any, tokenizer: Any, *, device: torch.device, budget: Budget, roots: Roots | None) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._device = device
        self._budget = budget
        self._roots = roots if leaves(model.generation_config, PLAIN) else None
        self._draws = leaves(model.generation_config, PLAIN_SAMPLING)
        self._stops = stops_of(model, tokenizer)
        self._searched = Searched(model, tokenizer, device=device, stops=self._stops)
        self._weights_bytes = sum(one.numel() * one.element_size() for one in model.parameters())
        self._bytes_per_place = shape_of(model.config.to_dict()).kv_numbers * int(model.dtype.itemsize)

    def of(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Written] | Halved]:
        """Each prompt's new tokens, with its number, as they come; where memory runs out, fewer at once go on. Raises: Temporary."""
        together: dict[object, tuple[Prompt, Sampling | None, list[int]]] = {}
        for number, prompt in enumerate(prompts):
            if self._roots is None or not prompt.is_plain or (prompt.samples and not self._draws):
                yield number, self._searched.of([prompt])[0]
            else:
                sampling = Sampling.told(prompt.told.rest, self._model.generation_config)
                same = (prompt.tokens, prompt.told.until, prompt.limit, prompt.thinking, sampling, sampling and prompt.seed)
                together.setdefault(same, (prompt, sampling, []))[2].append(number)
        left = sorted(together.values(), key=lambda one: -len(one[0].tokens) - one[0].limit)
        while left and self._roots is not None:
            try:
                for text in self._together([self._text(*one) for one in left], self._roots):
                    left = [other for other in left if other[2] is not text.waiting]
                    yield from ((number, text.written) for number in text.waiting)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            if left:
                self._budget.halve(self._device)
                yield Halved(self._budget.text)

    def _together(self, waiting: list[Text[Dice]], roots: Roots) -> Iterator[Text[Dice]]:
        """The texts as they end. Free slots are filled again, all of them, as soon as a quarter of them is free."""
        prompts = [text.prompt.tokens for text in waiting]
        base, root = roots.of(prompts, most=min(map(len, prompts)) - 1)
        slots, under_way, filling = self._slots(waiting, base, root), list[Text[Dice]](), False
        while waiting or under_way:
            free = slots.count - len(under_way)
            filling = bool(waiting) and free >= (1 if filling else slots.count / 4)
            if filling:
                begun, waiting = self._next(waiting, free=free, base=base)
                logits = self._prefill(begun, slots)
                first, under_way = len(under_way), under_way + begun
            else:
                logits, first = self._step(under_way, slots), 0
            overflow.check(logits, dtype=self._model.dtype)
            tokens = chosen(logits, [text.dice for text in under_way[first:]])
            for slot, token in reversed(list(enumerate(tokens, start=first))):
                under_way[slot].write(token)
                if self._stops.ended(under_way[slot]):
                    yield under_way[slot]
                    slots.drop(slot)
                    under_way[slot] = under_way[-1]
                    under_way.pop()

    def _text(self, prompt: Prompt, sampling: Sampling | None, waiting: list[int]) -> Text[Dice]:
        dice = Dice.of(sampling, seed=prompt.seed, device=self._device)
        return Text(prompt, waiting, Written(Thought(prompt.thinking, self._tokenizer)), dice)

    def _slots(self, waiting: Sequence[Text[Dice]], base: int, root: KeyValues) -> Slots:
        places = max(len(text.prompt.tokens) + text.prompt.limit for text in waiting) - base
        most = min(int(free_bytes(self._device) * FREE_RATIO), slots_bytes(self._weights_bytes))
        fit = most // max(1, places * self._bytes_per_place)
        return Slots(max(1, min(len(waiting), fit, self._budget.tokens // TOKENS_PER_SLOT)), places, base, root)

    def _next(self, waiting: list[Text[Dice]], *, free: int, base: int) -> tuple[list[Text[Dice]], list[Text[Dice]]]:
        """The next prompts to go through the model at once: as many as slots are free and the budget bears; and the rest."""
        count, tokens = 0, 0
        for text in waiting[:free]:
            tokens += len(text.prompt.tokens) - base
            if count and tokens > self._budget.tokens:
                break
            count += 1
        return waiting[:count], waiting[count:]

    def _prefill(self, begun: Sequence[Text[Dice]], slots: Slots) -> torch.Tensor:
        """Logits behind each prompt, whose keys and values have gone to the next free slots."""
        for text in begun:
            text.written.moments.begin()
        pack = pack_of([_chain(text.prompt.tokens, root=slots.base) for text in begun], device=self._device)
        pack.root, pack.keep = slots.root, True
        lengths = [len(text.prompt.tokens) - slots.base for text in begun]
        ends = torch.tensor(lengths, device=self._device).cumsum(0)
        logits = forward(self._model, pack, keep=ends - 1)
        slots.fill(pack.kept, starts=[end - length for end, length in zip(ends.tolist(), lengths, strict=True)], lengths=lengths)
        return logits

    def _step(self, under_way: Sequence[Text[Dice]], slots: Slots) -> torch.Tensor:
        slots.step(self._device)
        tokens = torch.tensor([text.written.tokens[-1:] for text in under_way], device=self._device)
        none = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=self._device)
        out = self._model(
            input_ids=tokens,
            position_ids=slots.at[:, None] + slots.base,
            attention_mask=none,
            use_cache=False,
            pack=slots,
            logits_to_keep=1,
        )
        slots.lengths = [length + 1 for length in slots.lengths]
        logits: torch.Tensor = out.logits[:, -1]
        return logits


def _chain(tokens: Tokens, *, root: int) -> Row:
    return Row((Segment(0, root, tokens[root:], -1),), {tokens: 0}, len(tokens) - root)
