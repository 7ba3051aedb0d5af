"""Places that many ask for, given in turn, so that nobody's work keeps all others waiting.

Whoever asks often holds half of the places at most (one, where there is one); and a place that comes free goes to the next in a round of
those who wait, however much one of them waits for.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """So many places. Names of those who ask are whatever tells them apart."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._most = max(1, places // 2)
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # in the order of the round

    @asynccontextmanager
    async def of(self, who: str) -> AsyncIterator[None]:
        """Holds a place, once it is that one's turn."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, deque()).append(turn)
        self._give()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given a moment ago
                self._back(who)
            raise
        try:
            yield
        finally:
            self._back(who)

    def _back(self, who: str) -> None:
        self._free += 1
        self._held[who] -= 1
        if not self._held[who]:
            del self._held[who]
        self._give()

    def _give(self) -> None:
        while self._free and (who := next((one for one in self._waiting if self._held[one] < self._most), None)) is not None:
            turns = self._waiting.pop(who)
            turn = turns.popleft()
            if turns:
                self._waiting[who] = turns  # behind the others
            if not turn.cancelled():
                self._free -= 1
                self._held[who] += 1
                turn.set_result(None)
