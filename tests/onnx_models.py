"""The tests' small Llamas as ONNX files, in the layout in which Optimum and its kin export decoders."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

BLOCK = 32  # weights of 4 bits share a scale
BESIDE = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "README.md")


class Builder:
    """A graph as it grows; every method gives the name of what comes out."""

    def __init__(self, dtype: str) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.dtype = np.dtype(dtype)

    def op(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", name: str | None = None, **attributes: Any) -> Any:
        """An operator; several names where it has several outputs."""
        from onnx import helper

        made = [f"{name or f'{kind}_{len(self.nodes)}'}{f'_{n}' if n else ''}" for n in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), made, domain=domain, **attributes))
        return made[0] if outputs == 1 else made

    def const(self, value: Any, *, whole: bool = False) -> str:
        """Numbers, in the graph's type or as whole ones."""
        from onnx import numpy_helper

        array = np.asarray(value)
        array = array if whole or array.dtype == np.uint8 else array.astype(self.dtype)
        self.weights.append(numpy_helper.from_array(array.astype(np.int64) if whole else array, f"weight_{len(self.weights)}"))
        return f"weight_{len(self.weights) - 1}"

    def whole(self, *numbers: int) -> str:
        """Whole numbers."""
        return self.const(np.array(numbers), whole=True)


def packed(weight: Any) -> tuple[Any, Any]:
    """A matrix [out, in] in 4 bits as MatMulNBits has it: two a byte, around 8, and a scale for each 32 of a row."""
    blocks = weight.reshape(weight.shape[0], -1, BLOCK)
    scales = np.abs(blocks).max(-1) / 7
    whole = np.clip(np.rint(blocks / np.maximum(scales[..., None], 1e-12)) + 8, 0, 15).astype(np.uint8)
    return whole[..., ::2] | whole[..., 1::2] << 4, scales


def rounded(folder: Path, into: Path) -> Path:
    """The model of that folder with its matrices rounded to what 4 bits hold, saved in `into`."""
    from safetensors.numpy import load_file, save_file

    shutil.copytree(folder, into)
    tensors = load_file(into / "model.safetensors")
    for name, tensor in tensors.items():
        if tensor.ndim == 2 and "embed" not in name:
            bytes_, scales = packed(tensor)
            whole = np.stack([bytes_ & 15, bytes_ >> 4], axis=-1).reshape(*bytes_.shape[:2], BLOCK).astype(np.float32) - 8
            tensors[name] = (whole * scales[..., None]).reshape(tensor.shape).astype(np.float32)
    save_file(tensors, into / "model.safetensors", metadata={"format": "pt"})
    return into


def onnx_of(
    folder: Path, into: Path, *, name: str = "onnx/model.onnx", dtype: str = "float32", bits: int | None = None, cache: bool = True,
    grouped: bool = False, beside: bool = False, merged: bool = False, causal: bool = True,
) -> Path:  # fmt: skip
    """The Llama of that folder as an ONNX file in the folder `into`, with configuration and tokenizer; the file.

    `bits`: 4 for packed matrices, 8 for ones that are quantised as they run; `cache`: with keys and values; `grouped`: its attention in one
    operator of ONNX Runtime's; `beside`: its numbers in a file of their own; `merged`: with the switch that merged decoders have; not
    `causal`: it sees all of a text.
    """
    import onnx
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    weights = {key: tensor.numpy() for key, tensor in model.state_dict().items()}
    graph = _Llama(Builder(dtype), model.config, weights, bits=bits, cache=cache, grouped=grouped, merged=merged, causal=causal)
    file = into / name
    file.parent.mkdir(parents=True, exist_ok=True)
    for one in BESIDE:
        if (folder / one).exists():
            shutil.copy(folder / one, into / one)
    told = {"save_as_external_data": True, "location": f"{file.name}_data", "size_threshold": 256} if beside else {}
    onnx.save_model(graph.model(), file, **told)
    if bits == 8:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(file, file, weight_type=QuantType.QInt8)
    return file


