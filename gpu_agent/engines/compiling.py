"""A model compiled by torch: what its layers compute between their attentions becomes programs made for the device.

Attention stays as it is: each pack brings its own way to attend, and a program for each would be made anew with each.
Source: PyTorch 2.13, torch.nn.Module.compile, torch.compiler.disable.
"""

from typing import Any

import torch
from transformers import AttentionInterface

from gpu_agent.engines.failures import is_out_of_memory, words_of
from gpu_agent.engines.tree_attention import NAME, attend
from streams.errors import Invalid

TRIED_TOKENS = 8


def compile_model(network: Any, *, device: torch.device) -> None:
    """From now on the model is computed by programs that torch makes as sizes come. Raises: Invalid where it makes none of it here."""
    from torch._dynamo.utils import counters  # torch's own tests count by it; there is no other way to know that anything was compiled

    if network.config.is_encoder_decoder:
        raise Invalid("option compile=true: models of an encoder and a decoder are not compiled here; leave it out", code="engine-cannot")
    AttentionInterface.register(NAME, torch.compiler.disable(attend))
    before = counters["stats"]["unique_graphs"]
    network.compile(dynamic=True)
    try:
        with torch.inference_mode():
            network(torch.zeros(1, TRIED_TOKENS, dtype=torch.long, device=device))
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise Invalid(
            f"option compile=true: torch {torch.__version__} cannot compile the model here, leave it out: {words_of(error)}",
            code="engine-cannot",
        ) from error
    if counters["stats"]["unique_graphs"] == before:
        raise Invalid(
            f"option compile=true: torch {torch.__version__} finds nothing to compile in the model; leave it out", code="engine-cannot"
        )
