"""Where each job of a pool stands: leased, paused before its next attempt, waiting for an agent, failed for good, or none of these.

Deciding costs what is leased, paused, failed or about to end, not what waits: every entry is on the shelf that the log puts it on, and
deciding moves those whose time has come (a lease is lost, a pause is over).
"""

from collections import Counter
from dataclasses import dataclass, field

from streams.queue.leases import Entry, Shelf
from streams.queue.lines import Lines, Waiting


@dataclass(slots=True)
class Shelves:
    """The indexes of a pool's entries, each in one at most."""

    lines: Lines = field(default_factory=Lines)
    leased: dict[str, Entry] = field(default_factory=dict)
    paused: dict[str, Entry] = field(default_factory=dict)
    failed: dict[str, Entry] = field(default_factory=dict)

    def put(self, entry: Entry, shelf: Shelf) -> None:
        """Moves the entry from the index that it is in to another, or to none."""
        self.lines.discard(entry.job_id)
        self.leased.pop(entry.job_id, None)
        self.paused.pop(entry.job_id, None)
        self.failed.pop(entry.job_id, None)
        entry.shelf = shelf
        if shelf == "leased":
            self.leased[entry.job_id] = entry
        elif shelf == "paused":
            self.paused[entry.job_id] = entry
        elif shelf == "failed":
            self.failed[entry.job_id] = entry
        elif shelf == "waiting" and entry.job:
            self.lines.add(Waiting(entry.job, entry.age, entry.age[0], entry.lease.agent_id if entry.lease else None))

    def shares(self) -> Counter[str]:
        """Submitter → jobs that run."""
        return Counter(entry.job.submitter for entry in self.leased.values() if entry.job)
