"""An engine in its own process, where it is installed: the same requests as the engine that is measured, and what they come to."""

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


def is_here(engine: str) -> bool:
    """Whether the engine can run on this machine."""
    return place_of(engine, of_process().home).state in ("here", "own")


@contextmanager
def running(engine: str, model: Path, **options: str) -> Iterator[Answering]:
    """What answers by that engine with that model on the CPU, while it lasts. Raises: Invalid where it is not installed."""
    engines = Engines("cpu", home=of_process().home)

    async def answers(requests: Sequence[EngineRequest]) -> list[EngineAnswer]:
        return [one async for one in engines.answer(requests) if isinstance(one, EngineAnswer)]

    with asyncio.Runner() as runner:
        try:
            runner.run(engines.load(ModelRef(uri=str(model)), EngineChoice(name=engine, options=options)))
            yield lambda requests: runner.run(answers(requests))
        finally:
            runner.run(engines.close())
