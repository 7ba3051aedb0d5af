"""JSON in which a name is there once: of two values the last would count, in silence."""

from collections import Counter
from collections.abc import Sequence
from typing import Any


def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object of such pairs, for `json.loads(text, object_pairs_hook=once)`. Raises: ValueError for a name that is there twice."""
    told = dict(pairs)
    if len(told) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"{twice!r} is there twice; give it once")
    return told
