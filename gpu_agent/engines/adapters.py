"""Adapters of peft's, put on their base and merged into it: then the model is one like any other, and as quick.

What an adapter changes is tried: one whose tensors do not fit, or which leaves the logits as they were, is refused. An adapter that is
passed over in silence gives its base's scores under its own name.
"""

from pathlib import Path
from typing import Any

import torch

from gpu_agent.engines.failures import is_lost, words_of
from gpu_agent.engines.memory import memory_errors
from streams.errors import AssayError, Invalid

TRIED_TOKENS = 16


def put_on(network: Any, adapter: Path, *, base: Path, device: torch.device) -> Any:
    """The network with the adapter merged into it. Raises: Invalid where it does not fit, cannot be merged, or changes nothing."""
    from peft import PeftConfig, get_peft_model, load_peft_weights, set_peft_model_state_dict

    before = _logits(network, device)
    try:
        with memory_errors():
            config = PeftConfig.from_pretrained(str(adapter))
            config.inference_mode = True
            over = get_peft_model(network, config)
            tensors = load_peft_weights(str(adapter), device=str(device))
            told = set_peft_model_state_dict(over, tensors)
            _check_names(told, adapter=adapter, base=base)
            if not hasattr(over.base_model, "merge_and_unload"):
                raise Invalid(
                    f"{adapter} is an adapter by {config.peft_type.value}, which cannot be merged into a model", code="model-adapter"
                )
            merged = over.merge_and_unload(safe_merge=True).eval()
    except AssayError:
        raise
    except Exception as error:  # what the library raises over an adapter's files is about this adapter
        if is_lost(error):
            raise
        raise Invalid(f"the adapter {adapter} cannot be put on {base}: {words_of(error)}", code="model-adapter") from error
    if torch.equal(before, _logits(merged, device)):
        raise without_effect(adapter, base=base)
    return merged


def without_effect(adapter: Path, *, base: Path) -> Invalid:
    """What is said of an adapter that leaves its base as it was."""
    return Invalid(
        f"the adapter {adapter} changes nothing of {base}: what comes out is the same with it and without; was it trained, and is this its "
        "base?", code="model-adapter",
    )  # fmt: skip


def _check_names(told: Any, *, adapter: Path, base: Path) -> None:
    """Raises: Invalid where tensors of the adapter found no place, or places of it no tensor."""
    if over := sorted(told.unexpected_keys):
        raise Invalid(
            f"{adapter} has tensors that {base} has no place for, the first {over[0]}: is it another model's?", code="model-adapter"
        )
    lacking = sorted(name for name in told.missing_keys if ".lora_" in name or "modules_to_save" in name)
    if lacking:
        raise Invalid(f"{adapter} lacks {lacking[0]}, which its settings promise; save it anew", code="model-adapter")


def _logits(network: Any, device: torch.device) -> torch.Tensor:
    size = network.config.get_text_config().vocab_size
    tokens = torch.tensor([[(17 * n * n + 5 * n) % size for n in range(TRIED_TOKENS)]], device=device)
    with torch.inference_mode():
        said = {"decoder_input_ids": tokens} if network.config.is_encoder_decoder else {}
        logits: torch.Tensor = network(tokens, **said).logits
    return logits.clone()
