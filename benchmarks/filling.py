"""A random Llama in bfloat16 that fills a card: how large it is, by planning's own arithmetic, and its files."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any, Final

from streams.errors import Invalid
from streams.model_memory import TOKENS_AT_ONCE
from streams.placing.ways import Sizes, needed_bytes
from tests.models import tiny_tokenizer

ENGINES: Final = ("transformers", "vllm")
ITEMSIZE: Final = 2
WIDTH_STEP, WIDEST_STEP = 1024, 16_384
FEWEST_LAYERS: Final = 4
# Files are written, and read into the machine's memory, before the card has them: neither may be filled to its end.
BESIDE_RATIO: Final = 0.8


@dataclass(frozen=True, slots=True)
class Shape:
    """A Llama's: a layer's inner width is 3.5 times the outer, as in Llama 3."""

    width: int
    layers: int
    head: int = 128
    kv_heads: int = 8
    vocabulary: int = 32_768
    window: int = 2048

    @property
    def widest(self) -> int:
        """Numbers of a token between a layer's two halves."""
        return self.width * 7 // 2

    @property
    def parameters(self) -> int:
        """How many there are: embeddings and outputs apart."""
        kept = self.kv_heads * self.head
        layer = 2 * self.width * (self.width + kept) + 3 * self.width * self.widest + 2 * self.width
        return 2 * self.vocabulary * self.width + self.width + self.layers * layer

    @property
    def step_bytes(self) -> int:
        """Bytes of weights that a step reads: all but the embeddings, of which it reads a row a token."""
        return ITEMSIZE * (self.parameters - self.vocabulary * self.width)

    @property
    def sizes(self) -> Sizes:
        """As planning has them."""
        return Sizes(
            weights_bytes=ITEMSIZE * self.parameters, kv_bytes_per_token=ITEMSIZE * 2 * self.layers * self.kv_heads * self.head,
            max_len=self.window, widest=self.widest, vocabulary=self.vocabulary, dtype="bfloat16", itemsize=ITEMSIZE,
            heads=self.width // self.head, kv_heads=self.kv_heads, layers=self.layers,
        )  # fmt: skip


def filling(*, card_bytes: int, host_bytes: int, disk_bytes: int) -> Shape:
    """The largest model that planning gives to a card of that size on both engines, whose files the machine bears too.

    It is as wide as it can be with a layer to 128 numbers of width, as in Llamas of every size, and then as deep as it can be.
    Raises: Invalid where none is small enough.
    """

    def fits(shape: Shape) -> bool:
        weights = ITEMSIZE * shape.parameters
        whole = max(needed_bytes(shape.sizes, engine, device="cuda", batch=TOKENS_AT_ONCE) for engine in ENGINES)
        return whole <= card_bytes and weights <= BESIDE_RATIO * min(host_bytes, disk_bytes)

    widths = [width for width in range(WIDTH_STEP, WIDEST_STEP + 1, WIDTH_STEP) if fits(Shape(width, width // 128))]
    shapes = takewhile(fits, (Shape(max(widths, default=WIDTH_STEP), layers) for layers in count(FEWEST_LAYERS)))
    found = None
    for shape in shapes:
        found = shape
    if found is None:
        raise Invalid("no model is small enough for the card, the memory and the disk of this machine", code="model-fits-nowhere")
    return found


def made(shape: Shape, into: Path, *, device: str) -> Path:
    """The model's folder: its weights, drawn on that device, a file a layer; a tokenizer of few tokens; its configuration."""
    import torch
    from safetensors.torch import save_file
    from transformers import GenerationConfig, LlamaConfig

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=shape.vocabulary, hidden_size=shape.width, intermediate_size=shape.widest, num_hidden_layers=shape.layers,
        num_attention_heads=shape.width // shape.head, num_key_value_heads=shape.kv_heads, head_dim=shape.head,
        max_position_embeddings=shape.window, bos_token_id=0, eos_token_id=1, pad_token_id=2, tie_word_embeddings=False,
        architectures=["LlamaForCausalLM"], dtype="bfloat16",
    )  # fmt: skip
    config.save_pretrained(into)
    GenerationConfig.from_model_config(config).save_pretrained(into)
    tiny_tokenizer().save_pretrained(into)
    where, parts = dict[str, str](), list(_parts(shape))
    for number, part in enumerate(parts, start=1):
        file = f"model-{number:05}-of-{len(parts):05}.safetensors"
        drawn = {name: _drawn(torch, size, device=device) for name, size in part.items()}
        save_file(drawn, into / file, metadata={"format": "pt"})
        where |= dict.fromkeys(part, file)
    told = {"metadata": {"total_size": ITEMSIZE * shape.parameters}, "weight_map": where}
    (into / "model.safetensors.index.json").write_text(json.dumps(told))
    return into


def _drawn(torch: Any, size: tuple[int, ...], *, device: str) -> Any:
    """Weights as they are before training; of norms 1."""
    if len(size) == 1:
        return torch.ones(size, dtype=torch.bfloat16)
    return torch.empty(size, dtype=torch.bfloat16, device=device).normal_(0, 0.02).cpu()


def _parts(shape: Shape) -> Iterator[Mapping[str, tuple[int, ...]]]:
    """The weights' names and sizes, a layer at a time. Source: transformers 5.19, models/llama/modeling_llama.py."""
    width, kept = shape.width, shape.kv_heads * shape.head
    yield {"model.embed_tokens.weight": (shape.vocabulary, width)}
    for number in range(shape.layers):
        sizes = {
            "self_attn.q_proj": (width, width), "self_attn.k_proj": (kept, width), "self_attn.v_proj": (kept, width),
            "self_attn.o_proj": (width, width), "mlp.gate_proj": (shape.widest, width), "mlp.up_proj": (shape.widest, width),
            "mlp.down_proj": (width, shape.widest), "input_layernorm": (width,), "post_attention_layernorm": (width,),
        }  # fmt: skip
        yield {f"model.layers.{number}.{name}.weight": size for name, size in sizes.items()}
    yield {"model.norm.weight": (width,), "lm_head.weight": (shape.vocabulary, width)}
