"""What one engine takes for one model, in this process: `python -m benchmarks.taken ENGINE MODEL`, in the engine's own environment.

Memory is what the process has in it (VmHWM, which is set back before each phase: Linux, Documentation/filesystems/proc.rst, clear_refs),
pages of mapped files among it.
"""

import json
import random
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

from gpu_agent.engines.engine import EngineRequest, engine_named
from schemas.requests import ModelRef
from streams.model_memory import TOKENS_AT_ONCE, TOKENS_PER_SLOT

TOKENS: Final = 64
WORDS: Final = [
    "the", "dogs", "near", "a", "cat", "run", "and", "what", "grows", "in", "garden", "is", "tree", "of", "apples", "while", "seven",
    "birds", "sing", "over", "old", "hills", "under", "rain",
]  # fmt: skip
LIKELIHOODS, TEXTS = 16, TOKENS_AT_ONCE // TOKENS_PER_SLOT


def one(engine: str, model: str) -> dict[str, Any]:
    """What an engine takes in this process: by phase the most that there was, and of that the process's own and the files' pages."""
    phases = {"python": _most()}
    running = engine_named(engine)
    phases["libraries"] = _most()
    loaded = running.load(ModelRef(uri=model, trust_code=True), options={}, device="cpu")
    phases["loaded"] = _most()
    told = {"until": [], "max_gen_toks": 4, "do_sample": False}
    # No two begin alike, nor end alike: what is shared would be held once, and a prompt is cut on its left.
    asked = {
        "likelihoods": [
            EngineRequest(n, "loglikelihood", _words(n, 160), continuation=" apples of the garden") for n in range(LIKELIHOODS)
        ],
        "texts": [EngineRequest(n, "generate_until", _words(n, 1500), generation=told) for n in range(TEXTS)],
    }
    for name, requests in asked.items():
        _set_back()
        list(running.answer(requests))
        phases[name] = _most()
    peak = max(phases.values())
    return {
        "weights_bytes": loaded.weights_bytes,
        "kv_bytes_per_token": _kept(running, engine, model),
        "peak_bytes": peak,
        "phases": phases,
    }


def _words(seed: int, count: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=count))


def _most() -> int:
    """The most memory since it was set back, bytes."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


def _set_back() -> None:
    Path("/proc/self/clear_refs").write_text("5")


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
