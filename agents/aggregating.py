"""Tasks' own aggregations, in processes of their own: what takes long, or ends its process, holds up nobody else's figures."""

import asyncio
import functools
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, Self

from agents.turns import Turns
from infra.harness.aggregating import Aggregated, aggregated
from infra.pools import alone, end, pool
from streams.errors import Invalid
from streams.quality.scores import Aggregate, Key, Opened, TaskScores

PROCESSES = 2


class Aggregating:
    """Use it as a context manager. `limit_s`: seconds that one aggregation may take. Its processes start with the first that needs them."""

    def __init__(self, *, limit_s: float) -> None:
        self._limit_s = limit_s
        self._pool: ProcessPoolExecutor | None = None
        self._places = Turns(PROCESSES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._pool:
            end(self._pool)

    async def all_of(
        self, config_json: str, parts: Mapping[Key, Sequence[str]], groups: Mapping[Key, Sequence[int] | None], *, submitter: str
    ) -> Aggregate:
        """What gives each metric's value and standard error, once all are known. It raises Invalid, with the reason, for one without.

        Submitters take turns: one's slow aggregations hold up its own figures alone.
        """
        values = await asyncio.gather(
            *[self._in_turn(submitter, config_json, key[1], told, groups.get(key)) for key, told in parts.items()]
        )
        known = dict(zip(parts, values, strict=True))

        def told(key: Key, _parts: list[str]) -> tuple[float | None, float | None]:
            if (found := known[key]).why:
                raise Invalid(found.why, code="not-aggregated")
            return found.value, found.stderr

        return told

    async def _in_turn(self, submitter: str, *asked: Any) -> Aggregated:
        async with self._places.of(submitter):
            return await self._one(*asked)

    async def _one(self, config_json: str, metric: str, parts: Sequence[str], groups: Sequence[int] | None) -> Aggregated:
        """A process that ends takes with it what waited beside: each of those is tried once more, in a process of its own."""
        self._pool = processes = self._pool or pool(PROCESSES)
        work = functools.partial(aggregated, config_json, metric, parts, groups, self._limit_s)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(processes, work)
        except BrokenProcessPool:
            if self._pool is processes:
                self._pool = None
                processes.shutdown(wait=False)
        try:
            return await alone(work)
        except BrokenProcessPool:
            return Aggregated(None, None, f"aggregating {metric} over {len(parts)} samples ended its process")


def gathered(scores: TaskScores, means: frozenset[Key], opened: Opened) -> tuple[dict[Key, list[str]], dict[Key, Sequence[int] | None]]:
    """What a task's own functions aggregate, opened, and which of it belong together. Raises: as `opened`."""
    parts = scores.parts(means=means, opened=opened)
    return parts, {key: scores.groups(key) for key in parts}
