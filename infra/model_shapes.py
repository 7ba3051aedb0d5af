"""What a model's config.json says of its kind and size: which family, how wide, how many layers, how long.

Source: transformers 5.19, PreTrainedConfig and its families' names for the same numbers (GPT-2's n_embd and its like).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT_LENGTH = 2048
MOST = 2**31  # of any of its numbers
LONGEST_NAME, MOST_NAMES = 100, 10
MOST_KV_NUMBERS = 2**26  # ten times as many as the largest models have


@dataclass(frozen=True, slots=True)
class Shape:
    """A model's kind and size; 0 for a number that its configuration does not tell.

    `kv_numbers`: of a token's keys and values, in all layers; with an encoder, of a token that is read and of one that is said.
    `widest`: of a token's activations, where they are most. `heads` of attention, `kv_heads` of its keys and values; `method`: how the
    weights of a folder are quantised, as its quantization_config names it.
    Raises: ValueError for numbers that no model has.
    """

    model_type: str = ""
    architectures: tuple[str, ...] = ()
    encoder_decoder: bool = False
    decoder: bool = False
    quantised: bool = False
    hidden: int = 0
    widest: int = 0
    vocabulary: int = 0
    kv_numbers: int = 0
    max_len: int = DEFAULT_LENGTH
    heads: int = 0
    kv_heads: int = 0
    layers: int = 0
    method: str = ""

    def __post_init__(self) -> None:
        told = max(self.hidden, self.widest, self.vocabulary, self.max_len, self.heads, self.kv_heads, self.layers)
        if told > MOST or self.kv_numbers > MOST_KV_NUMBERS:
            raise ValueError("no model is as wide, as deep or as long as it says")


def shape_of(config: Mapping[str, Any], *, tokenizer: Mapping[str, Any] | None = None) -> Shape:
    """The shape of the model, of its part for text where it has others; how long it reads, if need be as its tokenizer's settings say.

    Raises: ValueError, TypeError where it makes no sense.
    """
    inner = config.get("text_config")
    text = inner if isinstance(inner, dict) else config
    hidden = _first(text, "hidden_size", "n_embd", "d_model")
    return Shape(
        model_type=str(config.get("model_type") or "")[:LONGEST_NAME],
        architectures=tuple(str(name)[:LONGEST_NAME] for name in config.get("architectures") or ())[:MOST_NAMES],
        encoder_decoder=bool(config.get("is_encoder_decoder")), decoder=_decodes(config),
        quantised=bool(config.get("quantization_config") or config.get("quantization")), hidden=hidden,
        widest=_first(text, "intermediate_size", "n_inner", "d_ff", "ffn_dim", "decoder_ffn_dim") or 4 * hidden,
        vocabulary=_first(text, "vocab_size"), kv_numbers=_kv_numbers(text, hidden),
        max_len=_first(text, "max_position_embeddings", "n_positions", "n_ctx") or _tokenised(tokenizer or {}) or DEFAULT_LENGTH,
        heads=_heads(text), kv_heads=_first(text, "num_key_value_heads") or _heads(text), layers=_layers(text), method=_method(config),
    )  # fmt: skip


def _method(config: Mapping[str, Any]) -> str:
    """By what weights are quantised: `awq`, `gptq`, `bitsandbytes` …; empty where they are not, or nothing says how."""
    told = config.get("quantization_config")
    if isinstance(config.get("quantization"), Mapping):
        return "mlx"  # as mlx-lm saves it; what it adds as quantization_config is the same
    return str(told.get("quant_method") or "")[:LONGEST_NAME].lower() if isinstance(told, Mapping) else ""


def _heads(config: Mapping[str, Any]) -> int:
    return _first(config, "num_attention_heads", "n_head", "decoder_attention_heads", "num_heads")


def _layers(config: Mapping[str, Any]) -> int:
    return _first(config, "num_decoder_layers", "decoder_layers", "num_hidden_layers", "n_layer", "num_layers")


def _decodes(config: Mapping[str, Any]) -> bool:
    """Whether a model of a family of encoders is told to read from left to right: as most are, as XLM is, as XLNet is."""
    return bool(config.get("is_decoder") or config.get("causal") or config.get("attn_type") == "uni")


def _kv_numbers(config: Mapping[str, Any], hidden: int) -> int:
    """2 * layers * key-value heads * head size; twice that where every layer of a decoder sees an encoder's tokens too."""
    heads, layers = _heads(config), _layers(config)
    size = _first(config, "head_dim", "d_kv") or (hidden // heads if heads else 0)
    return (4 if config.get("is_encoder_decoder") else 2) * layers * (_first(config, "num_key_value_heads") or heads) * size


def _tokenised(settings: Mapping[str, Any]) -> int:
    """How many tokens a tokenizer is for; most that do not know say more than any model reads."""
    told = _first(settings, "model_max_length")
    return told if told <= MOST else 0


def _first(config: Mapping[str, Any], *names: str) -> int:
    """The first of these fields that is a number above 0; infinity is more than any model has."""
    told = (config.get(name) for name in names)
    return next((int(min(one, MOST + 1)) for one in told if isinstance(one, int | float) and one > 0), 0)
