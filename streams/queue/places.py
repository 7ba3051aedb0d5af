"""How far a process has read each partition of the log: what lies before is passed over when it comes again."""

from dataclasses import dataclass, field

At = tuple[str, int]  # topic, partition


@dataclass(slots=True)
class Places:
    """The next offset of each partition, and the latest time at which one of its records was written."""

    next: dict[At, int] = field(default_factory=dict)
    latest_us: dict[At, int] = field(default_factory=dict)

    def passes(self, at: At, *, offset: int, written_us: int) -> bool:
        """Moves on behind a record; False where that was done before."""
        if offset < self.next.get(at, 0):
            return False
        self.next[at] = offset + 1
        self.latest_us[at] = max(written_us, self.latest_us.get(at, 0))
        return True
