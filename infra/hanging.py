"""Models brought here and read, each in a thread of its own: what hangs on a disk that does not answer holds up nobody else.

Nothing can end a thread that waits for a file system. One that has done nothing for so long is left behind, and whoever asked for it told;
while it hangs there, so is whoever else asks for that model. The same is measured of an engine's process that loads.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import psutil

from infra.fetching import Told
from infra.retrying import noticed
from streams.errors import Invalid, Permanent, Temporary

T = TypeVar("T")
LOOKS: Final = 20  # in the time that something may hang
LEAST_S: Final = 0.05
LEAST_BYTES: Final = 2**20


@dataclass(slots=True)
class Stillness:
    """For how long nothing was seen to get on, by looks at the moments that are told, in seconds on one clock.

    Between two looks at most `most_s` count: a machine that stood still (a laptop asleep, a guest that was paused) hangs over nothing.
    """

    most_s: float
    looked_s: float
    still_s: float = 0.0

    def seen(self, *, moved: bool, at_s: float) -> float:
        """For how long by now."""
        self.still_s = 0.0 if moved else self.still_s + min(self.most_s, at_s - self.looked_s)
        self.looked_s = at_s
        return self.still_s


@dataclass(slots=True)
class _Working:
    """A thread at work, and what it comes to. `clock`: of the processor time that it takes; None where the system has no such clock."""

    work: Callable[[Told], Any]
    future: "Future[Any]" = field(default_factory=Future)
    wanted: bool = True
    clock: int | None = None

    def run(self) -> None:
        """What the thread does."""
        self.future.set_running_or_notify_cancel()
        with suppress(AttributeError, OSError):
            self.clock = time.pthread_getcpuclockid(threading.get_ident())
        try:
            self.future.set_result(self.work(self._told))
        except BaseException as error:  # noqa: BLE001  # whoever waits for it is told
            self.future.set_exception(error)

    def _told(self, _here: int, _whole: int) -> None:
        if not self.wanted:
            raise Invalid("nobody waits for the model any more", code="model-unwanted")

    def used_s(self) -> float:
        """The processor time that it has taken: it stands still while it waits for a disk."""
        with suppress(OSError):  # it has ended
            return time.clock_gettime(self.clock) if self.clock is not None else 0.0
        return 0.0


class Bringing:
    """Work on models. `hang_s`: how long a thread may do nothing; `error`: as what it is then told."""

    def __init__(self, *, hang_s: float, error: type[Permanent | Temporary] = Invalid) -> None:
        self._hang_s, self._error = hang_s, error
        self._hanging: dict[str, _Working] = {}

    async def of(self, uri: str, work: Callable[[Told], T]) -> T:
        """What the work on that model gives; it tells how far it is, which raises once nobody waits for it.

        Raises: the error, where it hangs; whatever the work raises.
        """
        if uri in self._hanging and not self._hanging[uri].future.done():
            raise self._refusal(uri)
        self._hanging.pop(uri, None)
        working = _Working(work)
        threading.Thread(target=working.run, name=f"model {uri}"[:80], daemon=True).start()  # one that hangs keeps no process from its end
        try:
            return await noticed(self._ended(working, uri), what="a model's files")
        finally:
            working.wanted = False

    async def _ended(self, working: _Working, uri: str) -> Any:
        every_s = self._hang_s / LOOKS
        ended, used_s, still = asyncio.wrap_future(working.future), 0.0, Stillness(2 * every_s, time.monotonic())
        try:
            while not (await asyncio.wait([ended], timeout=every_s))[0]:
                before_s, used_s = used_s, working.used_s()
                if still.seen(moved=used_s != before_s, at_s=time.monotonic()) > self._hang_s:
                    self._hanging[uri] = working
                    raise self._refusal(uri)
            return ended.result()
        finally:
            ended.cancel()

    def _refusal(self, uri: str) -> Permanent | Temporary:
        return self._error(
            f"the files of {uri} have not answered for {self._hang_s:g} s (ASSAY_MODEL_HANG_S): look after the file system that they lie "
            "on, or copy the model to a disk of this machine", code="model-hangs",
        )  # fmt: skip


@dataclass(slots=True)
class Doing:
    """What a process and its children have done, in seconds of processor time and bytes from disks, and for how long nothing.

    Threads of libraries that only wake and wait again take less than `LEAST_S` in minutes. `every_s`: how often it is looked at.
    """

    pid: int
    every_s: float
    done: tuple[float, int] = (0.0, 0)
    still: Stillness = field(init=False)

    def __post_init__(self) -> None:
        self.still = Stillness(2 * self.every_s, time.monotonic())

    def idle_s(self) -> float:
        """For how long it has done nothing worth the name."""
        used_s, read = self._now()
        # A child that ends takes its own with it.
        if moved := abs(used_s - self.done[0]) > LEAST_S or abs(read - self.done[1]) > LEAST_BYTES:
            self.done = used_s, read
        return self.still.seen(moved=moved, at_s=time.monotonic())

    def _now(self) -> tuple[float, int]:
        used_s, read = 0.0, 0
        with suppress(psutil.Error):
            parent = psutil.Process(self.pid)
            for one in (parent, *parent.children(recursive=True)):
                with suppress(psutil.Error, AttributeError):  # it has ended; not every system counts bytes
                    used_s += sum(one.cpu_times()[:2])
                    read += one.io_counters().read_bytes
        return used_s, read
