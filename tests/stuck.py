"""Parts over which whoever works with them ends its process."""

import os
from collections.abc import Hashable
from typing import Any

from schemas.runs import Adaptive
from streams.boards.results import Result
from streams.quality.scores import TaskScores


class StuckResult(Result):
    """A run over which ranking ends its process."""

    def part(self, task: str) -> Adaptive | None:
        """Never."""
        os._exit(bool(task))


class StuckScores(TaskScores):
    """Scores over whose figures a process ends."""

    def clusters(self, key: Any) -> dict[int, Hashable]:
        """Never."""
        os._exit(bool(key))
