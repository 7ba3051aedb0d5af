"""Says in the process's log, every few seconds, how far a long reading has come."""

import time
from typing import Final

import structlog

EVERY_S: Final = 5.0


class Telling:
    """`what` is the name of the log line; without one nothing is said."""

    def __init__(self, what: str | None) -> None:
        self._what = what
        self._began_s = self._said_s = time.monotonic()
        self._most = 0

    def left(self, records: int) -> None:
        """So many records lie ahead."""
        self._most = max(self._most, records)
        now_s = time.monotonic()
        if self._what and now_s - self._said_s > EVERY_S:
            self._said_s = now_s
            done = round(1 - records / self._most, 3)
            structlog.get_logger().info(self._what, left=records, done_ratio=done, for_s=round(now_s - self._began_s))
