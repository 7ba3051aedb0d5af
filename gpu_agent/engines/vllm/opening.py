"""vLLM's engine, made in this process. Source: vLLM 0.32, v1/engine/llm_engine.py, envs.py, platforms/cpu.py."""

import os
from collections.abc import Mapping
from typing import Any, Final

import torch
from vllm.engine.arg_utils import EngineArgs
from vllm.lora.request import LoRARequest
from vllm.platforms import current_platform
from vllm.v1.engine.llm_engine import LLMEngine

from infra.models import ModelFacts
from streams.errors import Invalid

# In this process, so that what is raised is told; nothing is sent to vLLM's makers, and nothing of others plugged in; and a window may be
# longer by the one token that is never read.
SURROUNDINGS: Final[Mapping[str, str]] = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_NO_USAGE_STATS": "1", "VLLM_DO_NOT_TRACK": "1", "VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1",
    "VLLM_PLUGINS": "",
}  # fmt: skip


def check_device(device: torch.device) -> None:
    """Raises: Invalid where vLLM is built for other devices than the agent's."""
    if device.type != current_platform.device_type:
        raise Invalid(
            f"vLLM is here in its build for {current_platform.device_type or 'another machine'}, and this agent runs on {device.type}; "
            "`assay engine install vllm` on a machine with the device brings the build for it", code="engine-cannot",
        )  # fmt: skip


def opened(arguments: Mapping[str, Any], *, device: torch.device) -> LLMEngine:
    """The engine, its model loaded. Raises: whatever vLLM raises over the model."""
    os.environ.update(SURROUNDINGS)
    if device.type == "cpu":
        os.environ["OMP_NUM_THREADS"] = str(torch.get_num_threads())  # else vLLM takes one
    return LLMEngine.from_engine_args(EngineArgs(**arguments))


def adapter_of(facts: ModelFacts) -> LoRARequest | None:
    """vLLM's name for the model's adapter; None where it is none."""
    return LoRARequest("adapter", 1, str(facts.adapter)) if facts.adapter else None
