"""Servers that answer so many at a time: whoever comes while all places are taken waits, the first first."""

from collections import deque
from collections.abc import Callable

Begin = Callable[[int], bool]  # from that moment on; whether anybody still wants it


class Places:
    """The places of each model's name."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}
        self._waiting: dict[str, deque[Begin]] = {}

    def enter(self, name: str, places: int, begin: Begin, *, now_ns: int) -> None:
        """Begins now where a place is free, else when one is; of 0 places one is always free."""
        if not places or self._taken.get(name, 0) < places:
            self._taken[name] = self._taken.get(name, 0) + begin(now_ns)
        else:
            self._waiting.setdefault(name, deque()).append(begin)

    def leave(self, name: str, due_ns: int) -> None:
        """Gives the place away, as of the moment at which it was to be free: that this machine was late then makes the server no slower."""
        waiting = self._waiting.get(name, deque())
        while waiting:
            if waiting.popleft()(due_ns):
                return
        self._taken[name] -= 1
