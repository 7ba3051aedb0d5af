"""Assay's engine against lm-eval's HFLM at its best batch size: the same model, requests and threads, by turns in one process.

    python -m benchmarks.quality [--rounds 3] [--documents 40] [--engines gguf,onnx,vllm]

Three shapes: 5-shot multiple choice with one letter to score (MMLU's), contexts with four long endings (HellaSwag's), and greedy texts
behind few-shot prompts (GSM8K's). The floor is what the matrix products alone would take that the engine's tokens cannot do without, at
the rate measured here on the model's own layers. The work ratio is how much more HFLM asks for of them: what would be gained if both did
theirs equally well (docs/adr/0015). Engines gguf, onnx and vllm, where they are installed, answer them too, the same weights in the format
of each, once for each number of tokens at once that is tried: the best is told. Values are compared: a difference of the first two ends it
with 1. Writes benchmarks/results/quality.json.
"""

import argparse
import functools
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks.beside import is_here, running
from benchmarks.harness import write
from gpu_agent.engines.engine import EngineAnswer, EngineRequest
from gpu_agent.engines.transformers import Transformers
from schemas.requests import ModelRef
from tests.models import gguf_of
from tests.onnx_models import onnx_of

BATCHES = (1, 2, 4, 8, 16)
# What is tried of each engine beside: tokens at once.
AT_ONCE = {"gguf": (512, 1024, 4096), "onnx": (256, 1024, 4096), "vllm": (1024, 4096)}
FORMS: dict[str, Callable[[Path, Path], Path]] = {
    "gguf": lambda folder, into: gguf_of(folder, into / "m.gguf"), "onnx": lambda folder, into: onnx_of(folder, into / "onnx"),
    "vllm": lambda folder, into: folder,
}  # fmt: skip
CLOSE = 1e-4
SHAPE = {
    "vocab_size": 8192, "hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 8, "num_attention_heads": 6,
    "num_key_value_heads": 2, "max_position_embeddings": 2048, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Workload:
    """Requests of one kind, and the least ratio that is aimed at."""

    name: str
    kind: str
    arguments: list[tuple[Any, ...]]
    aim: float


def texts() -> list[str]:
    """Text that every machine has: the standard library's sources."""
    return [path.read_text(errors="ignore") for path in sorted(Path(os.__file__).parent.glob("*.py"))[:120]]


def model_in(folder: Path, shape: Mapping[str, int] = SHAPE, *, dtype: torch.dtype = torch.float32) -> None:
    """Saves a random Llama, of 16 million parameters where no other shape is given, with a tokenizer of its own."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet, special = pre_tokenizers.ByteLevel.alphabet(), ["<s>", "</s>", "<pad>"]
    trainer = trainers.BpeTrainer(vocab_size=SHAPE["vocab_size"], special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts(), trainer)
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>").save_pretrained(
        folder
    )
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**SHAPE | dict(shape))).to(dtype).save_pretrained(folder)


def workloads(documents: int) -> list[Workload]:
    """The three shapes, the same for every seed of the machine's."""
    draw = random.Random(0)
    words = re.findall(r"[a-z]{2,}", " ".join(texts()))

    def some(least: int, most: int) -> str:
        return " ".join(draw.choices(words, k=draw.randint(least, most)))

    def question() -> str:
        return f"{some(20, 60)}?\n" + "".join(f"{letter}. {some(4, 8)}\n" for letter in "ABCD") + "Answer:"

    shots = "Multiple choice questions.\n\n" + "".join(f"{question()} {draw.choice('ABCD')}\n\n" for _ in range(5))
    letters = [(shots + one, f" {letter}") for one in [question() for _ in range(documents)] for letter in "ABCD"]
    endings = [(context, " " + some(8, 24)) for context in [some(30, 80) for _ in range(documents)] for _ in range(4)]
    examples = "".join(f"Question: {some(20, 50)}\nAnswer: {some(20, 60)}\n\n" for _ in range(5))
    told = {"until": ["Question:", "\n\n"], "max_gen_toks": 48, "do_sample": False}
    prompts = [(f"{examples}Question: {some(20, 50)}\nAnswer:", told) for _ in range(documents)]
    return [
        Workload("mmlu", "loglikelihood", letters, aim=5.5), Workload("hellaswag", "loglikelihood", endings, aim=3.5),
        Workload("gsm8k", "generate_until", prompts, aim=1.0),
    ]  # fmt: skip


def theirs(model: Any, tokenizer: Any, batch: int, workload: Workload) -> list[Any]:
    """What HFLM answers."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch)
    told = [
        Instance(request_type=workload.kind, doc={}, arguments=one, idx=n, metadata=("t", n, 1)) for n, one in enumerate(workload.arguments)
    ]
    return list(getattr(lm, workload.kind)(told, disable_tqdm=True))


def ours(answering: Callable[[Sequence[EngineRequest]], Iterable[object]], workload: Workload) -> list[Any]:
    """The same from an engine of Assay's."""
    requests = [
        EngineRequest(n, workload.kind, one[0], continuation=one[1])
        if workload.kind == "loglikelihood"
        else EngineRequest(n, workload.kind, one[0], generation=one[1])
        for n, one in enumerate(workload.arguments)
    ]
    found = sorted((one for one in answering(requests) if isinstance(one, EngineAnswer)), key=lambda one: one.index)
    return [one.output if one.output is not None else (one.loglikelihood, one.is_greedy) for one in found]


def timed(act: Callable[[], list[Any]]) -> tuple[list[Any], float]:
    """What it gives, and the seconds that it takes."""
    started = time.perf_counter()
    return act(), time.perf_counter() - started


def unequal(mine: Sequence[Any], yours: Sequence[Any]) -> int:
    """How many answers differ: texts at all, likelihoods by more than 1e-4 relative or in whether they are greedy."""
    return sum(
        a != b if isinstance(a, str) else a[1] != b[1] or abs(a[0] - b[0]) > CLOSE * abs(b[0]) for a, b in zip(mine, yours, strict=True)
    )


@contextmanager
def counting(network: Any) -> Iterator[dict[str, int]]:
    """While it lasts, counts the tokens that go through the layers, and the places that go through the output head."""
    counts = {"tokens": 0, "scored": 0}

    def through(name: str) -> Callable[..., None]:
        def count(_module: Any, given: tuple[torch.Tensor, ...], _out: torch.Tensor) -> None:
            counts[name] += given[0].numel() if given[0].dim() == 2 else given[0].shape[0] * given[0].shape[1]

        return count

    hooks = [
        network.get_input_embeddings().register_forward_hook(through("tokens")),
        network.get_output_embeddings().register_forward_hook(through("scored")),
    ]
    try:
        yield counts
    finally:
        for hook in hooks:
            hook.remove()


def work_of(network: Any, counts: dict[str, int]) -> int:
    """Floating-point operations of the matrix products with weights, for what was counted."""
    body = sum(p.numel() for name, p in network.named_parameters() if "embed" not in name and "lm_head" not in name)
    return 2 * int(body * counts["tokens"] + network.get_output_embeddings().weight.numel() * counts["scored"])


def gemm_per_s(tokens: int) -> float:
    """Floating-point operations a second of the model's own matrix products, with so many tokens at once; the best of several."""
    hidden, inner = SHAPE["hidden_size"], SHAPE["intermediate_size"]
    weights = [torch.randn(out, into) for out, into in ((hidden, hidden), (inner, hidden), (inner, hidden), (hidden, inner))]
    best = 0.0
    with torch.inference_mode():
        given = [torch.randn(tokens, weight.shape[1]) for weight in weights]
        for _ in range(20):
            started = time.perf_counter()
            for one, weight in zip(given, weights, strict=True):
                torch.nn.functional.linear(one, weight)
            best = max(best, sum(2 * tokens * weight.numel() for weight in weights) / (time.perf_counter() - started))
    return best


def beside(engine: str, model: Path, workload: Workload, yours: Sequence[Any]) -> dict[str, Any]:
    """An engine's seconds with each number of tokens at once, each in a process of its own: what was asked before may lie in its cache."""
    tries, answers = dict[str, float](), list[Any]()
    for tokens in AT_ONCE[engine]:
        with running(engine, model, batch_tokens=str(tokens)) as answering:
            answers, took_s = timed(functools.partial(ours, answering, workload))
        tries[str(tokens)] = took_s
    best = min(tries, key=lambda tokens: tries[tokens])
    return {"engine": engine, "s": tries[best], "batch_tokens": int(best), "tries_s": tries, "unequal": unequal(answers, yours)}


def tried(plain: Any, tokenizer: Any, workload: Workload, batches: Sequence[int]) -> tuple[int, dict[int, float], int]:
    """HFLM's batch size that did best in one try of each, the seconds of every try, and the operations that it asks for at the best."""
    tries, work = dict[int, float](), dict[int, int]()
    for batch in batches:
        with counting(plain) as counts:
            tries[batch] = timed(functools.partial(theirs, plain, tokenizer, batch, workload))[1]
        work[batch] = work_of(plain, counts)
    best = min(tries, key=lambda batch: tries[batch])
    return best, tries, work[best]


def measure(engine: Transformers, folder: Path, workload: Workload, *, rounds: int, others: Mapping[str, Path]) -> dict[str, Any]:
    """Both sides' seconds by turns, HFLM at the batch size that did best in one try each; the other engines' at theirs; and the floor."""
    network = engine.network
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    plain = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    best, tries, their_work = tried(plain, tokenizer, workload, BATCHES)
    with counting(network) as counts:
        mine, _ = timed(lambda: ours(engine.answer, workload))
    their_s, own_s, yours = list[float](), list[float](), list[Any]()
    for _ in range(rounds):
        yours, took_s = timed(lambda: theirs(plain, tokenizer, best, workload))
        their_s.append(took_s)
        own_s.append(timed(lambda: ours(engine.answer, workload))[1])
    work, rate = work_of(network, counts), gemm_per_s(1024)
    return {
        "shape": workload.name, "requests": len(workload.arguments), "aim": workload.aim, "hflm_batch": best,
        "hflm_tries_s": {str(batch): round(took, 3) for batch, took in tries.items()}, "hflm_s": their_s, "assay_s": own_s,
        "ratio": statistics.median(a / b for a, b in zip(their_s, own_s, strict=True)), "unequal": unequal(mine, yours),
        "beside": [beside(one, model, workload, yours) for one, model in others.items()],
        "tokens": counts["tokens"], "scored": counts["scored"], "gflop_per_s": rate / 1e9, "floor_s": work / rate,
        "of_floor_ratio": work / rate / statistics.median(own_s), "work_ratio": their_work / work,
    }  # fmt: skip


def main() -> None:
    """Measures every shape, prints and writes what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--documents", type=int, default=40)
    parser.add_argument("--shape", action="append", help="only this one; several may be named")
    parser.add_argument("--engines", default=",".join(AT_ONCE), help="beside it, of those that are here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as into:
        folder = Path(name)
        model_in(folder)
        engine = Transformers()
        loaded = engine.load(ModelRef(uri=name), options={}, device="cpu")
        others = {one: FORMS[one](folder, Path(into)) for one in given.engines.split(",") if one and is_here(one)}
        found = [
            measure(engine, folder, workload, rounds=given.rounds, others=others)
            for workload in workloads(given.documents)
            if not given.shape or workload.name in given.shape
        ]
    for one in found:
        print(
            f"{one['shape']}: HFLM (batch {one['hflm_batch']}) {statistics.median(one['hflm_s']):.2f} s, Assay "
            f"{statistics.median(one['assay_s']):.2f} s, ratio {one['ratio']:.2f} (aim {one['aim']}), floor {one['floor_s']:.2f} s "
            f"({one['of_floor_ratio']:.0%} of it reached), work ratio {one['work_ratio']:.2f}, {one['unequal']} of {one['requests']} differ"
        )
        for other in one["beside"]:
            print(
                f"  engine {other['engine']} ({other['batch_tokens']} tokens at once): {other['s']:.2f} s, "
                f"{one['requests'] / other['s']:.1f} answers/s, {other['unequal']} of {one['requests']} differ"
            )
    write("quality", {"model_parameters": loaded.parameters, "batch": loaded.used.batch, "shapes": found})
    if any(one["unequal"] for one in found):
        sys.exit("values differ")


if __name__ == "__main__":
    main()
