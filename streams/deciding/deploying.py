"""How to run what was measured: the command of the server that the measurement rests on, the same for compose, and what to watch.

Flags are those of vLLM 0.32 (`vllm serve`), llama.cpp's `llama-server` and transformers 5 (`transformers serve`).
"""

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from schemas.decisions import Guide
from schemas.requirements import Latency
from streams.deciding import commands
from streams.deciding.candidates import FIGURES, Candidate
from streams.deciding.measured import Origin

PORT: Final = 8000
BUSY: Final = 0.85  # of the replicas' places, above which the queue grows quickly
BATCH: Final = re.compile(r"(\d+) tokens")  # how many tokens at once an engine says that it takes
KEPT: Final[Mapping[str, str]] = MappingProxyType({"float16": "f16", "float32": "f32"})
Arguments = list[str]


@dataclass(frozen=True, slots=True)
class Server:
    """What serves an engine's models: its arguments, the image that compose runs, and what differs from what was measured.

    VERSION in the image, and in what it `installs`, is the engine's.
    """

    arguments: Callable[[Origin], Arguments]
    image: str
    notes: tuple[str, ...] = ()
    installs: str | None = None


def _vllm(origin: Origin) -> Arguments:
    used, model, options = origin.deployed.used, origin.deployed.model, _options(origin)
    told = ["vllm", "serve", model.base or model.uri, "--dtype", used.dtype, "--max-model-len", str(used.max_len)]
    told += ["--revision", model.revision] if model.revision and not model.base else []
    told += ["--trust-remote-code"] if model.trust_code else []
    told += ["--enable-lora", "--max-loras", "1", "--lora-modules", f"adapter={model.uri}"] if model.base else []
    told += ["--gpu-memory-utilization", options["gpu_memory_utilization"]] if "gpu_memory_utilization" in options else []
    told += ["--enforce-eager"] if not used.compile else []
    told += ["--max-num-batched-tokens", batch[1]] if (batch := BATCH.fullmatch(used.batch)) else []
    told += ["--quantization", used.quantisation] if used.quantisation else []
    told += ["--tensor-parallel-size", str(used.tp)] if used.tp > 1 else []
    told += ["--pipeline-parallel-size", str(used.pp)] if used.pp > 1 else []
    return [*told, *(["--max-num-seqs", str(origin.point.places)] if origin.point else []), "--host", "0.0.0.0", "--port", str(PORT)]


def _options(origin: Origin) -> Mapping[str, str]:
    """What the engine was told."""
    found: dict[str, str] = json.loads(origin.deployed.weights.options)
    return found


def _llama(origin: Origin) -> Arguments:
    used, slots = origin.deployed.used, origin.point.places if origin.point else 1
    told = ["llama-server", "--model", origin.deployed.weights.uri, "--parallel", str(slots), "--ctx-size", str(used.max_len * slots)]
    options = _options(origin)
    told += ["--threads", options["threads"]] if "threads" in options else []
    kept = KEPT.get(options.get("kv", ""))
    told += ["--cache-type-k", kept, "--cache-type-v", kept] if kept else []
    return [*told, "--host", "0.0.0.0", "--port", str(PORT)]


def _transformers(origin: Origin) -> Arguments:
    used, model = origin.deployed.used, origin.deployed.model
    told = ["transformers", "serve", commands.named(model), "--dtype", used.dtype, "--device", used.device]
    told += ["--trust-remote-code"] if model.trust_code else []
    return [*told, "--continuous-batching", "--host", "0.0.0.0", "--port", str(PORT)]


OF_OURS: Final = (
    "measured with Assay's own engine over the same library: measure the server itself before it goes live, by the next command"
)
SERVERS: Final[Mapping[str, Server]] = MappingProxyType({
    "vllm": Server(_vllm, "${VLLM_IMAGE:-vllm/vllm-openai:vVERSION}"),
    "gguf": Server(_llama, "${LLAMA_SERVER_IMAGE:?name the image of llama.cpp's server}", (OF_OURS,)),
    "transformers": Server(_transformers, "python:3.12-slim", (OF_OURS,), installs="transformers[serving]==VERSION torch"),
})  # fmt: skip


