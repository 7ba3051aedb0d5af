"""What each task counts for in what joins tasks: a suite's score, and the difference of two runs.

Tasks and groups count alike, and within a group the samples, or its tasks where it says so, as lm-eval has it: MMLU's 57 subjects are one
task of a suite.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from streams.quality.ranges import range_of


@dataclass(frozen=True, slots=True)
class Counted:
    """A task as it counts: by its own name, or with others by their group's; and its samples, by which it counts there if `by_size`."""

    task: str
    group: str | None
    samples: int
    by_size: bool = True

    @property
    def size(self) -> int:
        """What it counts for in its group."""
        return self.samples if self.by_size else 1

    @property
    def unit(self) -> str:
        """What counts as one: its group, or the task itself."""
        return self.group or self.task


def weights(tasks: Sequence[Counted]) -> list[float]:
    """Each task's part, 1 in all."""
    sizes = Counter[str]()
    for one in tasks:
        sizes[one.unit] += one.size
    return [one.size / sizes[one.unit] / len(sizes) for one in tasks]


def greatest(metric: str) -> float:
    """The value by which a metric is divided to be a ratio, as those are with which its task is joined: 100 of one in per cent."""
    _, high = range_of(metric)
    return high if 1 < high < math.inf else 1.0
