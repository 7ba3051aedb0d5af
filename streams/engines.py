"""The engines that agents offer: which models each reads, what it answers, on which devices, and what it wants installed.

This is the one list. Planning refuses by it, agents offer by it, `assay engine` and `assay doctor` show it; docs/engines.md says more.
A new engine is a line here, a class behind gpu_agent/engines/engine.py's interface, and, where its packages go with no other's, a
requirement file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.requests import ModelRef
from streams.engine_options import FLAG, LABELS, MILLISECONDS, MOST_WINDOW, SHARE, TEXT, USUAL, Option, one_of, values, whole
from streams.errors import Invalid
from streams.hub_names import named

MIB: Final = 2**20
LIKELIHOODS: Final = frozenset({"loglikelihood", "loglikelihood_rolling"})
TEXTS: Final = frozenset({"generate_until"})
ENCODED: Final = frozenset({"generate_until"})  # an encoder's figures come as a text
FOLDER: Final = frozenset({"safetensors", "bin"})
# Arguments of texts that are the likeliest, or drawn, token by token: what needs no search over several.
SAMPLED: Final = frozenset({
    "until", "max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens", "max_length", "do_sample", "temperature", "top_k",
    "top_p", "min_p", "repetition_penalty", "no_repeat_ngram_size", "min_length", "min_new_tokens", "suppress_tokens",
    "begin_suppress_tokens", "use_cache", "renormalize_logits", "remove_invalid_values",
})  # fmt: skip
ADAPTING: Final = ("transformers", "vllm")  # engines that put an adapter on its base
# What OpenAI's interface has of them.
ASKED: Final = frozenset({
    "until", "max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens", "do_sample", "temperature", "top_p",
})  # fmt: skip
TORCH: Final = ("torch", "transformers")
ON_TORCH: Final = ("cpu", "cuda", "xpu", "mps")
VLLM: Final = ("vllm",)
ONNX: Final = ("onnxruntime", "transformers")  # whose tokenizers it reads by
MLX: Final = ("mlx", "mlx_lm", "transformers")
TENSORFLOW: Final = ("tensorflow", "transformers")
AS_THEY_ARE: Final = ("gguf", "onnx", "tensorflow")  # engines that compute with weights as the file has them
KV: Final = one_of({"float16": "float16", "float32": "float32"})  # how keys and values are kept
FAILURES: Final = one_of({word: word for word in ("", "load", "hang", "oom", "crash", "raise")})
UNTHREADED: Final[Mapping[str, Option]] = {name: one for name, one in USUAL.items() if name != "threads"}
SERVED: Final[Mapping[str, Option]] = {
    "url": TEXT, "tokenizer": TEXT, "max_length": whole(8, MOST_WINDOW), "concurrency": whole(1, 1024), "retries": whole(0, 100),
    "timeout_s": whole(1, 86_400),
}  # fmt: skip
SPREAD: Final[Mapping[str, Option]] = {
    "gpu_memory_utilization": SHARE, "enforce_eager": FLAG, "tensor_parallel_size": whole(1, 1024),
    "pipeline_parallel_size": whole(1, 1024),
}  # fmt: skip
# By what weights of a folder may be quantised, and which module beside an engine's own reads them ("": none), where an engine knows it.
# Source: transformers 5.19, quantizers/auto.py, each quantizer's validate_environment; vLLM 0.32 brings kernels, but for bitsandbytes.
# MLX's own way is `mlx` here, for its settings name none.
QUANTISED: Final[Mapping[str, Mapping[str, str]]] = {
    "transformers": {
        "awq": "gptqmodel", "gptq": "gptqmodel", "bitsandbytes": "bitsandbytes", "compressed-tensors": "compressed_tensors",
        "aqlm": "aqlm", "hqq": "hqq", "torchao": "torchao", "quanto": "optimum", "vptq": "vptq", "auto-round": "auto_round",
    },
    "mlx": {"mlx": ""},
    "vllm": {
        "awq": "", "gptq": "", "fp8": "", "bitsandbytes": "bitsandbytes", "compressed-tensors": "", "fbgemm_fp8": "", "modelopt": "",
        "quark": "", "mxfp4": "", "torchao": "torchao", "auto-round": "", "gptq_marlin": "", "awq_marlin": "",
    },
}  # fmt: skip
READERS: Final = tuple(sorted({module for methods in QUANTISED.values() for module in methods.values() if module}))
# What is said of weights, their dtype and their device where nobody here can see them.
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Kind:
    """An engine as a kind. `formats` of weights that it reads, none where it reads no files; `answers` are types of requests.

    `packages` are the modules that it imports; where the agent's own environment lacks one, the engine runs in an environment made from
    `requirements`, a file of infra/requirements. Without such a file it runs in the agent's own alone. `tokens`: it generates tokens, whose
    speed can be measured; `arguments` of generation are those that it takes, None for all that streams/quality/generation.py knows.
    `bounds`: between which values it takes an argument, where these are narrower than what there is; 0 is beside them.
    `elsewhere`: a server answers, on a machine of which nothing is known here.
    `options`: what a request may tell it, by their names (streams/engine_options.py).
    `requirements_cpu`: in the place of `requirements` on machines without an NVIDIA GPU. `once`: its process bears one model, and another
    model wants another process.
    `kv_times`: how many times keys and values are there at once; `step_tokens`: how many tokens go through at once, where an engine has a
    number of its own; `mask_bytes`: what says of each of them whether it sees one that is kept.
    `runtime_bytes`: what its process takes with a model of no size: 870 to 1,010 MiB measured with torch 2.13 and
    transformers 5.19 on Linux, by the machine; 70 MiB with cyllama 0.2.18, 97 MiB with mlx-lm 0.32, 667 MiB with TensorFlow 2.21.
    """

    what: str
    factory: str
    formats: frozenset[str]
    answers: frozenset[str]
    devices: tuple[str, ...]
    packages: tuple[str, ...] = ()
    requirements: str | None = None
    tokens: bool = True
    arguments: frozenset[str] | None = None
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    options: Mapping[str, Option] = field(default_factory=dict)
    runtime_bytes: int = 1008 * MIB
    kv_times: int = 1
    step_tokens: int | None = None
    mask_bytes: int = 0
    elsewhere: bool = False
    requirements_cpu: str | None = None
    once: bool = False


KINDS: Final[Mapping[str, Kind]] = {
    "classifier": Kind(
        "classifiers of the Hugging Face format", "gpu_agent.engines.classifier:Classifier", FOLDER, frozenset({"loglikelihood"}),
        ON_TORCH, TORCH, tokens=False, options={**USUAL, "labels": LABELS},
    ),
    "echo": Kind(
        "a fake, for tests", "gpu_agent.engines.echo:Echo", frozenset(), LIKELIHOODS | TEXTS, ("cpu",),
        options={"answers": TEXT, "delay_ms": MILLISECONDS, "fail": FAILURES, "fail_after": whole(0, 10_000_000)},
    ),
    "encoder": Kind(
        "encoders of the Hugging Face format, for BERTScore", "gpu_agent.engines.encoder:Encoder", FOLDER, ENCODED, ON_TORCH,
        TORCH, tokens=False, options={**USUAL, "layer": whole(0, 1000)},
    ),
    "gguf": Kind(
        "GGUF files, by llama.cpp", "gpu_agent.engines.gguf.engine:Gguf", frozenset({"gguf"}), LIKELIHOODS | TEXTS, ("cpu",), ("cyllama",),
        "gguf.txt", arguments=SAMPLED, options={**USUAL, "kv": KV}, runtime_bytes=72 * MIB, step_tokens=512, mask_bytes=6,
    ),
    "mlx": Kind(
        "language models of the Hugging Face format, and MLX's own, by MLX", "gpu_agent.engines.mlx.engine:Mlx", frozenset({"safetensors"}),
        LIKELIHOODS | TEXTS, ("mps", "cpu"), MLX, "mlx.txt", arguments=SAMPLED, options=UNTHREADED, runtime_bytes=192 * MIB,
    ),
    "onnx": Kind(
        "language models as ONNX files, by ONNX Runtime", "gpu_agent.engines.onnx.engine:Onnx", frozenset({"onnx"}), LIKELIHOODS | TEXTS,
        ("cpu", "cuda"), ONNX, "onnx.txt", arguments=SAMPLED, options=USUAL,
    ),
    "openai": Kind(
        "models behind an address with OpenAI's interface", "gpu_agent.engines.served.engine:Served", frozenset(), LIKELIHOODS | TEXTS,
        ("any",), arguments=ASKED, options=SERVED, runtime_bytes=128 * MIB, elsewhere=True,
    ),
    "tensorflow": Kind(
        "language models as TensorFlow's SavedModels", "gpu_agent.engines.tensorflow.engine:TensorFlow", frozenset({"savedmodel"}),
        LIKELIHOODS | TEXTS, ("cpu",), TENSORFLOW, "tensorflow.txt", arguments=SAMPLED, options=USUAL, runtime_bytes=1024 * MIB, once=True,
    ),
    "transformers": Kind(
        "language models of the Hugging Face format; GGUF files dequantised", "gpu_agent.engines.transformers:Transformers",
        FOLDER | {"gguf"}, LIKELIHOODS | TEXTS, ON_TORCH, TORCH, options={**USUAL, "compile": FLAG},
    ),
    "vllm": Kind(
        "language models of the Hugging Face format, by vLLM", "gpu_agent.engines.vllm.engine:Vllm", FOLDER, LIKELIHOODS | TEXTS,
        ("cpu", "cuda"), VLLM, "vllm.txt", options={**USUAL, **SPREAD},
        arguments=SAMPLED - {"no_repeat_ngram_size", "begin_suppress_tokens"}, bounds={"temperature": (0.01, 2.0)},
        runtime_bytes=1152 * MIB, requirements_cpu="vllm_cpu.txt", once=True,
    ),
}  # fmt: skip
# What the names of formats are to people.
NAMES: Final[Mapping[str, str]] = {
    "safetensors": "safetensors",
    "bin": "PyTorch .bin",
    "gguf": "GGUF",
    "onnx": "ONNX",
    "savedmodel": "SavedModel",
}


def kind_of(name: str) -> Kind:
    """The engine of that name. Raises: Invalid where there is none."""
    if name not in KINDS:
        raise Invalid(f"unknown engine {name!r}; there are {', '.join(sorted(KINDS))}", code="unknown-engine")
    return KINDS[name]


def read_options(name: str, options: Mapping[str, str]) -> dict[str, Any]:
    """The values of an engine's options. Raises: Invalid for an option that it does not have, and for what is no value of one."""
    return values(name, options, kind_of(name).options)


