"""A SavedModel as a function of tokens.

Source: TensorFlow 2.21, saved_model/load.py: signatures are functions of named tensors, and give a dictionary of them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf

from gpu_agent.engines.failures import is_out_of_memory
from gpu_agent.engines.graphs.graph import Numbers, Past, Whole
from streams.errors import Invalid, Temporary

SIGNATURE: Final = "serving_default"
TOKENS, LOGITS = "input_ids", "logits"
MASK, KINDS = "attention_mask", "token_type_ids"  # all tokens are seen, and of the first kind
FED: Final = frozenset({TOKENS, MASK, KINDS})


class Graph:
    """One SavedModel's signature `serving_default`, which keeps nothing: each text is read whole."""

    keeps = False

    def __init__(self, folder: Path) -> None:
        """Raises: Invalid where it wants, or gives, other tensors than tokens and logits; whatever TensorFlow raises over the files."""
        self._loaded = tf.saved_model.load(str(folder))
        signature = self._loaded.signatures.get(SIGNATURE)
        if signature is None:
            raise Invalid(f"{folder} has no signature {SIGNATURE}; save it with one of {TOKENS} that gives {LOGITS}", code="engine-cannot")
        self._run = signature
        self._inputs: Mapping[str, Any] = signature.structured_input_signature[1]
        _check_inputs(self._inputs, folder)
        if LOGITS not in signature.structured_outputs:
            told = ", ".join(sorted(signature.structured_outputs))
            raise Invalid(f"{folder} gives {told or 'nothing'}, and no {LOGITS}: is it a language model?", code="engine-cannot")
        self.parameters = sum(int(np.prod(one.shape)) for one in signature.variables)

    def run(self, tokens: Whole, past: Past | None = None) -> tuple[Numbers, Past | None]:
        """As graphs/graph.py has it; there is never a past."""
        fed = {TOKENS: tokens, MASK: np.ones_like(tokens), KINDS: np.zeros_like(tokens)}
        try:
            told = {name: tf.constant(fed[name], spec.dtype) for name, spec in self._inputs.items()}
            logits: Numbers = self._run(**told)[LOGITS].numpy()
        except tf.errors.ResourceExhaustedError as error:
            raise _lacking() from error
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise _lacking() from error
        return logits.astype(np.float32), None


def _check_inputs(inputs: Mapping[str, Any], folder: Path) -> None:
    """Raises: Invalid where it wants what nobody here gives, or takes one number of texts or tokens alone."""
    if (others := sorted(inputs.keys() - FED)) or TOKENS not in inputs:
        told = f"wants {', '.join(others)}" if others else f"takes no {TOKENS}"
        raise Invalid(f"{folder} {told}; engine tensorflow gives {', '.join(sorted(FED))}", code="engine-cannot")
    if any(size is not None for size in inputs[TOKENS].shape):
        raise Invalid(f"{folder} takes {TOKENS} of the shape {inputs[TOKENS].shape} alone; save it with both open", code="engine-cannot")


def _lacking() -> Temporary:
    return Temporary("out of memory; take a smaller model, or an agent with more memory", code="out-of-memory")
