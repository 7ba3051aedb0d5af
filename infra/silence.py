"""A process that ends where its work gets nowhere: for one that works at a single thing, which nobody else waits for."""

import faulthandler
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from infra.pulse import Pulse

SILENT = 70  # EX_SOFTWARE of sysexits.h
LOOKS_S = 1.0


@contextmanager
def ending_where_silent(pulse: Pulse, longest_s: float) -> Iterator[None]:
    """While it lasts, a thread ends the process once the pulse is silent for so long; where code holds Python's lock, in twice the time."""
    over = threading.Event()

    def watch() -> None:
        while pulse.silent_s <= longest_s:
            faulthandler.dump_traceback_later(2 * longest_s, exit=True)
            if over.wait(min(LOOKS_S, longest_s / 10)):
                faulthandler.cancel_dump_traceback_later()
                return
        os._exit(SILENT)

    watching = threading.Thread(target=watch, name="silence", daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
