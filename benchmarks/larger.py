"""The transformers engine against lm-eval's HFLM on a larger model: a random Llama of 10⁹ parameters, in bfloat16, on the CPU.

    python -m benchmarks.larger [--documents 2] [--shape mmlu]

The shapes are those of benchmarks.quality, with few documents, for a token is 2 × 10⁹ operations. HFLM's batch size is the best of a few.
What sharing can save is the work ratio; what is had of it is the ratio of times. Likelihoods in bfloat16 depend on what is computed beside
them, on either side: how far both are apart is told, and ends nothing. Writes benchmarks/results/larger.json.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks.harness import show, write
from benchmarks.quality import Workload, counting, model_in, ours, theirs, timed, tried, work_of, workloads
from gpu_agent.engines.transformers import Transformers
from schemas.requests import ModelRef

BATCHES = (1, 4, 8)
SHAPE = {
    "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 32, "num_key_value_heads": 4,
}  # fmt: skip


def gemm_per_s(network: Any, tokens: int) -> float:
    """Floating-point operations a second of a layer's own matrix products, with so many tokens at once; the best of several."""
    layer = network.model.layers[0]
    every = [one for one in layer.modules() if isinstance(one, torch.nn.Linear)]
    best = 0.0
    with torch.inference_mode():
        given = [torch.randn(tokens, one.in_features, dtype=one.weight.dtype) for one in every]
        for _ in range(5):
            started = time.perf_counter()
            for one, into in zip(every, given, strict=True):
                one(into)
            best = max(best, sum(2 * tokens * one.weight.numel() for one in every) / (time.perf_counter() - started))
    return best


def apart(mine: Sequence[Any], yours: Sequence[Any]) -> float:
    """How far answers are apart at most: likelihoods relatively; texts by the share of them that differ."""
    if isinstance(mine[0], str):
        return float(sum(a != b for a, b in zip(mine, yours, strict=True)) / len(mine))
    return float(max(abs(a[0] - b[0]) / max(abs(b[0]), 1e-9) for a, b in zip(mine, yours, strict=True)))


def measure(engine: Transformers, plain: Any, folder: Path, workload: Workload, *, rounds: int) -> dict[str, Any]:
    """Both sides' seconds by turns, and the floor."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    best, tries, work = tried(plain, tokenizer, workload, BATCHES)
    with counting(engine.network) as counts:
        mine, first_s = timed(lambda: ours(engine.answer, workload))
    their_s, own_s, yours = list[float](), [first_s], list[Any]()
    for _ in range(rounds):
        yours, took_s = timed(lambda: theirs(plain, tokenizer, best, workload))
        their_s.append(took_s)
        own_s.append(timed(lambda: ours(engine.answer, workload))[1])
    own_work, rate = work_of(engine.network, counts), gemm_per_s(engine.network, 1024)
    ratio, work_ratio = statistics.median(their_s) / statistics.median(own_s), work / own_work
    return {
        "shape": workload.name, "requests": len(workload.arguments), "hflm_batch": best, "hflm_tries_s": tries, "hflm_s": their_s,
        "assay_s": own_s, "ratio": ratio, "work_ratio": work_ratio, "of_work_ratio": ratio / work_ratio, "tokens": counts["tokens"],
        "gflop_per_s": rate / 1e9, "floor_s": own_work / rate, "of_floor_ratio": own_work / rate / statistics.median(own_s),
        "apart_max_ratio": apart(mine, yours),
    }  # fmt: skip


def main() -> None:
    """Measures every shape, prints and writes what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--documents", type=int, default=2)
    parser.add_argument("--shape", action="append", help="only this one; several may be named")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model_in(folder, SHAPE, dtype=torch.bfloat16)
        engine = Transformers()
        loaded = engine.load(ModelRef(uri=name, dtype="bfloat16"), options={}, device="cpu")
        plain = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
        found = [
            measure(engine, plain, folder, workload, rounds=given.rounds)
            for workload in workloads(given.documents)
            if not given.shape or workload.name in given.shape
        ]
    columns = ("shape", "ratio", "work_ratio", "of_work_ratio", "of_floor_ratio", "apart_max_ratio")
    show(
        f"A random Llama of {(loaded.parameters or 0) / 1e9:.2f} × 10⁹ parameters", [{name: one[name] for name in columns} for one in found]
    )
    write("larger", {"model_parameters": loaded.parameters, "dtype": "bfloat16", "shapes": found})


if __name__ == "__main__":
    main()