def guide_of(candidate: Candidate, origin: Origin, latency: Latency, *, air_gapped: bool = False) -> Guide:
    """The guide for a candidate; without a command where nothing serves its engine. `air_gapped`: there is no net where it will run."""
    server, speed_run = SERVERS.get(candidate.engine), origin.point.run_id if origin.point else None
    if server is None:
        why = f"nothing serves the engine {candidate.engine}: choose one that {', '.join(SERVERS)} can read, and measure it"
        return Guide(command=None, compose=None, alerts=(), notes=(why,), speed_run=speed_run)
    arguments = server.arguments(origin)
    notes = (
        *server.notes,
        *(_check(origin) if server.notes else ()),
        *_local(origin),
        *_adapter(candidate, origin),
        *(_without_net(server, origin) if air_gapped else ()),
    )
    return Guide(
        command=shlex.join(arguments), compose=_compose(server, arguments, origin), alerts=tuple(_alerts(candidate, latency)), notes=notes,
        speed_run=speed_run,
    )  # fmt: skip


def _check(origin: Origin) -> tuple[str, ...]:
    load = ["--concurrency", str(origin.point.places)] if origin.point else ["--concurrency", "1"]
    command = [
        "assay",
        "perf",
        "--url",
        f"http://HOST:{PORT}",
        "--model",
        commands.named(origin.deployed.model),
        "--profile",
        "concurrent",
        *load,
    ]
    return (shlex.join([*command, "--duration", "120", "--wait"]),)


def _local(origin: Origin) -> tuple[str, ...]:
    uri = origin.deployed.weights.uri
    return (f"the model is a folder or file of the machine that planned the run: bring {uri} along",) if uri.startswith("/") else ()


def _adapter(candidate: Candidate, origin: Origin) -> tuple[str, ...]:
    """What is to be done for an adapter, which was measured on its base."""
    model = origin.deployed.model
    if not model.base:
        return ()
    if candidate.engine == "vllm":
        return ("the adapter was measured on its base: ask the server for the model named adapter; where its rank is above 16, add "
                "--max-lora-rank",)  # fmt: skip
    return (f"the adapter was measured merged into {model.base}: merge it first, and serve what comes of that",)


def _without_net(server: Server, origin: Origin) -> Iterator[str]:
    """What must be there before, where nothing can be fetched."""
    uri = origin.deployed.weights.uri
    pulled = shlex.quote(commands.named(origin.deployed.model))
    fetched = "" if uri.startswith("/") else f", and the weights, as `assay pull {pulled}` has them, in the place of {uri}"
    yield f"nothing can be fetched where it runs: bring the server's image along{fetched}; set HF_HUB_OFFLINE=1"
    if server.installs:
        yield "the service for compose installs its packages as it starts: build an image that has them first"


def _compose(server: Server, arguments: Sequence[str], origin: Origin) -> str:
    """A service of docker compose, as YAML; lists are JSON, which YAML reads."""
    uri, devices = origin.deployed.weights.uri, len(origin.deployed.place.devices)
    command, version = list(arguments), origin.deployed.weights.version
    if server.installs:
        installs = server.installs.replace("VERSION", version)
        command = ["sh", "-c", f"pip install {shlex.quote(installs.split()[0])} {installs.partition(' ')[2]} && {shlex.join(arguments)}"]
    lines = [
        "services:",
        "  model:",
        f"    image: {server.image.replace('VERSION', version)}",
        "    restart: unless-stopped",
        f'    ports: ["{PORT}:{PORT}"]',
    ]
    lines += [f"    volumes: {json.dumps([f'{uri}:{uri}:ro'])}"] if uri.startswith("/") else []
    lines += [f"    {'command' if server.installs else 'entrypoint'}: {json.dumps(command)}"]
    if devices:
        gpus = {"driver": "nvidia", "count": devices, "capabilities": ["gpu"]}
        lines += ["    deploy:", "      resources:", "        reservations:", f"          devices: [{json.dumps(gpus)}]"]
    return "\n".join(lines) + "\n"


def _alerts(candidate: Candidate, latency: Latency) -> list[str]:
    """What to be woken by: a bound that is no longer kept, and a load near what was measured."""
    bounds = {name: value for name, value in latency.model_dump().items() if value is not None}
    told = [f"{FIGURES[name].words} above {value:g} s over five minutes" for name, value in bounds.items()]
    if (goodput := candidate.figures.get("goodput_per_s")) is not None:
        told.append(
            f"more than {BUSY * goodput.value:.3g} requests/s a replica: {100 * BUSY:.0f} % of what was measured to keep the service level"
        )
    return told
