"""A process that ends where its work gets nowhere: for one that works at a single thing, which nobody else waits for."""

import faulthandler
import os
import threading
import time

from infra.pulse import Pulse

SILENT = 70  # EX_SOFTWARE of sysexits.h
LOOKS_S = 1.0


def end_where_silent(pulse: Pulse, longest_s: float) -> None:
    """Begins a thread that ends the process once the pulse is silent for so long; where code holds Python's lock, in twice the time."""

    def watch() -> None:
        while pulse.silent_s <= longest_s:
            faulthandler.dump_traceback_later(2 * longest_s, exit=True)
            time.sleep(min(LOOKS_S, longest_s / 10))
        os._exit(SILENT)

    threading.Thread(target=watch, name="silence", daemon=True).start()
