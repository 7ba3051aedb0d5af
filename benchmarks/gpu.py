"""What is measured on an NVIDIA GPU held to what else tells the same, and engines on it beside the bandwidth of its memory.

    python -m benchmarks.gpu [--burn 30] [--texts 64] [--only meters,engines]

NVML's readings by our meter beside nvidia-smi's; the energy that the card counts beside its power added up while it computes as fast as it
can; CUDA's events beside the wall clock of the same kernels. Then a random Llama that fills the card is made, and engines transformers and
vllm write texts by it: tokens a second beside the floor, which is what reading the weights, and keys and values, alone would take at the
bandwidth that was measured here. Writes benchmarks/results/gpu.json. Without a card it says what lacks, and ends with 1.
"""

import argparse
import asyncio
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks import cards
from benchmarks.filling import ITEMSIZE, Shape, filling, made
from benchmarks.harness import median, show, write
from gpu_agent.engines.engine import EngineAnswer, EngineRequest
from gpu_agent.meters.nvml import nvml
from gpu_agent.meters.readings import Read, Reading
from gpu_agent.runner import Engines
from infra.engine_environments import place_of
from infra.settings import of_process
from schemas.requests import EngineChoice, ModelRef
from streams.speed.counters import grown_uj, integrated_uj

SAMPLES: Final = 20
EVERY_S: Final = 0.1
OUTPUT_TOKENS: Final = 128
MATRIX: Final = 8192
COPIED_BYTES: Final = 2**31


def readings(meter: Read) -> dict[str, Reading]:
    """A reading of each card, by its UUID."""
    return {one["device_uuid"]: one | {"mono_ns": time.perf_counter_ns()} for one in meter() if one["scope"] == "device"}


def beside_nvidia_smi(meter: Read) -> dict[str, Any]:
    """Of each quantity the median of how far nvidia-smi is from the middle of our readings before and after it, and the farthest."""
    apart: dict[str, list[float]] = {name: [] for name in ("power_w", "memory_bytes", "celsius", "util_ratio")}
    for _ in range(SAMPLES):
        before, said, after = readings(meter), cards.told(), readings(meter)
        for one in said:
            for name, found in apart.items():
                first, last = (side[one.uuid]["temperature_c" if name == "celsius" else name] for side in (before, after))
                its = getattr(one, name)
                if None not in (first, last, its):
                    found.append(its - (first + last) / 2)
        time.sleep(EVERY_S)
    return {
        name: {"median": statistics.median(one), "farthest": max(one, key=abs), "count": len(one)} for name, one in apart.items() if one
    }


@contextmanager
def burning() -> Iterator[None]:
    """While it lasts the first card multiplies matrices."""
    import torch

    over = threading.Event()
    one = torch.randn(MATRIX, MATRIX, dtype=torch.bfloat16, device="cuda")

    def burn() -> None:
        while not over.is_set():
            for _ in range(50):
                torch.matmul(one, one)
            torch.cuda.synchronize()

    thread = threading.Thread(target=burn)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def energy(meter: Read, uuid: str, *, seconds: float) -> dict[str, Any]:
    """What the card counted beside its power by the trapezoidal rule, J; a counter that it lacks is told as None."""
    taken, due = list[Reading](), time.monotonic() + seconds
    while time.monotonic() < due:
        taken.append(readings(meter)[uuid])
        time.sleep(EVERY_S)
    return energies(taken)


def energies(taken: Sequence[Reading]) -> dict[str, Any]:
    """Both energies over those readings of one card, J, and counted / integrated."""
    pairs = list(pairwise(taken))
    counted = [grown_uj(*((one["mono_ns"], one["energy_uj"]) for one in pair), range_uj=None) for pair in pairs if _all(pair, "energy_uj")]
    drawn = [integrated_uj(*((one["mono_ns"], round(one["power_w"] * 1e6)) for one in pair)) for pair in pairs if _all(pair, "power_w")]
    told = [None if not found or None in found else sum(map(int, filter(None, found))) / 1e6 for found in (counted, drawn)]
    ratio = told[0] / told[1] if told[0] and told[1] else None
    return {"counted_j": told[0], "integrated_j": told[1], "ratio": ratio, "readings": len(taken)}


def _all(pair: Sequence[Reading], name: str) -> bool:
    return all(one[name] is not None for one in pair)


def clocks() -> dict[str, Any]:
    """Wall clock / CUDA's events of the same kernels, some short and some long; the median and the farthest from 1."""
    import torch

    ratios = []
    for width in (1024, 4096, MATRIX):
        one = torch.randn(width, width, dtype=torch.bfloat16, device="cuda")
        for _ in range(SAMPLES):
            began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            started = time.perf_counter()
            began.record()
            for _ in range(100):
                torch.matmul(one, one)
            ended.record()
            torch.cuda.synchronize()
            ratios.append((time.perf_counter() - started) * 1e3 / began.elapsed_time(ended))
    return {"wall_to_events_ratio": median(ratios), "farthest": max(ratios, key=lambda ratio: abs(ratio - 1)), "count": len(ratios)}


