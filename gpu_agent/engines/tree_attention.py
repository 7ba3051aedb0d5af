"""Attention over packed prefix trees, for every model that lets its attention be chosen.

A pack of rows goes through the model as one sequence without padding; only here are rows told apart. A token's attention has two
parts: to the root, which all rows share and whose keys and values are kept, and to its own row. Each part comes with the logarithm
of its softmax's denominator, and they are joined by it.
Source: Juravsky et al. 2024, Hydragen, section 3.1; transformers' AttentionInterface.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

from gpu_agent.engines.prefix_tree import Row

NAME = "assay_tree"
KeyValues = dict[int, tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's part in a forward: which it is, how far back it sees (None: everything), and its scores' scale."""

    number: int
    window: int | None
    scale: float | None


class Seer(Protocol):
    """Who says what tokens on their way through the model see."""

    def attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, layer: Layer) -> torch.Tensor:
        """The attention's output, shaped like the query."""
        ...


@dataclass(slots=True)
class Pack:
    """Rows on their way through the model: B rows of at most N places, T tokens in all.

    `places` [B * N]: where in the pack each place's token stands; `back` [T]: a token's place; `seen` [B, N, N]: which places a place
    sees, None where rows are plain sequences. `root`: the shared beginning's keys and values by layer, [1, heads, P, size].
    `kept`: the pack's own, where wanted.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    places: torch.Tensor
    back: torch.Tensor
    shape: tuple[int, int]
    seen: torch.Tensor | None
    root: KeyValues = field(default_factory=dict)
    keep: bool = False
    kept: KeyValues = field(default_factory=dict)
    masks: dict[int | None, torch.Tensor] = field(default_factory=dict)

    def attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, layer: Layer) -> torch.Tensor:
        """The attention's output, [1, heads, T, size]."""
        if self.keep:
            self.kept[layer.number] = (key, value)
        output, weight = _own(self, query, key, value, layer=layer)
        if layer.number in self.root:
            output = joined(output, weight, *rooted(query, *self.root[layer.number], positions=self.positions[0], layer=layer))
        return output

    def mask(self, window: int | None, *, like: torch.Tensor) -> torch.Tensor | None:
        """What is added to the scores within rows, [B, 1, N, N]; None: plain causal attention."""
        if self.seen is None and window is None:
            return None
        if window not in self.masks:
            rows, width = self.shape
            seen = self.seen if self.seen is not None else torch.ones(width, width, dtype=torch.bool, device=like.device).tril()[None]
            at = self.positions[0][self.places].view(rows, width)
            near = True if window is None else at[:, :, None] - at[:, None, :] < window
            self.masks[window] = additive((seen & near).expand(rows, width, width), like)[:, None]
        return self.masks[window]


def pack_of(rows: Sequence[Row], *, device: torch.device) -> Pack:
    """The rows side by side."""
    width = max(row.length for row in rows)
    starts = [0]
    for row in rows:
        starts.append(starts[-1] + row.length)
    # A place behind a row's end repeats its first token: nobody looks at it.
    places = [start + place if place < row.length else start for start, row in zip(starts, rows, strict=False) for place in range(width)]
    back = [number * width + place for number, row in enumerate(rows) for place in range(row.length)]
    tokens = [token for row in rows for segment in row.segments for token in segment.tokens]
    positions = [segment.position + n for row in rows for segment in row.segments for n in range(len(segment.tokens))]
    seen = None if all(row.is_chain for row in rows) else torch.stack([_seen(row, width) for row in rows]).to(device)
    there = [torch.tensor(numbers, device=device) for numbers in (tokens, positions, places, back)]
    return Pack(there[0][None], there[1][None], there[2], there[3], (len(rows), width), seen)


