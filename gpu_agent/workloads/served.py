"""Tokens from a server with OpenAI's completions interface.

Source: OpenAI API reference, Completions, streaming (server-sent events, `data: [DONE]` at the end, which not every server sends).
"""

import json
from collections.abc import Iterator

import httpx
import numpy as np

from gpu_agent.workloads.schedule import Planned
from streams.errors import Temporary

WORDS = ("the", "of", "and", "to", "in", "is", "that", "for", "on", "was", "with", "as", "it", "at", "by", "from")
PATIENCE_S = 120.0


def stream_of(url: str, model: str, planned: Planned) -> Iterator[int]:
    """One arrival a chunk that holds text. Raises: Temporary."""
    words = np.random.default_rng(planned.seed).choice(WORDS, planned.input_tokens)
    body = {"model": model, "prompt": " ".join(words), "max_tokens": planned.output_tokens, "stream": True, "temperature": 0.0}
    try:
        with httpx.stream("POST", f"{url.rstrip('/')}/v1/completions", json=body, timeout=PATIENCE_S) as answer:
            if answer.is_error:
                answer.read()
                raise Temporary(f"{url} answers {answer.status_code}: {answer.text[:200]}", code=f"http-{answer.status_code}")
            yield from (1 for line in answer.iter_lines() if _holds_text(line))
    except httpx.HTTPError as error:
        raise Temporary(f"{url}: {type(error).__name__}: {error}", code="connection") from error


def _holds_text(line: str) -> bool:
    if not line.startswith("data:") or line.endswith("[DONE]"):
        return False
    choices = json.loads(line.removeprefix("data:")).get("choices") or [{}]
    return bool(choices[0].get("text"))