def bandwidth_bytes_per_s() -> float:
    """Bytes that the card reads and writes a second while it copies; the best of several."""
    import torch

    one, best = torch.empty(COPIED_BYTES, dtype=torch.uint8, device="cuda"), 0.0
    other = torch.empty_like(one)
    for _ in range(SAMPLES):
        began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        began.record()
        other.copy_(one)
        ended.record()
        torch.cuda.synchronize()
        best = max(best, 2 * COPIED_BYTES / (began.elapsed_time(ended) / 1e3))
    return best


def floor_s(shape: Shape, *, texts: int, prompt_tokens: float, output_tokens: int, bytes_per_s: float) -> float:
    """Seconds that so many texts, all at once, cannot do without: each step reads the weights, and all keys and values there are."""
    seen = texts * (prompt_tokens + output_tokens / 2)
    return output_tokens * (shape.step_bytes + shape.sizes.kv_bytes_per_token * seen) / bytes_per_s


def of_engine(name: str, folder: Path, shape: Shape, *, texts: int, bytes_per_s: float) -> dict[str, Any]:
    """Tokens a second of one text alone and of many at once, each beside its floor."""
    engines = Engines("cuda", home=of_process().home, load_hang_s=1800)
    with asyncio.Runner() as runner:
        try:
            loaded, *_ = runner.run(engines.load(ModelRef(uri=str(folder)), EngineChoice(name=name)))
            runner.run(_answers(engines, texts=2, salt="warm"))
            told = []
            for number in (1, texts):
                started = time.perf_counter()
                answers = runner.run(_answers(engines, texts=number, salt="measured"))
                took_s = time.perf_counter() - started
                count, prompt = sum(one.output_tokens for one in answers), statistics.mean(one.prompt_tokens for one in answers)
                least_s = floor_s(shape, texts=number, prompt_tokens=prompt, output_tokens=OUTPUT_TOKENS, bytes_per_s=bytes_per_s)
                told.append({"texts": number, "tokens_per_s": count / took_s, "floor_tokens_per_s": number * OUTPUT_TOKENS / least_s,
                             "of_floor_ratio": count / (number * OUTPUT_TOKENS) * least_s / took_s})  # fmt: skip
            return {
                "engine": name,
                "version": loaded.used.version,
                "load_s": loaded.load_ns / 1e9,
                "peak_bytes": loaded.peak_bytes,
                "loads": told,
            }
        finally:
            runner.run(engines.close())


async def _answers(engines: Engines, *, texts: int, salt: str) -> list[EngineAnswer]:
    told = {"until": [], "max_gen_toks": OUTPUT_TOKENS, "do_sample": False}
    asked = [EngineRequest(n, "generate_until", f"{salt} {n}: what grows in the garden is", generation=told) for n in range(texts)]
    return [one async for one in engines.answer(asked) if isinstance(one, EngineAnswer)]


def of_meters(burn_s: float) -> dict[str, Any]:
    """What the card's meters and clocks say beside others."""
    import torch

    meter, why = nvml(lambda: None)
    assert meter is not None, why
    uuid = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
    with burning():
        time.sleep(2)  # until it has warmed up
        beside, counted = beside_nvidia_smi(meter), energy(meter, uuid, seconds=burn_s)
    return {"beside_nvidia_smi": beside, "energy": counted, "clocks": clocks()}


def of_engines(texts: int) -> dict[str, Any]:
    """Engines with a model that fills the card."""
    import torch

    bytes_per_s = bandwidth_bytes_per_s()
    torch.cuda.empty_cache()
    with tempfile.TemporaryDirectory() as name:
        free, host = shutil.disk_usage(name).free, psutil.virtual_memory().available
        shape = filling(card_bytes=torch.cuda.mem_get_info()[0], host_bytes=host, disk_bytes=free)
        made(shape, Path(name), device="cuda")
        torch.cuda.empty_cache()
        found = [of_engine(one, Path(name), shape, texts=texts, bytes_per_s=bytes_per_s) for one in ("transformers", "vllm")]
    model = {"width": shape.width, "layers": shape.layers, "parameters": shape.parameters, "weights_bytes": ITEMSIZE * shape.parameters}
    return {"bandwidth_bytes_per_s": bytes_per_s, "model": model, "engines": found}


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--burn", type=float, default=30, help="seconds over which energy is counted")
    parser.add_argument("--texts", type=int, default=64, help="that are written at once")
    parser.add_argument("--only", default="meters,engines")
    given = parser.parse_args()
    if why := cards.lacking():
        raise SystemExit(why)
    if place_of("vllm", of_process().home).state not in ("here", "own"):
        raise SystemExit("engine vllm is not installed; `assay engine install vllm` installs it")
    found: dict[str, Any] = {"cards": [one.name for one in cards.told()]}
    if "meters" in given.only:
        found |= of_meters(given.burn)
        show("NVML beside nvidia-smi", [{"quantity": name} | one for name, one in found["beside_nvidia_smi"].items()])
        show("energy counted, and power integrated", [found["energy"]])
        show("wall clock beside CUDA's events", [found["clocks"]])
    if "engines" in given.only:
        found |= of_engines(given.texts)
        show("tokens a second, beside the bandwidth's floor", list(_rows(found["engines"])))
    write("gpu", found)


def _rows(engines: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for one in engines:
        yield from ({"engine": one["engine"]} | load for load in one["loads"])


if __name__ == "__main__":
    main()
