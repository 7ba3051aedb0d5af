"""What goes wrong in an engine, as it is told: in its own words, as ours, and of which request, without ending the engine's process.

An engine may fail over one of many requests that it was given together. It is then asked for ever fewer of those left, until the one is
known that it fails over alone; what the others come to is not lost. No library of models is imported here.
"""

import gc
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Halved
from streams.errors import AssayError, Permanent, Temporary

LONGEST_TOLD = 500
# Codes of what was raised by code that is not ours: the message may quote whatever it was given.
FAILED, REFUSED, FAILING = "engine-failed", "server-refuses", "server-fails"
QUOTING = (FAILED, REFUSED, FAILING)
LOST = "device-lost"
LACKS_MEMORY = ("can't allocate", "bad_alloc", "out of memory")
Answering = Callable[[Sequence[EngineRequest]], Iterator[EngineAnswer | Halved]]


class OfRequest(Permanent):
    """An engine fails over one request; `index` is the request's."""

    def __init__(self, message: str, *, code: str, index: int) -> None:
        super().__init__(message, code=code)
        self.index = index

    def __reduce__(self) -> tuple[object, ...]:
        return _of_request, (str(self), self.code, self.index)


class OfAll(Permanent):
    """What an engine fails over whichever request it is asked: no fewer of them are asked for it."""


def _of_request(message: str, code: str, index: int) -> OfRequest:
    return OfRequest(message, code=code, index=index)


def told_of(error: BaseException) -> AssayError:
    """The error as one of ours: permanent, for the same input ends the same way, unless memory or the device was lacking."""
    if isinstance(error, OfRequest):
        return error
    if isinstance(error, AssayError):
        return (Permanent if isinstance(error, Permanent) else Temporary)(str(error), code=error.code)
    if is_out_of_memory(error):
        return Temporary(f"out of memory: {words_of(error)}", code="out-of-memory")
    if is_lost(error) and "device-side assert" not in str(error):
        return Temporary(f"the device failed: {words_of(error)}", code=LOST)
    return Permanent(f"the engine failed: {words_of(error)}", code=FAILED)


def words_of(error: BaseException) -> str:
    """The error's type and message on one line of bounded length; of one without a message, where it was raised."""
    told = " ".join((str(error) or _raised(error)).split())
    told = f"{type(error).__name__}: {told}"
    return told if len(told) <= LONGEST_TOLD else f"{told[:LONGEST_TOLD]}…"


def _raised(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"in {frames[-1].name}, {Path(frames[-1].filename).name} line {frames[-1].lineno}: {frames[-1].line}" if frames else ""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device's memory, or the process's, ran out."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or (isinstance(error, RuntimeError) and any(one in str(error) for one in LACKS_MEMORY))


def is_lost(error: BaseException) -> bool:
    """Whether the device serves this process no longer: after such an error every call to CUDA fails."""
    return type(error).__name__ == "AcceleratorError" or (isinstance(error, RuntimeError) and "CUDA error" in str(error))


def narrowed(answering: Answering, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer | Halved]:
    """Answers to all of the requests.

    Raises: OfRequest, naming the one that cannot be answered; OfAll, Temporary, and what loses the device.
    """
    left = {(request.index, request.draw): request for request in requests}
    try:
        for reply in answering(requests):
            if isinstance(reply, EngineAnswer):
                left.pop((reply.index, reply.draw), None)
            yield reply
    except Exception as error:  # an engine's libraries are code of others: whatever they raise is a failure over these requests
        if isinstance(error, Temporary | OfAll) or is_out_of_memory(error) or is_lost(error) or not left:
            raise
        if len(left) == 1:
            told = told_of(error)
            frames_of(error)
            raise OfRequest(str(told), code=told.code, index=next(iter(left.values())).index) from error
    else:
        return
    several = list(left.values())
    half = len(several) // 2
    yield from narrowed(answering, several[:half])
    yield from narrowed(answering, several[half:])


def frames_of(error: BaseException) -> None:
    """Writes where it went wrong to the process's log: lines of code, not the message, which may quote a private text."""
    if not isinstance(error, AssayError):
        where = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
        sys.stderr.write(f"{type(error).__name__} at\n{where}")
        sys.stderr.flush()
    gc.collect()
