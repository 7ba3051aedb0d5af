"""Engine vllm in its own process, where it is installed: the same requests as the engine that is measured, and what they come to."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gpu_agent.engines.engine import EngineAnswer, EngineRequest
from gpu_agent.runner import Engines
from infra.engine_environments import place_of
from infra.settings import of_process
from schemas.requests import EngineChoice, ModelRef

Answering = Callable[[Sequence[EngineRequest]], list[EngineAnswer]]


@contextmanager
def vllm_on(folder: Path) -> Iterator[Answering | None]:
    """What answers by vLLM with that model on the CPU, while it lasts; None where it is not installed."""
    home = of_process().home
    if place_of("vllm", home).state not in ("here", "own"):
        yield None
        return
    engines = Engines("cpu", home=home)

    async def answers(requests: Sequence[EngineRequest]) -> list[EngineAnswer]:
        return [one async for one in engines.answer(requests) if isinstance(one, EngineAnswer)]

    with asyncio.Runner() as runner:
        try:
            runner.run(engines.load(ModelRef(uri=str(folder)), EngineChoice(name="vllm")))
            yield lambda requests: runner.run(answers(requests))
        finally:
            runner.run(engines.close())
