"""Options of engines: which there are, and those that are whole numbers as numbers."""

from collections.abc import Mapping

from streams.errors import Invalid

# Options of every engine here that are whole numbers, and the least of each.
LEAST: Mapping[str, int] = {"batch_tokens": 1, "max_length": 1, "threads": 1}
LONGEST_NUMBER = 12
MOST_THREADS = 1024


def check_known(engine: str, options: Mapping[str, str], known: frozenset[str]) -> None:
    """Raises: Invalid for an option that the engine does not have."""
    if unknown := set(options) - known:
        raise Invalid(f"engine {engine} has no option {sorted(unknown)[0]!r}; it has {', '.join(sorted(known))}", code="option")


def numbers(options: Mapping[str, str], *, least: Mapping[str, int] = LEAST) -> dict[str, int]:
    """The options that are whole numbers, as numbers; `least`: which these are, and the least that each may be. Raises: Invalid."""
    found = dict[str, int]()
    for name in sorted(least.keys() & options.keys()):
        told = options[name]
        if not (told.isascii() and told.isdecimal() and len(told) < LONGEST_NUMBER and int(told) >= least[name]):
            raise Invalid(f"option {name}={told[:LONGEST_NUMBER]}: give a whole number, {least[name]} or more", code="option")
        found[name] = int(told)
    return found
