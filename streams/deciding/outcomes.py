"""Did it help? The share of decisions that were made surely, and what they saved, each with its interval.

- confident: the share of decisions whose confidence was 80 % or more; that of the recommendation, where it rests on one, else what the
  person said. Its interval is Wilson's.
- saved: the mean over decisions with a report of (before - after) / before of the month's bill; with the interval of a mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from streams.statistics.intervals import mean_of, wilson

CONFIDENT: Final = 0.8


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision: how sure it was (None: nobody said), and the month's bill before and after it (None: not reported)."""

    confidence: float | None
    before_usd_nano: int | None
    after_usd_nano: int | None

    @property
    def saved_ratio(self) -> float | None:
        """The share of the bill that was saved, below 0 where it grew; None where it was not reported, or nothing was paid before."""
        if not self.before_usd_nano or self.after_usd_nano is None:
            return None
        return 1 - self.after_usd_nano / self.before_usd_nano


@dataclass(frozen=True, slots=True)
class Share:
    """A figure over n decisions, with its 95 % interval; None where there is none, and `why`."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    why_undefined: str | None
    method: str | None = None


def confident(decisions: Sequence[Decided]) -> Share:
    """The share of decisions that were made surely, of those whose confidence is known."""
    known = [one.confidence for one in decisions if one.confidence is not None]
    share = sum(value >= CONFIDENT for value in known) / len(known) if known else None
    low, high = (wilson(share, len(known)) if share is not None else None) or (None, None)
    return Share(share, low, high, len(known), None if known else "no decision says how sure it was", "Wilson" if known else None)


def saved(decisions: Sequence[Decided]) -> Share:
    """The mean share of the bill that was saved, of the decisions whose outcome is known."""
    known = [value for one in decisions if (value := one.saved_ratio) is not None]
    if not known:
        return Share(None, None, None, 0, "no outcome has the bill before and after; `assay decisions outcome` reports one")
    mean = mean_of(known)
    low, high = mean.interval or (None, None)
    why = None if mean.interval else "one outcome has no interval"
    return Share(mean.value, low, high, len(known), why, mean.method if mean.interval else None)
