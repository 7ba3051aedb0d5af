"""Options of engines, which a request gives as texts: what each takes, and its value. Which engine has which is said in streams/engines.py.

A request is refused by this list when it is made, and when it is planned; an engine reads its options by it.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from streams.errors import Invalid
from streams.numbers import real

MOST_DIGITS: Final = 12
LONGEST_QUOTE: Final = 40
MOST_WINDOW: Final = 100_000_000  # tokens; the longest windows that are told of are some 10 million
MOST_AT_ONCE: Final = 10_000_000  # tokens
MOST_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Option:
    """`takes`: what it is to be given; `read`: the value of a text. It raises ValueError for a text that is none."""

    takes: str
    read: Callable[[str], Any] = str


def whole(least: int, most: int) -> Option:
    """A whole number from one to the other."""

    def read(told: str) -> Any:
        if not (told.isascii() and told.isdecimal() and len(told) < MOST_DIGITS):
            raise ValueError
        return _between(int(told), least, most)

    return Option(f"a whole number from {least} to {most:,}", read)


def one_of(values: Mapping[str, Any]) -> Option:
    """One of several words, each of which stands for a value."""

    def read(told: str) -> Any:
        if told not in values:
            raise ValueError
        return values[told]

    return Option(" or ".join(filter(None, values)), read)


def _between(number: Any, least: float, most: float) -> Any:
    if not least <= number <= most:
        raise ValueError
    return number


def _share(told: str) -> float:
    if not (share := float(_between(real(told), 0, 1))):
        raise ValueError
    return share


def _labels(told: str) -> dict[str, str]:
    """`asked=model's,…` as a mapping; each asked once."""
    pairs = [(asked.strip(), own.strip()) for asked, _, own in (one.partition("=") for one in told.split(",") if one.strip())]
    if not all(asked and own for asked, own in pairs) or len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)


TEXT: Final = Option("a text")
FLAG: Final = one_of({"true": True, "false": False})
SHARE: Final = Option("a share, above 0, at most 1", _share)
MILLISECONDS: Final = Option(f"milliseconds, 0 to {MOST_MS:,}", lambda told: _between(real(told), 0, MOST_MS))
LABELS: Final = Option("asked=model's, as toxic=LABEL_1, each asked once", _labels)
# What every engine here has that reads files.
USUAL: Final[Mapping[str, Option]] = {
    "batch_tokens": whole(1, MOST_AT_ONCE), "max_length": whole(1, MOST_WINDOW), "threads": whole(1, 1024),
}  # fmt: skip


def values(engine: str, options: Mapping[str, str], known: Mapping[str, Option]) -> dict[str, Any]:
    """The options' values, of an engine that knows these. Raises: Invalid for one that it does not have, or a text that is no value."""
    found = dict[str, Any]()
    for name, told in options.items():
        if name not in known:
            raise Invalid(f"engine {engine} has no option {_quoted(name)}; {_meant(name, known)}", code="option")
        try:
            found[name] = known[name].read(told)
        except ValueError as error:
            raise Invalid(f"option {name}={told[:LONGEST_QUOTE]}: give {known[name].takes}", code="option") from error
    return found


def _meant(name: str, known: Mapping[str, Option]) -> str:
    close = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"it has {', '.join(sorted(known))}"


def _quoted(name: str) -> str:
    return repr(name if len(name) <= LONGEST_QUOTE else f"{name[:LONGEST_QUOTE]}…")
