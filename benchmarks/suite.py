"""How long suite `standard` takes: measured here on small models, and extrapolated to classes of devices.

    ASSAY_DATASETS=FOLDER python -m benchmarks.suite [--documents 3] [--skip-missing]

Three models like the demo's, of different size, answer the first documents of every task, fewer and more of them; so what a task takes once
(its examples) and what each document takes are told apart. Seconds are fitted to documents, generated tokens and operations. The rest is
EXTRAPOLATED: tokens of the whole suite to larger models on published peak rates, at an assumed utilisation. Writes results/suite.json.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
import transformers

from benchmarks.device_classes import BATCH, CLASSES, UTILISATION, hours
from benchmarks.fitting import Point, fitted, whole
from benchmarks.harness import show, write
from benchmarks.quality import SHAPE, counting, gemm_per_s, model_in
from gpu_agent.engines.engine import EngineAnswer, EngineRequest
from gpu_agent.engines.transformers import Transformers
from infra.harness.building import Build, BuiltSample, build
from infra.harness.chat import Dress
from infra.settings import Settings, of_process
from infra.suites.reading import suite
from schemas.requests import Chat, ModelRef
from streams.errors import Permanent

SUITE: Final = "standard"
AIM_H, AIM_MODELS = 4.0, 100.0
WEEK_H: Final = 7 * 24.0
# (layers, width) of the models that are measured, and the sizes that are extrapolated to.
SHAPES: Final = {"small": (2, 96), "medium": (4, 160), "large": (6, 256)}
PARAMETERS: Final = {"1B": 1e9, "8B": 8e9}


def models_in(folder: Path) -> Iterator[tuple[str, Path]]:
    """Random Llamas of three sizes with one tokenizer, each in its folder."""
    model_in(folder / "tokenizer")
    for name, (layers, width) in SHAPES.items():
        own = folder / name
        shutil.copytree(folder / "tokenizer", own, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
        shape = SHAPE | {
            "hidden_size": width, "intermediate_size": width * 8 // 3, "num_hidden_layers": layers, "num_attention_heads": width // 32,
            "num_key_value_heads": width // 32, "max_position_embeddings": 8192,
        }  # fmt: skip
        torch.manual_seed(0)
        transformers.LlamaForCausalLM(transformers.LlamaConfig(**shape)).save_pretrained(own)
        yield name, own


def builds(settings: Settings, *, skip_missing: bool) -> tuple[list[Build], dict[str, str]]:
    """The suite's tasks, whole, and why those that are missing are. Raises: Permanent for the first, unless they may be."""
    made, missing = list[Build](), dict[str, str]()
    for choice in suite(SUITE).choices():
        try:
            made.append(build(choice, dress=Dress(Chat()), settings=settings, given=None))
        except Permanent as error:
            if not skip_missing:
                raise
            missing[choice.name] = str(error)
    return made, missing


def asked(samples: Sequence[BuiltSample]) -> list[EngineRequest]:
    """The samples' requests, as an agent gives them to its engine."""
    calls = [call for sample in samples for call in sample.requests]
    return [
        EngineRequest(index, call.request_type, call.prefix + call.context, call.continuation, json.loads(call.generation_json or "{}"))
        for index, call in enumerate(calls)
    ]


def measured(engine: Transformers, name: str, task: Build, documents: int) -> Point:
    """What answering the first documents of a task takes."""
    network = engine.network
    requests = asked(task.samples[:documents])
    with counting(network) as counts:
        started = time.perf_counter()
        answers = [one for one in engine.answer(requests) if isinstance(one, EngineAnswer)]
        took_s = time.perf_counter() - started
    body = sum(p.numel() for part, p in network.named_parameters() if "embed" not in part and "lm_head" not in part)
    flop = 2.0 * body * counts["tokens"] + 2.0 * network.get_output_embeddings().weight.numel() * counts["scored"]
    outputs = sum(one.output_tokens for one in answers if one.output is not None)
    return Point(name, task.task, min(documents, len(task.samples)), counts["tokens"], outputs, flop, took_s)


