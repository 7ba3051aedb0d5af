"""How many tokens go through a model at once by the memory that its device has, and what is done when that has run out."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from gpu_agent.engines.devices import OWN, free_bytes, give_back
from gpu_agent.engines.failures import is_out_of_memory
from streams.errors import Temporary
from streams.model_memory import NUMBERS_PER_WIDTH, TOKENS_AT_ONCE

MOST_TOKENS = 16_384
LEAST_TOKENS = 16
FREE_RATIO = 0.5


@dataclass(slots=True)
class Budget:
    """How many tokens go through the model at once."""

    tokens: int

    @property
    def text(self) -> str:
        """As `EngineUsed.batch` has it."""
        return f"{self.tokens} tokens"

    def halve(self, device: torch.device) -> None:
        """Half as many from now on. Raises: Temporary where that is too few."""
        if self.tokens // 2 < LEAST_TOKENS:
            raise Temporary(
                f"out of memory with {self.tokens} tokens at once; take a smaller model or dtype, or an agent with more memory",
                code="out-of-memory",
            )
        self.tokens //= 2
        gc.collect()
        give_back(device)


def budget_of(model: Any, device: torch.device, *, asked: int | None) -> Budget:
    """As many tokens as were asked for; else as many as half of the free memory bears, on a CPU at most as many as its caches like."""
    if asked is not None:
        return Budget(max(LEAST_TOKENS, asked))
    config = model.config.get_text_config()
    token_bytes = NUMBERS_PER_WIDTH * (getattr(config, "intermediate_size", None) or 4 * config.hidden_size) * model.dtype.itemsize
    fits = int(free_bytes(device) * FREE_RATIO / token_bytes)
    return Budget(max(LEAST_TOKENS, min(fits, MOST_TOKENS if device.type in OWN else TOKENS_AT_ONCE)))


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turns the device's out-of-memory into ours: another attempt, or another agent, may have more."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise Temporary(f"out of memory: {(str(error) or 'no memory').splitlines()[0]}", code="out-of-memory") from error
