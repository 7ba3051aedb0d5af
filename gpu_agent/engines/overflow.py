"""Outputs of a model that are no numbers: no answer comes of them, whatever would be made of their greatest."""

from typing import Final

import torch

from streams.errors import Permanent

CODE: Final = "model-overflows"


def check(outputs: torch.Tensor, *, dtype: torch.dtype) -> None:
    """Raises: Permanent where a row of outputs, [..., vocabulary], has NaN or infinity in it; -inf beside numbers is a token never said.

    `dtype`: the model's, which outputs may have left.
    """
    # The greatest of a row is NaN where any is, infinite where any is, and -inf where all are; it takes no memory of its own.
    if not bool(torch.isfinite(outputs.amax(-1)).all()):
        told = str(dtype).removeprefix("torch.")
        hint = (
            "fetch its files again, or train it again" if dtype in (torch.float32, torch.float64) else "ask for dtype float32, or bfloat16"
        )
        raise Permanent(f"the model's outputs are not numbers (NaN or infinite), as where it overflows in {told}; {hint}", code=CODE)
