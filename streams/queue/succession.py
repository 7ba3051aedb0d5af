"""Which dispatcher has a pool, and when another may take it: a fold over `DispatcherTook` and `DispatcherBeat`.

The newest term's dispatcher has the pool for as long as it is heard. It says about once a second that it lives, and with its last beat
that it leaves. Silence counts on the listener's steady clock, and only while the log answers (infra/reach.py).

Anybody who may write can write a number: a term is believed once its `DispatcherTook` was folded, and not before. A dispatcher says nothing
under its term before that lies in the log. So whoever meets a term that it does not know reads first to where those end now
(`Following.ahead`); what is unknown then nobody took, and it is nothing, also when that number is taken later: releases count only
from where the job topic ended as their term was taken.
"""

from dataclasses import dataclass, field

from schemas.jobs import DispatcherBeat, DispatcherTook

SILENCE_US = 3_000_000
# Once the log has been away its producers take a while to come back, each in its own time.
RETURN_US = 5_000_000


@dataclass(slots=True)
class Succession:
    """The newest term (-1: there was none), its newest beat, and when its dispatcher was last heard.

    `taken`: every term, and where the partitions of the job topic ended before it.
    """

    term: int = -1
    sequence: int = -1
    leaving: bool = False
    taken: dict[int, tuple[int, ...]] = field(default_factory=dict)
    heard_us: int = 0

    def fold(self, event: DispatcherTook | DispatcherBeat, *, offset: int, at_us: int) -> None:
        """Takes in that a dispatcher took the pool, lives or leaves; what is said under another than the newest term is nothing."""
        if isinstance(event, DispatcherTook):
            self.taken[offset] = event.begins
        term = event.term if isinstance(event, DispatcherBeat) else offset
        if term < self.term or term not in self.taken:
            return
        if term > self.term:
            self.term, self.sequence, self.leaving = term, -1, False
        if isinstance(event, DispatcherBeat) and event.sequence > self.sequence:
            self.sequence, self.leaving = event.sequence, event.leaving
        self.heard_us = max(self.heard_us, at_us)

    def holds(self, term: int, *, partition: int, offset: int) -> bool:
        """What lies there of the job topic can have been said under this term: it was taken, and before that."""
        begins = self.taken.get(term)
        return begins is not None and offset >= (begins[partition] if 0 <= partition < len(begins) else 0)

    def vacant(self, *, now_us: int) -> bool:
        """Nobody has the pool: there was no dispatcher ever, the last one has left, or it has been silent for long."""
        return self.term < 0 or self.leaving or now_us - self.heard_us > SILENCE_US

    def listens(self, *, now_us: int) -> None:
        """Silence counts from this moment at the earliest."""
        self.heard_us = max(self.heard_us, now_us)
