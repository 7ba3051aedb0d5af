"""A model of MLX's as a function of tokens and of what came before them.

Source: mlx-lm 0.32, models/cache.py (make_prompt_cache; KVCache and its `state`: keys, values, how many places are filled).
"""

from typing import Any, Final

import mlx.core as mx
import numpy as np
from mlx_lm.models.cache import KVCache, make_prompt_cache

from gpu_agent.engines.failures import is_out_of_memory
from gpu_agent.engines.graphs.graph import Numbers, Past, Whole
from streams.errors import Temporary


class Arrays:
    """MLX's memory, of that dtype; NumPy has no bfloat16, and reads all as float32."""

    def __init__(self, dtype: Any) -> None:
        self._dtype = dtype

    def hold(self, array: Numbers) -> Any:
        """As graphs/graph.py has it."""
        return mx.array(array).astype(self._dtype)

    def read(self, value: Any) -> Numbers:
        """As graphs/graph.py has it."""
        return np.array(value.astype(mx.float32))


class Graph:
    """A model that was loaded. One whose layers keep anything but plain keys and values reads each text whole."""

    def __init__(self, model: Any, *, dtype: Any) -> None:
        self._model = model
        self._memory: Final = Arrays(dtype)
        self.keeps = all(type(one) is KVCache for one in make_prompt_cache(model))

    def run(self, tokens: Whole, past: Past | None = None) -> tuple[Numbers, Past | None]:
        """As graphs/graph.py has it; what stands in a past is seen by all that follows it."""
        caches = make_prompt_cache(self._model) if self.keeps else None
        before = past.seen if past is not None else np.zeros((len(tokens), 0), np.int64)
        if past is not None and caches is not None:
            for cache, keys, values in zip(caches, past.values[::2], past.values[1::2], strict=True):
                cache.state = keys, values, past.places
        try:
            logits = self._model(mx.array(tokens), cache=caches).astype(mx.float32)
            kept = [part[..., : cache.offset, :] for cache in caches or () for part in (cache.keys, cache.values)]
            mx.eval(logits, kept)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise Temporary("out of memory; take a smaller model, or an agent with more memory", code="out-of-memory") from error
        seen = np.concatenate([before, np.ones(tokens.shape, np.int64)], axis=1)
        return np.array(logits), Past(tuple(kept), seen, self._memory) if self.keeps else None
