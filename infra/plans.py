"""What runs want measured beside their tasks' own metrics: what their plans expect that the tasks' builds do not."""

from collections import OrderedDict
from collections.abc import Mapping

from infra.kafka import Log
from schemas.builds import TaskBuilt
from schemas.event import Event
from schemas.runs import RunChanged
from streams.topics import RUNS

RUNS_HELD = 1000
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
        async for record in self._log.read((RUNS,)):
            if isinstance(record.event, RunChanged) and record.event.run_id == run_id:
                self.remember(record.event)
        self._hold(run_id, {})
