"""The tests' small Llamas as SavedModels, made by the environment of engine tensorflow: `python -m tests.tensorflow_models FOLDER INTO`.

A third argument is the one number of tokens that the signature takes; any, without it.
Source: transformers 5.19, models/llama/modeling_llama.py.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

BESIDE = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def llama(weights: dict[str, Any], config: dict[str, Any], length: int | None) -> Any:  # noqa: C901  # one class, made for its signature
    """A module with a signature of tokens and a mask that gives logits."""
    import tensorflow as tf

    heads, kept, size = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
    theta = config["rope_parameters"]["rope_theta"]
    places = np.outer(np.arange(config["max_position_embeddings"] + 1), 1 / theta ** (np.arange(0, size, 2) / size))
    turns = np.concatenate([places, places], axis=-1)

    class Llama(tf.Module):  # type: ignore[misc]  # tensorflow is untyped here
        def __init__(self) -> None:
            super().__init__()
            self.own = {name.replace(".", "_"): tf.Variable(value, trainable=False) for name, value in weights.items()}

        @tf.function(input_signature=[tf.TensorSpec([None, length], tf.int64, name) for name in ("input_ids", "attention_mask")])  # type: ignore[untyped-decorator]  # it ships no types
        def serve(self, input_ids: Any, attention_mask: Any) -> dict[str, Any]:
            count = tf.shape(input_ids)[1]
            cos, sin = (tf.constant(np.asarray(turn(turns), np.float32))[:count] for turn in (np.cos, np.sin))
            seen = tf.linalg.band_part(tf.ones([count, count]), -1, 0)[None] * tf.cast(attention_mask[:, None, :], tf.float32)
            hidden = tf.gather(self._own("model.embed_tokens"), input_ids)
            for layer in range(config["num_hidden_layers"]):
                at = f"model.layers.{layer}"
                told = self._norm(hidden, f"{at}.input_layernorm")
                hidden += self._attended(told, f"{at}.self_attn", (1 - seen[:, None]) * -1e9, cos, sin)
                told = self._norm(hidden, f"{at}.post_attention_layernorm")
                gate = told @ tf.transpose(self._own(f"{at}.mlp.gate_proj"))
                both = gate * tf.sigmoid(gate) * (told @ tf.transpose(self._own(f"{at}.mlp.up_proj")))
                hidden += both @ tf.transpose(self._own(f"{at}.mlp.down_proj"))
            return {"logits": self._norm(hidden, "model.norm") @ tf.transpose(self._own("lm_head"))}

        def _own(self, name: str) -> Any:
            return self.own[f"{name}.weight".replace(".", "_")]

        def _norm(self, hidden: Any, name: str) -> Any:
            spread = tf.reduce_mean(hidden * hidden, axis=-1, keepdims=True)
            return hidden * tf.math.rsqrt(spread + config["rms_norm_eps"]) * self._own(name)

        def _attended(self, told: Any, at: str, mask: Any, cos: Any, sin: Any) -> Any:
            rows, count = tf.shape(told)[0], tf.shape(told)[1]

            def parted(name: str, number: int) -> Any:
                own = told @ tf.transpose(self._own(f"{at}.{name}_proj"))
                return tf.transpose(tf.reshape(own, [rows, count, number, size]), [0, 2, 1, 3])

            def turned(own: Any) -> Any:
                first, second = tf.split(own, 2, axis=-1)
                return own * cos + tf.concat([-second, first], axis=-1) * sin

            query, key, value = turned(parted("q", heads)), turned(parted("k", kept)), parted("v", kept)
            key, value = (tf.repeat(one, heads // kept, axis=1) for one in (key, value))
            shares = tf.nn.softmax(query @ tf.transpose(key, [0, 1, 3, 2]) / size**0.5 + mask)
            found = tf.reshape(tf.transpose(shares @ value, [0, 2, 1, 3]), [rows, count, heads * size])
            return found @ tf.transpose(self._own(f"{at}.o_proj"))

    return Llama()


def main(folder: Path, into: Path, length: int | None = None) -> None:
    """Saves the model of a folder as a SavedModel in a folder of `into`, its configuration and tokenizer beside."""
    import tensorflow as tf
    from safetensors.numpy import load_file

    into.mkdir(parents=True, exist_ok=True)
    module = llama(load_file(folder / "model.safetensors"), json.loads((folder / "config.json").read_text()), length)
    tf.saved_model.save(module, str(into / "saved_model"), signatures=module.serve)
    for name in BESIDE:
        if (folder / name).exists():
            shutil.copy(folder / name, into / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if sys.argv[3:] else None)
