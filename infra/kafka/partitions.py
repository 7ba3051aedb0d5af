"""How many partitions the topics have: the broker knows, for they were chosen when the topics were made, and no code may guess."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from aiokafka import TopicPartition

from streams.errors import Unavailable
from streams.topics import Topic

# A topic that was just made is known to the broker a moment later.
PATIENCE_S: Final = 5.0
PAUSE_S: Final = 0.1
Counts = Mapping[str, int]


class Partitions:
    """The counts as the broker told them; each is asked for once, for it is fixed for life."""

    def __init__(self, ask: Callable[[Sequence[str]], Awaitable[Counts]]) -> None:
        self._ask = ask
        self._known: dict[str, int] = {}

    async def of(self, topics: Sequence[Topic]) -> Counts:
        """Each topic's count by its name. Raises: Unavailable where one is not there."""
        for _ in range(round(PATIENCE_S / PAUSE_S)):
            missing = [topic.name for topic in topics if topic.name not in self._known]
            if not missing:
                return {topic.name: self._known[topic.name] for topic in topics}
            self._known |= await self._ask(missing)
            if any(name not in self._known for name in missing):
                await asyncio.sleep(PAUSE_S)
        raise Unavailable(
            f"no topic {missing[0]} at the broker yet; a process that uses it makes it when it starts: `assay status`", code="no-topic"
        )

    async def all_of(self, topics: Sequence[Topic], *, only: Sequence[int] | None = None) -> list[TopicPartition]:
        """Every partition of the topics, or only those numbers. Raises: as `of`."""
        counts = await self.of(topics)
        return [TopicPartition(name, n) for name, count in counts.items() for n in (range(count) if only is None else only)]
