"""Outputs of a model that are no numbers: no answer comes of them, whatever would be made of their greatest.

No library of models is imported: engines that have none of them ask too.
"""

import math
from collections.abc import Iterable
from typing import Any, Final

from streams.errors import Permanent

CODE: Final = "model-overflows"
WIDE: Final = ("float32", "float64")  # nothing wider helps
ELSE: Final = "ask for dtype float32, or bfloat16"


def check(outputs: Any, *, dtype: Any) -> None:
    """Raises: Permanent where a row of outputs, a tensor of torch's [..., vocabulary], has NaN or infinity in it.

    -inf beside numbers is a token never said. `dtype`: the model's, which outputs may have left.
    """
    # The greatest of a row is NaN where any is, infinite where any is, and -inf where all are; it takes no memory of its own.
    if not bool(outputs.amax(-1).isfinite().all()):
        raise no_numbers(str(dtype).removeprefix("torch."))


def check_row(outputs: Any, *, dtype: str, hint: str = ELSE) -> None:
    """As `check`, for one row of NumPy's. `hint`: what helps where the dtype is to blame."""
    if not math.isfinite(outputs.max()):
        raise no_numbers(dtype, hint)


def check_likelihoods(likelihoods: Iterable[float], *, dtype: str) -> None:
    """Raises: Permanent where a log-likelihood is NaN, as of outputs that are no numbers."""
    if any(map(math.isnan, likelihoods)):
        raise no_numbers(dtype)


def no_numbers(dtype: str, hint: str = ELSE) -> Permanent:
    """That a model's outputs are none, and what helps."""
    what = "fetch its files again, or train it again" if dtype in WIDE else hint
    return Permanent(f"the model's outputs are not numbers (NaN or infinite), as where it overflows in {dtype}; {what}", code=CODE)
