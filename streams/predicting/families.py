"""What a model's name tells of it: its family, and how many parameters it has. Names are hubs', as `org/SmolLM2-135M-Instruct`.

A family is what stands before the size; a name without a size is its own family. Of a mixture of experts (`8x7B`, `30B-A3B`) the name's
size is no count of all parameters, or not of those that a token takes, and none is read.
"""

import re
from typing import Final

FACTORS: Final = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
SIZE: Final = re.compile(r"(?<![a-z0-9.])(\d{1,6}(?:\.\d{1,6})?)([kmbt])(?![a-z0-9])")
EXPERTS: Final = re.compile(r"(?<![a-z0-9.])\d+x\d+(?:\.\d+)?b|(?<![a-z0-9])a\d+(?:\.\d+)?b(?![a-z0-9])|moe")


def family_of(name: str) -> str:
    """The family, in small letters."""
    last = name.rstrip("/").rpartition("/")[2].lower()
    found = SIZE.search(last)
    return (last[: found.start()].rstrip("-_. ") if found else "") or last


def parameters_of(name: str) -> float | None:
    """How many parameters the name says that the model has; None where it says nothing, or not of all."""
    last = name.rstrip("/").rpartition("/")[2].lower()
    found = SIZE.search(last)
    if found is None or EXPERTS.search(last):
        return None
    return float(found[1]) * FACTORS[found[2]] or None