def extrapolated(total: Mapping[str, float]) -> list[dict[str, Any]]:
    """EXTRAPOLATED: hours a suite and models a week of each class and size, at the better and the worse utilisation."""
    rows = list[dict[str, Any]]()
    for device in CLASSES:
        for size, parameters in PARAMETERS.items():
            least, most = (
                hours(device, parameters=parameters, prompt_tokens=total["tokens"] - total["outputs"], output_tokens=total["outputs"],
                      utilisation=utilisation) for utilisation in reversed(UTILISATION)
            )  # fmt: skip
            fits = least is not None and most is not None
            rows.append({
                "device": device.name, "model": size, "hours": [least, most] if fits else None,
                "models_a_week": [WEEK_H / most, WEEK_H / least] if least and most else None,
                "within_aim": [one <= AIM_H and WEEK_H / one >= AIM_MODELS for one in (least, most)] if least and most else None,
            })  # fmt: skip
    return rows


def shown(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints what was extrapolated."""

    def span(ends: Sequence[float] | None, digits: int) -> str:
        return f"{ends[0]:,.{digits}f} to {ends[1]:,.{digits}f}" if ends else "does not fit"

    title = (
        f"EXTRAPOLATED, not measured: published peaks, {UTILISATION[0]:.0%} to {UTILISATION[1]:.0%} of them, {BATCH} texts at once; "
        f"asked: under {AIM_H:.0f} h, over {AIM_MODELS:.0f} a week"
    )
    show(title, [{"device": one["device"], "model": one["model"], "hours a suite": span(one["hours"], 2),
                  "models a week": span(one["models_a_week"], 0)} for one in rows])  # fmt: skip


def answered(tasks: Sequence[Build], documents: int) -> dict[str, list[tuple[Point, Point]]]:
    """Model → two measurements of every task: of one document, and of so many."""
    found = dict[str, list[tuple[Point, Point]]]()
    with tempfile.TemporaryDirectory() as folder:
        for name, own in models_in(Path(folder)):
            engine = Transformers()
            engine.load(ModelRef(uri=str(own)), options={}, device="cpu")
            measured(engine, name, tasks[0], 1)  # what happens but once: threads, allocations
            found[name] = [(measured(engine, name, task, 1), measured(engine, name, task, documents)) for task in tasks]
            engine.close()
    return found


def main() -> None:
    """Measures, fits, extrapolates, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=4, help="of each task, the more; one is the fewer")
    parser.add_argument("--skip-missing", action="store_true", help="go on without tasks whose data are not here")
    given = parser.parse_args()
    tasks, missing = builds(of_process(), skip_missing=given.skip_missing)
    for name, why in missing.items():
        print(f"left out: {name}: {why}", file=sys.stderr)
    here, totals = list[dict[str, Any]](), dict[str, dict[str, float]]()
    for model, pairs in answered(tasks, given.documents).items():
        each = [whole(few, many, len(task.samples)) for (few, many), task in zip(pairs, tasks, strict=True)]
        total = totals[model] = {name: sum(one[name] for one in each) for name in each[0]}
        fit = fitted([point for pair in pairs for point in pair])
        s = sum(fit[f"s_per_{name}"] * total[of] for name, of in (("document", "documents"), ("output", "outputs"), ("flop", "flop")))
        here.append({
            "model": model, **fit, "documents_per_s": total["documents"] / s, "tokens_per_s": total["tokens"] / s, "hours": s / 3600,
            "models_a_week": WEEK_H * 3600 / s, "points": [asdict(point) for pair in pairs for point in pair],
        })  # fmt: skip
    total, rate = totals["large"], gemm_per_s(1024)
    columns = ("model", "documents_per_s", "tokens_per_s", "hours", "models_a_week", "s_per_document", "s_per_output", "unexplained_ratio")
    show(f"suite {SUITE} here, from a fit to {2 * len(tasks)} measurements a model; matrix products: {rate / 1e9:.0f} GFLOP/s",
         [{name: one[name] for name in columns} for one in here])  # fmt: skip
    rows = extrapolated(total)
    shown(rows)
    write("suite", {
        "suite": SUITE, "version": suite(SUITE).version, "tasks": len(tasks), "missing": missing, "whole": total, "gemm_flop_per_s": rate,
        "here": here, "extrapolated": rows,
        "assumed": {"utilisation": UTILISATION, "batch": BATCH, "classes": [asdict(one) for one in CLASSES]},
    })  # fmt: skip


if __name__ == "__main__":
    main()
