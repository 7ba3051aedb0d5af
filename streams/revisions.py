"""Things that people say anew: of several the last in the log holds, whatever its number. A number only tells one from the others."""

from collections.abc import Collection
from itertools import count


def next_revision(used: Collection[int]) -> int:
    """A number that none has yet: 0, 1, 2, … where nobody else gave any."""
    return next(number for number in count(len(used)) if number not in used)
