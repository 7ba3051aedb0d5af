"""Whether a process still gets anywhere: whoever works touches the pulse, and who watches ends what has hung.

Work that may take long by itself (a program that a model wrote, a broker that is away) touches it as it goes.
"""

import time


class Pulse:
    """When something was last done, on the process's monotonic clock."""

    def __init__(self) -> None:
        self._touched_s = time.monotonic()

    def touch(self) -> None:
        """Something was done."""
        self._touched_s = time.monotonic()

    @property
    def silent_s(self) -> float:
        """Seconds since then."""
        return time.monotonic() - self._touched_s


PULSE = Pulse()