def _seen(row: Row, width: int) -> torch.Tensor:
    seen = torch.eye(width, dtype=torch.bool)
    for number, segment in enumerate(row.segments):
        stop = segment.start + len(segment.tokens)
        for above in row.path(segment.parent):
            seen[segment.start : stop, above.start : above.start + len(above.tokens)] = True
        seen[segment.start : stop, segment.start : stop] = torch.ones(stop - segment.start, stop - segment.start, dtype=torch.bool).tril()
        assert segment.parent < number
    return seen


def additive(seen: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """What is added to scores: 0 where a token is seen."""
    # The least number, not -inf: a token that sees nothing of one part gives that part no weight, instead of becoming NaN.
    return torch.zeros(seen.shape, dtype=like.dtype, device=like.device).masked_fill_(~seen, torch.finfo(like.dtype).min)


def attend(
    module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor | None, **told: Any
) -> tuple[torch.Tensor, None]:
    """What the model calls in every layer: [B, T, heads, size]; without a `pack` what transformers' own sdpa gives."""
    pack: Seer | None = told.pop("pack", None)
    if pack is None:
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **told)
        return output, None
    layer = Layer(int(module.layer_idx), told.get("sliding_window"), told.get("scaling"))
    return pack.attend(query, key, value, layer=layer).transpose(1, 2).contiguous(), None


def _own(pack: Pack, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, layer: Layer) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention within rows, [1, heads, T, size], and its log-denominators, [1, heads, T]."""
    groups = query.shape[1] // key.shape[1]
    query, key, value = (_by_row(pack, part) for part in (query, repeat_kv(key, groups), repeat_kv(value, groups)))
    output, total = partial(query, key, value, mask=pack.mask(layer.window, like=query), causal=True, scale=layer.scale)
    heads, size = output.shape[1], output.shape[3]
    flat = output.transpose(0, 1).reshape(heads, -1, size)
    return flat[None, :, pack.back], total.transpose(0, 1).reshape(heads, -1)[None, :, pack.back]


def _by_row(pack: Pack, part: torch.Tensor) -> torch.Tensor:
    """[1, heads, T, size] as [B, heads, N, size]."""
    heads, size = part.shape[1], part.shape[3]
    return part[0].index_select(1, pack.places).view(heads, *pack.shape, size).transpose(0, 1)


def joined(output: torch.Tensor, weight: torch.Tensor, other: torch.Tensor, other_weight: torch.Tensor) -> torch.Tensor:
    """Attention over two parts, from that over each of them with its log-denominators."""
    return torch.lerp(output, other, torch.sigmoid(other_weight - weight)[..., None].to(output.dtype))


def rooted(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, positions: torch.Tensor, layer: Layer
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention of tokens at those positions to the root, [1, heads, T, size], and its log-denominators, [1, heads, T].

    Heads of one group stand as one long query.
    """
    _, heads, tokens, size = query.shape
    groups, mask = heads // key.shape[1], None
    if layer.window is not None:
        near = positions[:, None] - torch.arange(key.shape[2], device=query.device) < layer.window
        mask = additive(near, query).repeat(groups, 1)[None, None]
    folded = query.reshape(1, key.shape[1], groups * tokens, size)
    output, total = partial(folded, key, value, mask=mask, scale=layer.scale)
    return output.reshape(1, heads, tokens, -1), total.reshape(1, heads, tokens)


def partial(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, mask: torch.Tensor | None, scale: float | None, causal: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention, and the logarithm of its denominators, log Σ exp(q·k * scale), in float32. `causal` holds where there is no mask."""
    causal = causal and mask is None
    if query.device.type == "cpu" and query.shape[-1] == value.shape[-1]:
        flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        output, total = flash(query, key, value, 0.0, causal, attn_mask=mask, scale=scale)
        return output, total
    scores = torch.matmul(query, key.transpose(2, 3)).float() * (scale if scale is not None else query.shape[-1] ** -0.5)
    if causal:
        mask = additive(torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril(), scores)
    scores = scores if mask is None else scores + mask
    total = scores.logsumexp(-1)
    return torch.matmul(torch.exp(scores - total[..., None]).to(value.dtype), value), total


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
