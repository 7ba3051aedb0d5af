"""What one engine takes for one model, in this process: `python -m benchmarks.taken ENGINE MODEL`, in the engine's own environment."""

import json
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

from gpu_agent.engines.engine import EngineRequest, engine_named
from schemas.requests import ModelRef

TOKENS: Final = 64


def one(engine: str, model: str) -> dict[str, Any]:
    """What an engine takes in this process."""
    loaded = (running := engine_named(engine)).load(ModelRef(uri=model), options={}, device="cpu")
    text = "the dogs near the cat run, and what grows in the garden is a tree. " * 100
    likely = [EngineRequest(n, "loglikelihood", f"{n} {text[:800]}", continuation=f" {n} apples") for n in range(24)]
    told = {
        "until": [],
        "max_gen_toks": 4,
        "do_sample": False,
    }  # behind prompts that fill the window: keys and values are as many as may be
    texts = [EngineRequest(n, "generate_until", f"{n} {text}", generation=told) for n in range(32)]
    for asked in (likely, texts):
        list(running.answer(asked))
    status = Path("/proc/self/status").read_text()
    peak = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024
    return {"weights_bytes": loaded.weights_bytes, "kv_bytes_per_token": _kept(running, engine, model), "peak_bytes": peak}


def _kept(running: Any, engine: str, model: str) -> float | None:
    """Bytes a token of what is kept of so many tokens; None for an engine that does not tell."""
    tokens = np.arange(TOKENS, dtype=np.int64)[None]
    if engine == "transformers":
        import torch
        from transformers import AutoModelForCausalLM

        with torch.inference_mode():
            cache = AutoModelForCausalLM.from_pretrained(model)(torch.from_numpy(tokens), use_cache=True).past_key_values
        return float(sum(part.numel() * part.element_size() for layer in cache.layers for part in (layer.keys, layer.values)) / TOKENS)
    if engine in ("onnx", "mlx"):
        _, past = running.graph.run(tokens)
        size = float(sum(array.nbytes for array in past.arrays()) / TOKENS)
        return size * (2 if engine == "onnx" else 1)  # a past and a present, both there at once
    return None


if __name__ == "__main__":
    print(json.dumps(one(*sys.argv[1:3])))
