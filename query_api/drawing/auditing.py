"""What audits come to, in words: for the command line, pages and boards alike."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

KEY: Final = 12  # letters of a key's name that are enough to tell it


def headline(report: Mapping[str, Any]) -> str:
    """The share of equal samples, with how many there are."""
    return f"{percent(report['equal_ratio'])} equal: {report['equal']:,} of {report['samples']:,} samples"


def percent(ratio: float) -> str:
    """A share; never called whole where it is not."""
    told = f"{100 * ratio:.2f}"
    return "100 %" if ratio == 1 else f"{'99.99' if told == '100.00' else told} %"


def marks(report: Mapping[str, Any]) -> Iterator[str]:
    """Under whose key it was reported, and whether that is so."""
    yield f"key {report['key_id'][:KEY]}" + ("" if report["own"] else ", another party's")
    if not report["signed"]:
        yield "its signature does not hold"


def reproduced(row: Mapping[str, Any]) -> str:
    """How often a run was run again and came out equal, at the least; empty where nobody did."""
    told = [(row.get(f"{side}audits") or 0, row.get(f"{side}equal_ratio"), by) for side, by in (("", ""), ("other_", " by others"))]
    return ", ".join(f"{_equal(ratio, count)}{by}" for count, ratio, by in told if count and ratio is not None)


def _equal(ratio: float, count: int) -> str:
    if count == 1:
        return f"{percent(ratio)} equal in 1 audit"
    return f"{percent(ratio)}{' or more' if ratio < 1 else ''} equal in each of {count} audits"
