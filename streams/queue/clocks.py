"""The two clocks of a process: one that only goes forward, and one that says what time it is and may be turned."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment by both clocks. Silence, leases and pauses are measured in `steady_us`; deadlines and ages are times of `utc_us`.

    The steady clock begins anywhere above 0: its times mean nothing to another process, and are never written down.
    """

    steady_us: int
    utc_us: int
