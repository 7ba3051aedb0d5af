"""What costs something to read: of it, that which was asked for last is kept."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Kept(Generic[K, V]):
    """At most so many values by their keys. Where nothing was found, it is looked for again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[K, V] = OrderedDict()

    async def of(self, key: K, read: Callable[[], Awaitable[V]]) -> V:
        """The key's value: the one that is kept, else what is read. Raises: whatever reading raises."""
        value = self._values[key] if key in self._values else await read()
        if value:
            self._values[key] = value
            self._values.move_to_end(key)
        while len(self._values) > self._most:
            self._values.popitem(last=False)
        return value
