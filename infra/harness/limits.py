"""Limits to the time and memory of what runs code of a task's own, in the process that runs it."""

import faulthandler
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from streams.errors import AssayError, Invalid, Permanent

T = TypeVar("T")

# How long after its time what does not come back to Python ends with its process.
GRACE_S = 1.0
# After how long what goes on is told again that its time is over: code of others may take any error for one of its own.
AGAIN_S = 0.2
OWN_CODE = "own-code"


class Overdue(BaseException):
    """It takes too long. No `Exception`, or a task's own code might take it for one of its errors."""


@contextmanager
def rendering(limit_s: float) -> Iterator[None]:
    """Ends what goes on in it with Overdue when its time is over, also in a `within`, whose time goes on.

    Cheap enough for each of a task's templates. In a thread, which hears no signal, nothing is ended.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    left = signal.getitimer(signal.ITIMER_REAL)[0]
    if left and left < limit_s:  # the time of what is around it is over sooner
        yield
        return
    with _alarm(limit_s, f"filling a template took longer than {limit_s:g} s"):
        yield


@contextmanager
def _alarm(limit_s: float, *told: str) -> Iterator[None]:
    """While it lasts, Overdue comes when its time is over, and again and again; an alarm around it goes on."""

    def over(*_: object) -> None:
        raise Overdue(*told)

    began, (left, again) = time.monotonic(), signal.getitimer(signal.ITIMER_REAL)
    handler = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, limit_s, AGAIN_S)
    try:
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
    finally:  # where the alarm came just before it was turned off too
        signal.setitimer(signal.ITIMER_REAL, max(1e-3, left - (time.monotonic() - began)) if left else 0.0, again)
        signal.signal(signal.SIGALRM, handler)


@contextmanager
def within(limit_s: float | None) -> Iterator[None]:
    """Ends what goes on in it when its time is over: with Overdue, and where that is not heard, with the process. None: no limit."""
    if limit_s is None:
        yield
        return
    faulthandler.dump_traceback_later(limit_s + GRACE_S, exit=True)
    try:
        with _alarm(limit_s):
            yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def heard(work: Callable[[], T]) -> T:
    """What the work gives, which may be code of others. Raises: AssayError, Overdue, Python's own errors; Permanent in the place of others.

    Of those others sys.exit and asyncio's CancelledError would end who waits for the work, and classes of others cannot be read there.
    """
    try:
        return work()
    except BaseException as error:
        if isinstance(error, AssayError | Overdue) or _is_plain(error):
            raise
        raise Permanent(f"its own code raised {words(error)}", code=OWN_CODE) from error


def _is_plain(error: BaseException) -> bool:
    """Whether whoever waits for a future can be given it: no class of others is in it, and StopIteration never comes out of one."""
    if type(error).__module__ != "builtins" or isinstance(error, StopIteration | StopAsyncIteration) or not isinstance(error, Exception):
        return False
    return not vars(error) and all(one is None or type(one) in (str, bytes, int, float) for one in error.args)


def words(error: BaseException) -> str:
    """What kind of error it is, and its text, which is code of others too."""
    try:
        text = str(error)
    except Overdue:
        raise
    except BaseException as other:  # noqa: BLE001  # whatever its text raises, what is told is the error
        text = f"its text raises {type(other).__name__}"
    return f"{type(error).__name__}: {text}"


def bounded(work: Callable[[], T], name: str, limit_s: float) -> T:
    """What the work gives, which builds a task. Raises: Invalid where it takes too long or too much memory; whatever the work raises."""
    try:
        with within(limit_s):
            return work()
    except Overdue as error:
        told = f"took longer than {limit_s:g} s (ASSAY_BUILD_LIMIT_S); ask for fewer samples"
        raise Invalid(f"building {name!r}: {error}" if str(error) else f"building {name!r} {told}", code="build-overdue") from error
    except MemoryError as error:
        told = f"building {name!r} takes more memory than a builder may have; ask for fewer samples, or mend its template"
        raise Invalid(f"{told}. The limit is ASSAY_PROCESS_MEMORY_MB", code="build-too-large") from error