def is_elsewhere(name: str) -> bool:
    """Whether the engine of that name is a server elsewhere; not, where there is no such engine (any more)."""
    return name in KINDS and KINDS[name].elsewhere


def wants_key(name: str, model: ModelRef) -> bool:
    """Whether a key may have to be shown for that model on that engine: to the server elsewhere, or to the hub that has it or its base."""
    refs = (model, *([ModelRef(uri=model.base)] if model.base else []))
    return is_elsewhere(name) or (name in KINDS and bool(KINDS[name].formats) and any(map(named, refs)))


def check_format(name: str, weights: str, *, model: object) -> None:
    """Raises: Invalid where the engine does not read a model of that format, naming those that do."""
    kind = kind_of(name)
    if weights in kind.formats:
        return
    others = sorted(other for other, one in KINDS.items() if weights in one.formats)
    reads = " and ".join(NAMES[one] for one in sorted(kind.formats))
    raise Invalid(
        f"{model} is {NAMES.get(weights, weights)}, and engine {name} reads {reads}; give engine {' or '.join(others)}, or a model that it "
        "reads", code="engine-format",
    )  # fmt: skip


def check_model(name: str, model: ModelRef) -> None:
    """Raises: Invalid where the request names no model, or wants of it what the engine, whatever the model's files are, does not do."""
    if not model.uri.strip():
        raise Invalid("no model is named; give a folder, org/name of a hub, or its name at the server", code="model-not-found")
    if model.adapter is not None:
        raise Invalid(
            f"an adapter is a model of its own here, so that its row has its name: give {model.adapter.uri} as the model, and {model.uri} "
            "as its base where its own settings name another place", code="model-adapter",
        )  # fmt: skip
    if model.base is not None and name not in ADAPTING:
        raise Invalid(
            f"engine {name} puts no adapter on a base, so base {model.base} would change nothing; give engine {', '.join(ADAPTING)}, or "
            "merge it (peft: merge_and_unload) and name the result", code="model-adapter",
        )  # fmt: skip
    if name in AS_THEY_ARE and model.dtype is not None:
        otherwise = ", or give engine transformers, which dequantises" if name == "gguf" else ""
        raise Invalid(
            f"engine {name} computes with the weights as the file has them, and not as dtype {model.dtype}; leave it out{otherwise}",
            code="model-dtype",
        )


def quantised_by(name: str, method: str, *, model: object) -> tuple[str, ...]:
    """The modules that the engine reads weights of that quantisation with, beside its own. Raises: Invalid where it reads none such."""
    if not method:
        return ()
    known = QUANTISED.get(name, {})
    if method not in known:
        others = sorted(other for other, methods in QUANTISED.items() if method in methods)
        way = f"give engine {' or '.join(others)}" if others else "name weights that are not quantised, or a GGUF or ONNX file"
        raise Invalid(
            f"the weights of {model} are quantised by {method[:80]}, which engine {name} does not read; {way}", code="engine-cannot"
        )
    return (known[method],) if known[method] else ()


def install_command(name: str) -> str | None:
    """The command that installs the engine; None where it comes with the agent's own environment."""
    return f"assay engine install {name}" if KINDS[name].requirements else None