class _Llama:
    """Source: transformers 5.19, models/llama/modeling_llama.py."""

    def __init__(
        self,
        b: Builder,
        config: Any,
        weights: dict[str, Any],
        *,
        bits: int | None,
        cache: bool,
        grouped: bool,
        merged: bool,
        causal: bool,
    ) -> None:
        self.b, self.config, self.weights = b, config, weights
        self.bits, self.cache, self.grouped, self.merged, self.causal = bits, cache, grouped, merged, causal
        self.size = config.head_dim
        angles = np.outer(
            np.arange(config.max_position_embeddings),
            1 / config.rope_parameters["rope_theta"] ** (np.arange(0, self.size, 2) / self.size),
        )
        self.turns = np.cos(angles), np.sin(angles)
        self.past: list[tuple[str, str]] = []

    def model(self) -> Any:
        """The whole model."""
        from onnx import TensorProto, helper

        kind = helper.np_dtype_to_tensor_dtype(self.b.dtype)
        logits = self._logits()
        heads, layers = self.config.num_key_value_heads, range(self.config.num_hidden_layers)
        tokens = ["input_ids", "attention_mask", *([] if self.grouped else ["position_ids"])]
        sizes = {"attention_mask": "all"}
        inputs = [helper.make_tensor_value_info(one, TensorProto.INT64, ["rows", sizes.get(one, "tokens")]) for one in tokens]
        if self.merged:
            inputs.append(helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1]))
        kept = [f"{n}.{part}" for n in layers for part in ("key", "value")] if self.cache else []
        inputs += [helper.make_tensor_value_info(f"past_key_values.{one}", kind, ["rows", heads, "past", self.size]) for one in kept]
        outputs = [helper.make_tensor_value_info(logits, kind, ["rows", "tokens", self.config.vocab_size])]
        outputs += [helper.make_tensor_value_info(f"present.{one}", kind, ["rows", heads, "all", self.size]) for one in kept]
        graph = helper.make_graph(self.b.nodes, "llama", inputs, outputs, self.b.weights)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)

    def _logits(self) -> str:
        b = self.b
        hidden = b.op("Gather", b.const(self.weights["model.embed_tokens.weight"]), "input_ids")
        seen, turns = self._seen()
        for layer in range(self.config.num_hidden_layers):
            named = f"model.layers.{layer}"
            told = self._norm(hidden, f"{named}.input_layernorm.weight")
            hidden = b.op("Add", hidden, self._attention(told, layer, seen, turns))
            told = self._norm(hidden, f"{named}.post_attention_layernorm.weight")
            gate = self._matrix(told, f"{named}.mlp.gate_proj.weight")
            gate = b.op("Mul", b.op("Mul", gate, b.op("Sigmoid", gate)), self._matrix(told, f"{named}.mlp.up_proj.weight"))
            hidden = b.op("Add", hidden, self._matrix(gate, f"{named}.mlp.down_proj.weight"))
        last = self._matrix(self._norm(hidden, "model.norm.weight"), "lm_head.weight")
        return self._switched(last) if self.merged else b.op("Identity", last, name="logits")

    def _switched(self, last: str) -> str:
        """Both ways of the switch give the same."""
        from onnx import TensorProto, helper

        ways = {}
        for way in ("then_branch", "else_branch"):
            out = helper.make_tensor_value_info(way, TensorProto.FLOAT, None)
            ways[way] = helper.make_graph([helper.make_node("Identity", [last], [way])], way, [], [out])
        return str(self.b.op("If", "use_cache_branch", name="logits", **ways))

    def _matrix(self, given: str, name: str) -> str:
        weight = self.weights[name]
        if self.bits != 4:
            return str(self.b.op("MatMul", given, self.b.const(weight.T)))
        bytes_, scales = packed(weight)
        return str(self.b.op(
            "MatMulNBits", given, self.b.const(bytes_), self.b.const(scales.reshape(-1)), domain="com.microsoft", K=weight.shape[1],
            N=weight.shape[0], bits=4, block_size=BLOCK,
        ))  # fmt: skip

    def _norm(self, given: str, name: str) -> str:
        b = self.b
        mean = b.op("ReduceMean", b.op("Mul", given, given), axes=[-1], keepdims=1)
        scaled = b.op("Div", given, b.op("Sqrt", b.op("Add", mean, b.const(self.config.rms_norm_eps))))
        return str(b.op("Mul", scaled, b.const(self.weights[name])))

    def _seen(self) -> tuple[list[str], list[str]]:
        """What each token sees, and how far each is turned; of grouped attention, as its operator wants both."""
        from onnx import TensorProto

        b = self.b
        everything = b.op("Gather", b.op("Shape", "attention_mask"), b.const(1, whole=True))
        if self.grouped:
            lengths = b.op("Sub", b.op("ReduceSum", "attention_mask", b.whole(1), keepdims=0), b.const(1, whole=True))
            seen = [b.op("Cast", one, to=TensorProto.INT32) for one in (lengths, everything)]
            return seen, [b.const(one) for one in self.turns]
        count = b.op("Gather", b.op("Shape", "input_ids"), b.const(1, whole=True))
        zero, one = b.const(0, whole=True), b.const(1, whole=True)
        keys = b.op("Range", zero, everything, one)
        queries = b.op("Unsqueeze", b.op("Range", b.op("Sub", everything, count), everything, one), b.whole(1))
        told = b.op("Unsqueeze", b.op("Cast", "attention_mask", to=TensorProto.BOOL), b.whole(1, 2))
        both = b.op("And", b.op("LessOrEqual", keys, queries), told) if self.causal else told
        bias = b.op("Where", both, b.const(0.0), b.const(-60_000.0))
        twice = [np.concatenate([one, one], axis=-1) for one in self.turns]
        return [bias], [b.op("Unsqueeze", b.op("Gather", b.const(one), "position_ids"), b.whole(1)) for one in twice]

    def _attention(self, given: str, layer: int, seen: Sequence[str], turns: Sequence[str]) -> str:
        b, named = self.b, f"model.layers.{layer}.self_attn"
        query, key, value = (self._matrix(given, f"{named}.{one}_proj.weight") for one in "qkv")
        if self.grouped:
            out, own_key, own_value = b.op(
                "GroupQueryAttention", query, key, value, f"past_key_values.{layer}.key", f"past_key_values.{layer}.value", *seen, *turns,
                outputs=3, domain="com.microsoft", num_heads=self.config.num_attention_heads, kv_num_heads=self.config.num_key_value_heads,
                do_rotary=1,
            )  # fmt: skip
            b.op("Identity", own_key, name=f"present.{layer}.key")
            b.op("Identity", own_value, name=f"present.{layer}.value")
            return self._matrix(out, f"{named}.o_proj.weight")
        heads, own = self.config.num_attention_heads, self.config.num_key_value_heads
        turned = [self._turned(self._heads(one, count), turns) for one, count in ((query, heads), (key, own))]
        keys, values = (self._with_past(one, layer, part) for one, part in ((turned[1], "key"), (self._heads(value, own), "value")))
        scores = b.op("MatMul", turned[0], b.op("Transpose", self._repeated(keys), perm=[0, 1, 3, 2]))
        shares = b.op("Softmax", b.op("Add", b.op("Mul", scores, b.const(self.size**-0.5)), seen[0]), axis=-1)
        out = b.op("Transpose", b.op("MatMul", shares, self._repeated(values)), perm=[0, 2, 1, 3])
        return self._matrix(b.op("Reshape", out, b.whole(0, 0, heads * self.size)), f"{named}.o_proj.weight")

    def _heads(self, given: str, count: int) -> str:
        return str(self.b.op("Transpose", self.b.op("Reshape", given, self.b.whole(0, 0, count, self.size)), perm=[0, 2, 1, 3]))

    def _turned(self, given: str, turns: Sequence[str]) -> str:
        b = self.b
        first, second = b.op("Split", given, outputs=2, axis=-1)
        around = b.op("Concat", b.op("Neg", second), first, axis=-1)
        return str(b.op("Add", b.op("Mul", given, turns[0]), b.op("Mul", around, turns[1])))

    def _with_past(self, given: str, layer: int, part: str) -> str:
        if not self.cache:
            return given
        return str(self.b.op("Concat", f"past_key_values.{layer}.{part}", given, axis=2, name=f"present.{layer}.{part}"))

    def _repeated(self, given: str) -> str:
        b, own, heads = self.b, self.config.num_key_value_heads, self.config.num_attention_heads
        several = b.op("Expand", b.op("Unsqueeze", given, b.whole(2)), b.whole(1, 1, heads // own, 1, 1))
        return str(b.op("Reshape", several, b.whole(0, heads, -1, self.size)))


def exported(folder: Path, into: Path) -> Path:
    """The model of that folder as torch exports transformers' own code of it, by the way that Optimum takes; the file."""
    import torch
    from transformers import AutoModelForCausalLM, DynamicCache

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    heads, size, layers = model.config.num_key_value_heads, model.config.head_dim, model.config.num_hidden_layers

    class Decoder(torch.nn.Module):  # type: ignore[misc]  # its class has no types
        """Keys and values as plain tensors."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model  # its weights are the graph's

        def forward(self, input_ids: Any, attention_mask: Any, position_ids: Any, *past: Any) -> Any:
            """Logits, and what follows."""
            cache = DynamicCache()
            for layer in range(layers):
                cache.update(past[2 * layer], past[2 * layer + 1], layer)
            told = {"attention_mask": attention_mask, "position_ids": position_ids, "past_key_values": cache, "use_cache": True}
            out = self.model(input_ids=input_ids, **told)
            return (out.logits, *(part for layer in out.past_key_values.layers for part in (layer.keys, layer.values)))

    kept = [f"{layer}.{part}" for layer in range(layers) for part in ("key", "value")]
    tokens, past = ["input_ids", "attention_mask", "position_ids"], [f"past_key_values.{one}" for one in kept]
    given = [torch.zeros(2, 3, dtype=torch.long), torch.ones(2, 7, dtype=torch.long), torch.arange(4, 7).repeat(2, 1)]
    file = into / "onnx" / "model.onnx"
    file.parent.mkdir(parents=True)
    for one in BESIDE:
        if (folder / one).exists():
            shutil.copy(folder / one, into / one)
    torch.onnx.export(
        Decoder(), (*given, *(torch.randn(2, heads, 4, size) for _ in past)), str(file), input_names=[*tokens, *past],
        output_names=["logits", *(f"present.{one}" for one in kept)], opset_version=17, dynamo=False,
        dynamic_axes={name: {0: "rows", 1: "tokens"} for name in (*tokens, "logits")} | {name: {0: "rows", 2: "past"} for name in past}
        | {f"present.{one}": {0: "rows", 2: "all"} for one in kept},
    )  # fmt: skip
    return file
