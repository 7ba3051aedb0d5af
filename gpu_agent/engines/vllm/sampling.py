"""How vLLM is told to choose tokens: a request's generation arguments, and where it says nothing the model's own, as transformers has them.

vLLM draws by the same temperature, `top_k`, `top_p` and `min_p`, but narrows by `min_p` before the other two. Source: vLLM 0.32,
v1/sample/sampler.py.
"""

from collections.abc import Collection
from typing import Any, Final

from gpu_agent.engines.own_settings import check_own
from gpu_agent.engines.sampling import Sampling
from gpu_agent.engines.written import Prompt

NEVER: Final = float("-inf")


def params_of(prompt: Prompt, config: Any, *, ends: Collection[int], written: int, limit: int) -> dict[str, Any]:
    """vLLM's sampling parameters for the next `limit` tokens at most of a text that has `written` already; `config` is the model's own.

    Raises: OfAll where the model's own settings want what vLLM does not do.
    """
    check_own(config, engine="vllm", samples=prompt.samples)
    least = max(_told("min_new_tokens", prompt, config) or 0, (_told("min_length", prompt, config) or 0) - len(prompt.tokens))
    found: dict[str, Any] = {
        "max_tokens": limit, "min_tokens": min(limit, max(0, least - written)), "stop_token_ids": sorted(ends), "ignore_eos": True,
        "temperature": 0.0, "repetition_penalty": float(_told("repetition_penalty", prompt, config) or 1.0),
    }  # fmt: skip
    if suppressed := _told("suppress_tokens", prompt, config):
        found["logit_bias"] = dict.fromkeys(suppressed, NEVER)
    if (sampling := Sampling.told(prompt.told.rest, config)) is not None:
        # A part of a text that goes on behind what was put in draws by another seed, or its draws would be the first part's again.
        found |= {"temperature": sampling.temperature, "top_k": sampling.top_k, "top_p": sampling.top_p, "seed": prompt.seed ^ written}
        found["min_p"] = float(_told("min_p", prompt, config) or 0.0)
    return found


def _told(name: str, prompt: Prompt, config: Any) -> Any:
    """A request's argument; where it gives none, the model's own."""
    own = prompt.told.rest.get(name)
    return own if own is not None else getattr(config, name, None)
