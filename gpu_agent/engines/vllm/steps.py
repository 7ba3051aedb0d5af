"""vLLM's engine in this process, step by step: requests come and go between steps, and share what they begin with.

Source: vLLM 0.32, v1/engine/llm_engine.py (LLMEngine).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from vllm import SamplingParams
from vllm.sampling_params import RequestOutputKind


class Steps:
    """The requests under way in one engine; `adapter`: vLLM's name for the adapter that they all want."""

    def __init__(self, engine: Any, adapter: Any = None) -> None:
        self._engine = engine
        self._adapter = adapter
        self._open: set[str] = set()

    def begin(self, key: str, tokens: Sequence[int], **told: Any) -> None:
        """Goes on from these tokens, as vLLM's sampling parameters say; what comes of it has that key."""
        params = SamplingParams(detokenize=False, flat_logprobs=True, output_kind=RequestOutputKind.DELTA, **told)
        prompt = {"type": "token", "prompt_token_ids": list(tokens)}
        self._engine.add_request(key, prompt, params, lora_request=self._adapter)
        self._open.add(key)

    def end(self, key: str) -> None:
        """The request is over, whatever else it would say."""
        if key in self._open:
            self._open.remove(key)
            self._engine.abort_request([key])

    def run(self) -> Iterator[Any]:
        """What vLLM says of requests, step by step, until none is left; some may be begun and ended in between."""
        while self._open:
            for output in self._engine.step():
                if output.request_id not in self._open:
                    continue
                if output.finished:
                    self._open.remove(output.request_id)
                yield output

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Leaves no request behind, however it ends."""
        try:
            yield
        finally:
            self._engine.abort_request(list(self._open))
            self._open.clear()
