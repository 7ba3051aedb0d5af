"""A limit to the time of what runs code of a task's own, in the process that runs it."""

import faulthandler
import signal
from collections.abc import Iterator
from contextlib import contextmanager

# How long after its time what does not come back to Python ends with its process.
GRACE_S = 1.0


class Overdue(BaseException):
    """It takes too long. No `Exception`, or a task's own code might take it for one of its errors."""


@contextmanager
def within(limit_s: float | None) -> Iterator[None]:
    """Ends what goes on in it when its time is over: with Overdue, and where that is not heard, with the process. None: no limit."""
    if limit_s is None:
        yield
        return

    def over(*_: object) -> None:
        raise Overdue

    handler = signal.signal(signal.SIGALRM, over)
    before = signal.setitimer(signal.ITIMER_REAL, limit_s)
    faulthandler.dump_traceback_later(limit_s + GRACE_S, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, handler)
