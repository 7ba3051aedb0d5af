"""What vLLM's engine is told of a model: the agent's options, the device and the memory, as its arguments. vLLM is not imported here.

Source: vLLM 0.32, engine/arg_utils.py (EngineArgs), config/lora.py (MaxLoRARanks).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from infra.adapters import CONFIG
from infra.model_files import read_json
from infra.models import ModelFacts
from schemas.requests import ModelRef
from streams import model_memory
from streams.engines import read_options
from streams.errors import Invalid

SHARE: Final = "gpu_memory_utilization"
# Tokens that are cached together on a CPU: as few as its kernels like, for sharing goes by whole blocks.
CPU_BLOCK: Final = 32
MOST_TEXTS: Final = 256
RANKS: Final = (8, 16, 32, 64, 128, 256, 320, 512)


@dataclass(frozen=True, slots=True)
class Asked:
    """The agent's options; None where vLLM's own way is left. `share` of a GPU's memory; `eager`: no graphs are compiled."""

    max_length: int | None = None
    batch_tokens: int | None = None
    tensor: int = 1
    pipeline: int = 1
    share: float | None = None
    eager: bool | None = None
    threads: int | None = None

    @property
    def parts(self) -> int:
        """Over how many devices the model is spread."""
        return self.tensor * self.pipeline


def asked(options: Mapping[str, str]) -> Asked:
    """The options, read. Raises: Invalid for one that there is not, and for a value that one of them does not take."""
    told = read_options("vllm", options)
    return Asked(
        told.get("max_length"), told.get("batch_tokens"), told.get("tensor_parallel_size", 1), told.get("pipeline_parallel_size", 1),
        told.get(SHARE), told.get("enforce_eager"), told.get("threads"),
    )  # fmt: skip


def arguments_of(facts: ModelFacts, model: ModelRef, options: Asked, *, max_len: int, on_cpu: bool) -> dict[str, Any]:
    """The engine's arguments for a model with a window of that many tokens. Raises: Invalid for an option that the device has not."""
    found: dict[str, Any] = {
        "model": str(facts.folder), "skip_tokenizer_init": True, "trust_remote_code": model.trust_code, "dtype": facts.dtype,
        "runner": "generate", "generation_config": "vllm", "disable_log_stats": True, "use_tqdm_on_load": False,
        "max_model_len": max_len + 1,  # the last token of a window is told, and never read
        "tensor_parallel_size": options.tensor, "pipeline_parallel_size": options.pipeline,
        **(_on_cpu(facts, options, max_len=max_len) if on_cpu else _on_gpu(options)), **_of_adapter(facts),
    }  # fmt: skip
    batch = options.batch_tokens or (model_memory.TOKENS_AT_ONCE if on_cpu else None)
    return found if batch is None else found | {"max_num_batched_tokens": batch, "max_num_seqs": min(batch, MOST_TEXTS)}


def _on_gpu(options: Asked) -> dict[str, Any]:
    """vLLM takes the share of a GPU that it is given, 0.9 of it where nothing is said, and compiles."""
    return {"enforce_eager": bool(options.eager)} | ({SHARE: options.share} if options.share is not None else {})


def _on_cpu(facts: ModelFacts, options: Asked, *, max_len: int) -> dict[str, Any]:
    """Keys and values as the estimate has them, in whole blocks; nothing is compiled unless that is asked for."""
    if options.share is not None:
        raise Invalid(f"option {SHARE} is a GPU's; leave it out on this CPU", code="option")
    found: dict[str, Any] = {"enforce_eager": options.eager is not False, "block_size": CPU_BLOCK}
    per_token = facts.kv_bytes_per_token
    if not per_token:
        return found | {"kv_cache_memory_bytes": model_memory.LEAST_SLOTS_BYTES}
    tokens = options.batch_tokens or model_memory.TOKENS_AT_ONCE
    kept = model_memory.kv_bytes(per_token=per_token, max_len=max_len, weights_bytes=facts.weights_bytes, tokens=tokens)
    most = kept // per_token
    blocks = -(-max(most, max_len + 1) // CPU_BLOCK) + 1  # vLLM keeps one for itself
    return found | {"kv_cache_memory_bytes": blocks * CPU_BLOCK * per_token}


def _of_adapter(facts: ModelFacts) -> dict[str, Any]:
    """Room for the model's adapter, of the least rank that vLLM sets memory aside for and it fits into."""
    if facts.adapter is None:
        return {}
    told = read_json(facts.adapter / CONFIG)
    rank = max([int(told.get("r") or 1), *map(int, (told.get("rank_pattern") or {}).values())])
    return {"enable_lora": True, "max_loras": 1, "max_lora_rank": next((most for most in RANKS if most >= rank), rank)}
