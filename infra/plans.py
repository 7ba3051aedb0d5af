"""What runs want measured beside their tasks' own metrics: what their plans expect that the tasks' builds do not."""

from collections import OrderedDict
from collections.abc import Mapping
from contextlib import aclosing
from uuid import UUID

from infra.kafka import Log
from infra.partitioning import partition_for
from schemas.builds import TaskBuilt
from schemas.event import Event
from schemas.runs import RunChanged
from streams.topics import RUNS

RUNS_HELD = 1000
# A run's id says when it was drawn; the clock that drew it may be ahead of those that the log's records have.
EARLIER_US = 3600 * 1_000_000
Pair = tuple[str, str]  # filter, metric


class Plans:
    """The plans of the runs met last. One that is not held is looked for in the log, where it stands before any of the run's jobs."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._held: OrderedDict[str, Mapping[str, tuple[Pair, ...]]] = OrderedDict()

    def remember(self, event: Event | None) -> None:
        """Holds the plan that an event tells, if it tells one; of several the first counts."""
        if isinstance(event, RunChanged) and event.plan:
            expected = {task.task: tuple((one.filter, one.metric) for one in task.expected) for task in event.plan.tasks}
            self._hold(event.run_id, expected)

    def _hold(self, run_id: str, expected: Mapping[str, tuple[Pair, ...]]) -> None:
        self._held.setdefault(run_id, expected)
        while len(self._held) > RUNS_HELD:
            self._held.popitem(last=False)

    async def beside(self, run_id: str, built: TaskBuilt) -> tuple[Pair, ...]:
        """The figures that the run wants of a task's samples beside the task's own; none where no plan is known."""
        if run_id not in self._held:
            await self._look_for(run_id)
        own = {(one.filter, one.metric) for one in built.expected}
        return tuple(pair for pair in self._held[run_id].get(built.task, ()) if pair not in own)

    async def _look_for(self, run_id: str) -> None:
        """Looks in the run's own partition, first from the time on that its id says, then before that; ends where the plan stands."""
        ends = await self._log.ends((RUNS,))
        at = (RUNS.name, partition_for(run_id.encode(), len(ends)))
        drawn = (await self._log.offsets_at((RUNS,), written_us=max(0, drawn_us(run_id) - EARLIER_US)))[at]
        for first, end in ((drawn, ends[at]), (0, drawn)):
            if run_id not in self._held and first < end:
                await self._look_between(run_id, at, first=first, end=end)
        self._hold(run_id, {})

    async def _look_between(self, run_id: str, at: tuple[str, int], *, first: int, end: int) -> None:
        key = run_id.encode()
        between = self._log.follow((RUNS,), since={at: first}, until={at: end}, wanted=lambda found, _place: found == key)
        async with aclosing(between) as records:
            async for record in records:
                if isinstance(record.event, RunChanged) and record.event.run_id == run_id:
                    self.remember(record.event)
                if run_id in self._held:
                    return


def drawn_us(run_id: str) -> int:
    """When a run's id was drawn, by the clock of whoever did. Source: RFC 9562, 5.7: a UUIDv7 begins with 48 bits of milliseconds."""
    return (UUID(run_id).int >> 80) * 1000
