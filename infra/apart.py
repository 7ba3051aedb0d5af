"""Work in a process of its own, for what may never come to an end: it ends where it gets nowhere, and another one goes on."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from infra.pools import end, pool
from infra.pulse import Pulse
from infra.silence import ending_where_silent
from streams.errors import Permanent

T = TypeVar("T")


class Hangs(Permanent):
    """Some work gets nowhere, or ends its process."""

    code = "hangs"


class Apart:
    """Use it as a context manager. `hang_s`: how long the work may tell of no step. Its process starts with the first that needs it."""

    def __init__(self, *, hang_s: float) -> None:
        self._hang_s = hang_s
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def of(self, work: Callable[[Callable[[], None]], T], *, patience: float = 1.0) -> T:
        """What the work gives, which is told what to call as it gets on. Raises: Hangs, and what the work raises.

        It may tell of no step so many times as long.
        """
        self._pool, longest_s = self._pool or pool(1), patience * self._hang_s
        try:
            return self._pool.submit(partial(watched, work, longest_s)).result()
        except BrokenProcessPool as error:
            self._close()
            raise Hangs(f"it gets nowhere for {longest_s:g} s, or ends its process") from error

    def _close(self) -> None:
        if self._pool:
            end(self._pool)
            self._pool = None


def watched(work: Callable[[Callable[[], None]], T], hang_s: float) -> T:
    """What such a process does."""
    pulse = Pulse()
    with ending_where_silent(pulse, hang_s):
        return work(pulse.touch)
