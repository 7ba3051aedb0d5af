"""vLLM's engine made for a model: what it is told of it, of its adapter and of the device, and what is said where it refuses.

Source: vLLM 0.32, engine/arg_utils.py (EngineArgs), envs.py, platforms/cpu.py.
"""

import os
from collections.abc import Mapping
from typing import Any, Final

import torch
from vllm.engine.arg_utils import EngineArgs
from vllm.lora.request import LoRARequest
from vllm.platforms import current_platform
from vllm.v1.engine.llm_engine import LLMEngine

from gpu_agent.engines.options import LEAST, numbers
from infra import model_memory
from infra.adapters import CONFIG
from infra.model_files import read_json
from infra.models import ModelFacts
from schemas.requests import ModelRef
from streams.errors import Invalid

WHOLE_NUMBERS: Final[Mapping[str, int]] = {**LEAST, "pipeline_parallel_size": 1, "tensor_parallel_size": 1}
FLAGS: Final = {"true": True, "false": False}
OPTIONS: Final = frozenset({*WHOLE_NUMBERS, "enforce_eager", "gpu_memory_utilization"})
# In this process, so that what is raised is told; nothing is sent to vLLM's makers, and nothing of others plugged in; and a window may be
# longer by the one token that is never read.
SURROUNDINGS: Final[Mapping[str, str]] = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_NO_USAGE_STATS": "1", "VLLM_DO_NOT_TRACK": "1", "VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1",
    "VLLM_PLUGINS": "",
}  # fmt: skip
# Tokens that are cached together on a CPU: as few as its kernels like, for sharing goes by whole blocks.
CPU_BLOCK: Final = 32
MOST_TEXTS: Final = 256
RANKS: Final = (8, 16, 32, 64, 128, 256, 320, 512)  # that adapters may have, as vLLM sets memory aside for them


def parts_of(options: Mapping[str, str]) -> int:
    """Over how many devices the model is spread. Raises: Invalid."""
    told = numbers(options, least=WHOLE_NUMBERS)
    return told.get("tensor_parallel_size", 1) * told.get("pipeline_parallel_size", 1)


def check_device(device: torch.device) -> None:
    """Raises: Invalid where vLLM is built for other devices than the agent's."""
    if device.type != current_platform.device_type:
        raise Invalid(
            f"vLLM is here in its build for {current_platform.device_type or 'another machine'}, and this agent runs on {device.type}; "
            "`assay engine install vllm` on a machine with the device brings the build for it", code="engine-cannot",
        )  # fmt: skip


def opened(facts: ModelFacts, model: ModelRef, *, options: Mapping[str, str], max_len: int, device: torch.device) -> LLMEngine:
    """The engine, its model loaded. Raises: Invalid for an option; whatever vLLM raises over the model."""
    os.environ.update(SURROUNDINGS)
    told = numbers(options, least=WHOLE_NUMBERS)
    wanted: dict[str, Any] = {
        "model": str(facts.folder), "skip_tokenizer_init": True, "trust_remote_code": model.trust_code, "dtype": facts.dtype,
        "runner": "generate", "generation_config": "vllm", "max_model_len": max_len + 1, "disable_log_stats": True,
        "use_tqdm_on_load": False, "tensor_parallel_size": told.get("tensor_parallel_size", 1),
        "pipeline_parallel_size": told.get("pipeline_parallel_size", 1), **_memory(facts, options, max_len=max_len, device=device),
        **_of_adapter(facts),
    }  # fmt: skip
    if (batch := told.get("batch_tokens", model_memory.TOKENS_AT_ONCE if device.type == "cpu" else None)) is not None:
        wanted |= {"max_num_batched_tokens": batch, "max_num_seqs": min(batch, MOST_TEXTS)}
    if eager := _flag(options, "enforce_eager", usual=device.type == "cpu"):
        wanted["enforce_eager"] = eager
    if device.type == "cpu":
        os.environ["OMP_NUM_THREADS"] = str(torch.get_num_threads())  # else vLLM takes one
    return LLMEngine.from_engine_args(EngineArgs(**wanted))


def adapter_of(facts: ModelFacts) -> LoRARequest | None:
    """vLLM's name for the model's adapter; None where it is none."""
    return LoRARequest("adapter", 1, str(facts.adapter)) if facts.adapter else None


def _of_adapter(facts: ModelFacts) -> dict[str, Any]:
    if facts.adapter is None:
        return {}
    told = read_json(facts.adapter / CONFIG)
    rank = max([int(told.get("r") or 1), *map(int, (told.get("rank_pattern") or {}).values())])
    return {"enable_lora": True, "max_loras": 1, "max_lora_rank": next((most for most in RANKS if most >= rank), rank)}


def _memory(facts: ModelFacts, options: Mapping[str, str], *, max_len: int, device: torch.device) -> dict[str, Any]:
    """On a GPU the share of it that vLLM may take for all; on a CPU keys and values as the estimate has them."""
    share = options.get("gpu_memory_utilization")
    if device.type != "cpu":
        return {"gpu_memory_utilization": _share(share)} if share is not None else {}
    if share is not None:
        raise Invalid("option gpu_memory_utilization is a GPU's; leave it out on this CPU", code="option")
    per_token = facts.kv_bytes_per_token
    if not per_token:
        return {"kv_cache_memory_bytes": model_memory.LEAST_SLOTS_BYTES, "block_size": CPU_BLOCK}
    most = model_memory.kv_bytes(per_token=per_token, max_len=max_len, weights_bytes=facts.weights_bytes) // per_token
    blocks = -(-max(most, max_len + 1) // CPU_BLOCK) + 1  # vLLM keeps one for itself
    return {"kv_cache_memory_bytes": blocks * CPU_BLOCK * per_token, "block_size": CPU_BLOCK}


def _share(told: str) -> float:
    try:
        share = float(told)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise Invalid(f"option gpu_memory_utilization={told[:12]}: give a share of the GPU's memory, above 0, at most 1", code="option")
    return share


def _flag(options: Mapping[str, str], name: str, *, usual: bool) -> bool:
    told = options.get(name)
    if told is not None and told not in FLAGS:
        raise Invalid(f"option {name}={told[:12]}: give true or false", code="option")
    return usual if told is None else FLAGS[told]
