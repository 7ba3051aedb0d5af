"""Tasks' own aggregations, in processes of their own: means at once, in one; what may take minutes (a bootstrap), in another."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Self

from infra.harness.aggregating import Aggregated, aggregated, is_quick
from infra.pools import pool
from streams.errors import Invalid
from streams.quality.scores import Aggregate, Key


class Aggregating:
    """Use it as a context manager. `limit_s`: seconds that one aggregation may take."""

    def __init__(self, *, limit_s: float) -> None:
        self._limit_s = limit_s
        self._pools: dict[bool, ProcessPoolExecutor] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for one in self._pools.values():
            one.shutdown(cancel_futures=True)

    def _pool(self, *, quick: bool) -> ProcessPoolExecutor:
        return self._pools.setdefault(quick, pool(1))

    async def all_of(self, config_json: str, parts: Mapping[Key, Sequence[str]]) -> Aggregate:
        """What gives each metric's value and standard error, once all are known. It raises Invalid, with the reason, for one without."""
        values = await asyncio.gather(*[self._one(config_json, key[1], told) for key, told in parts.items()])
        known = dict(zip(parts, values, strict=True))

        def told(key: Key, _parts: list[str]) -> tuple[float | None, float | None]:
            if (found := known[key]).why:
                raise Invalid(found.why, code="not-aggregated")
            return found.value, found.stderr

        return told

    async def _one(self, config_json: str, metric: str, parts: Sequence[str]) -> Aggregated:
        quick = is_quick(config_json, metric)
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._pool(quick=quick), aggregated, config_json, metric, parts, self._limit_s
            )
        except BrokenProcessPool:
            self._pools.pop(quick).shutdown(wait=False)
            return Aggregated(None, None, f"aggregating {metric} over {len(parts)} samples ended its process")
