"""What costs something to read: of it, that which was asked for last is kept."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Values by their keys: at most so many, or as many as weigh at most so many bytes together; the one used last always.

    Where nothing was found, it is looked for again.
    """

    def __init__(self, most: int | None = None, *, most_bytes: int | None = None, weigh: Callable[[V], int] | None = None) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._weigh = weigh
        self._values: OrderedDict[K, V] = OrderedDict()
        self._weights: dict[K, int] = {}
        self.bytes = 0

    async def of(self, key: K, read: Callable[[], Awaitable[V]]) -> V:
        """The key's value: the one that is kept, else what is read. Raises: whatever reading raises."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = await read()
        if value:
            self._hold(key, value)
        return value

    def _hold(self, key: K, value: V) -> None:
        self._let_go(key)  # somebody else may have read it meanwhile
        self._values[key] = value
        self._weights[key] = self._weigh(value) if self._weigh else 0
        self.bytes += self._weights[key]
        while len(self._values) > 1 and self._is_too_much():
            self._let_go(next(iter(self._values)))

    def _let_go(self, key: K) -> None:
        if self._values.pop(key, None) is not None:
            self.bytes -= self._weights.pop(key)

    def _is_too_much(self) -> bool:
        too_many = self._most is not None and len(self._values) > self._most
        return too_many or (self._most_bytes is not None and self.bytes > self._most_bytes)
