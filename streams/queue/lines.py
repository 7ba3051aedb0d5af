"""The waiting jobs of a pool, kept in lines: jobs that the queue policy cannot tell apart but for their age."""

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, ValuesView
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

from schemas.jobs import Job, Need
from schemas.requests import ModelRef

# When a job was planned, the partition and the offset of its plan: comparable across partitions, and the same in every replay.
Age = tuple[int, int, int]
# Of so many lines it is remembered when they were last served: those served last.
MARKS = 4096


@dataclass(frozen=True, slots=True)
class LineKey:
    """All that the policy looks at in a job, its age aside."""

    submitter: str
    priority: int
    model: str
    need: Need
    deadline_us: int | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that wants an agent; `age` is its place in the order of planning, `after` the agent that it failed on."""

    job: Job
    age: Age
    since_us: int = 0
    after: str | None = None


@dataclass(slots=True)
class Line:
    """The waiting jobs of one key, the oldest first, and when one of them was last given an agent."""

    key: LineKey
    queue: list[Waiting] = field(default_factory=list)
    served_us: int = 0


def model_key(model: ModelRef) -> str:
    """The name under which an agent says that it holds a model."""
    return f"{model.uri}@{model.revision or ''}{f'+{model.base}' if model.base else ''}"


def key_of(job: Job) -> LineKey:
    """The line that a job waits in."""
    return LineKey(job.submitter, job.priority, model_key(job.model), job.need, job.budget.deadline_us)


def lines_of(waiting: Iterable[Waiting]) -> list[Line]:
    """The lines that these jobs form."""
    lines = Lines()
    for item in waiting:
        lines.add(item)
    return list(lines.all())


class Lines:
    """An index of waiting jobs: joining and leaving cost the same however many wait."""

    def __init__(self) -> None:
        self._lines: dict[LineKey, Line] = {}
        self._served_us: dict[LineKey, int] = {}
        self._oldest: list[tuple[int, str, LineKey]] = []  # a heap of them, with what they were before
        self._keys: dict[str, tuple[LineKey, Waiting]] = {}
        self.version = 0

    def all(self) -> ValuesView[Line]:
        """Every line; none is empty."""
        return self._lines.values()

    def but(self, runs: Collection[str]) -> list[Line]:
        """The lines without the jobs of these runs."""
        if not runs:
            return list(self.all())
        left = [replace(line, queue=[item for item in line.queue if item.job.run_id not in runs]) for line in self.all()]
        return [line for line in left if line.queue]

    def key(self, job_id: str) -> LineKey:
        """The line in which a job waits."""
        return self._keys[job_id][0]

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, item: Waiting) -> None:
        """A job waits; the same again takes the place of what was told before."""
        self.discard(item.job.job_id)
        key = key_of(item.job)
        line = self._lines.setdefault(key, Line(key, served_us=self._served_us.get(key, 0)))
        insort(line.queue, item, key=_place)
        self._keys[item.job.job_id] = key, item
        self.version += 1

    def discard(self, job_id: str) -> None:
        """A job waits no longer."""
        if job_id not in self._keys:
            return
        key, item = self._keys.pop(job_id)
        line = self._lines[key]
        del line.queue[bisect_left(line.queue, _place(item), key=_place)]
        if not line.queue:
            del self._lines[key]
        self.version += 1

    def served(self, key: LineKey, *, at_us: int) -> None:
        """A job of the line was given an agent; of several times the latest counts."""
        before, at_us = self._served_us.get(key), max(0, at_us)
        if before is not None and at_us <= before:
            return
        self._served_us[key] = at_us
        heappush(self._oldest, (at_us, repr(key), key))
        if key in self._lines:
            self._lines[key].served_us = at_us
        while len(self._served_us) > MARKS:
            then_us, _, oldest = heappop(self._oldest)
            if self._served_us.get(oldest) == then_us:  # else it was served again
                del self._served_us[oldest]
        if len(self._oldest) > 4 * MARKS:
            self._oldest = sorted(one for one in self._oldest if self._served_us.get(one[2]) == one[0])

    @property
    def marks(self) -> dict[LineKey, int]:
        """When lines were last served."""
        return dict(self._served_us)


def _place(item: Waiting) -> tuple[Age, str]:
    return item.age, item.job.job_id
