"""What planning estimates of a model's memory beside what it took: by engine and size, each in a process of its own.

    python -m benchmarks.estimate [--sizes 13,346] [--engines transformers,gguf]

Random Llamas of so many million parameters are loaded by every engine that is here, and asked for likelihoods and texts, as many as
fill its batches. Weights: bytes of what was loaded. Keys and values: bytes a token of what is kept, for engines that tell. Peak: the most
memory that the process ever had (VmHWM), of which the estimate is "at most"; and how much of it there was in each phase: with Python and
our code, with the engine's libraries, the model loaded, likelihoods, texts. Errors are (estimated - measured) / measured; above 0 more is
asked for than was taken. Writes benchmarks/results/estimate.json, where rows of other engines and sizes stay.
"""

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import RESULTS, show, write
from infra.engine_environments import offered, place_of
from infra.models import inspect, read_by
from infra.preparing import estimate_of
from infra.settings import of_process
from schemas.requests import EngineChoice, ModelRef
from tests.models import gguf_of, tiny_tokenizer
from tests.onnx_models import onnx_of

# Millions of parameters → width, widest, layers, heads, heads of keys and values, window.
SHAPES: Final = {13: (384, 1024, 8, 6, 2, 256), 89: (768, 2048, 14, 12, 4, 128), 346: (1024, 4096, 22, 16, 8, 64)}


def made(millions: int, into: Path) -> Path:
    """A random Llama of about that size: the larger, the shorter its window, for texts that fill it take their time."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    width, widest, layers, heads, kept, window = SHAPES[millions]
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(
        vocab_size=512, hidden_size=width, intermediate_size=widest, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=kept, max_position_embeddings=window, bos_token_id=0, eos_token_id=1, pad_token_id=2,
    )).save_pretrained(into)  # fmt: skip
    tiny_tokenizer().save_pretrained(into)
    return into


def _saved(folder: Path, into: Path) -> Path:
    """The same as a SavedModel, made in the environment of engine tensorflow."""
    _run("tensorflow", "tests.tensorflow_models", str(folder), str(into))
    return into


FORMS: Final[dict[str, Callable[[Path, Path], Path]]] = {
    "transformers": lambda folder, into: folder, "gguf": lambda folder, into: gguf_of(folder, into / "m.gguf"), "onnx": onnx_of,
    "mlx": lambda folder, into: folder, "tensorflow": _saved,
}  # fmt: skip


def measured(engine: str, model: Path) -> dict[str, Any]:
    """The same, from a process of its own."""
    found: dict[str, Any] = json.loads(_run(engine, "benchmarks.taken", engine, str(model)).strip().splitlines()[-1])
    return found


def _run(engine: str, *module: str) -> str:
    """What a module prints, in the engine's environment; on a machine that trusts models which are programs."""
    python = place_of(engine, of_process().home).python
    path = os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")]))
    given = os.environ | {"PYTHONPATH": path, "ASSAY_ALLOW_CODE": "true"}
    done = subprocess.run([str(python), "-m", *module], capture_output=True, text=True, check=False, env=given)
    if done.returncode:
        raise SystemExit(f"engine {engine}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def estimated(engine: str, model: Path) -> dict[str, int]:
    """What planning says of it."""
    facts = read_by(inspect(ModelRef(uri=str(model))), engine=engine)
    guess = estimate_of(facts, engine=EngineChoice(name=engine))
    whole = guess.weights_bytes + guess.kv_bytes + guess.activation_bytes + guess.overhead_bytes
    return {"weights_bytes": guess.weights_bytes, "kv_bytes_per_token": facts.kv_bytes_per_token, "peak_bytes": whole}


def row(engine: str, millions: int, folder: Path, into: Path) -> dict[str, Any]:
    """Both, and their errors."""
    model = FORMS[engine](folder, into)
    own, its = estimated(engine, model), measured(engine, model)
    errors = {name.removesuffix("_bytes"): (own[name] - its[name]) / its[name] if its[name] else None for name in own}
    return {"engine": engine, "millions": millions, "estimated": own, "measured": its, "error_ratio": errors}


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="13,346", help=f"millions of parameters, of {', '.join(map(str, SHAPES))}")
    parser.add_argument("--engines", default=",".join(FORMS), help="of those that are here")
    given = parser.parse_args()
    file = RESULTS / "estimate.json"
    known = {(one["engine"], one["millions"]): one for one in (json.loads(file.read_text())["rows"] if file.exists() else ())}
    for millions in map(int, given.sizes.split(",")):
        for engine in (name for name in given.engines.split(",") if name in offered(of_process().home)):
            with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as into:
                known[engine, millions] = row(engine, millions, made(millions, Path(folder)), Path(into))
    rows = [known[key] for key in sorted(known)]
    told = [
        {"engine": one["engine"], "million parameters": one["millions"]} | {name: _percent(it) for name, it in one["error_ratio"].items()}
        | {"peak MiB": round(one["measured"]["peak_bytes"] / 2**20)}
        | {f"{name} MiB": round(size / 2**20) for name, size in one["measured"]["phases"].items()}
        for one in rows
    ]  # fmt: skip
    show("estimated beside measured", told)
    write("estimate", {"rows": rows})


def _percent(ratio: float | None) -> str:
    return "not told" if ratio is None else f"{100 * ratio:+.1f} %"


if __name__ == "__main__":
    main()
