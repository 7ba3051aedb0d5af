"""Numbers that people write, as texts: read within bounds, so that it takes no time, whatever they write.

`1e99999999` has ten characters, and as a fraction a hundred million digits. Every number that somebody sends as text is read here.
"""

import re
from decimal import Decimal
from typing import Final

LONGEST: Final = 100
LONGEST_SHOWN: Final = 60
LARGEST: Final = Decimal("1e30")
LEAST: Final = Decimal("1e-30")  # that is not 0
MOST_LONG: Final = 2**63 - 1  # Avro's
_DECIMAL: Final = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WHOLE: Final = re.compile(r"[-+]?[0-9]{1,19}")


def decimal(told: object) -> Decimal:
    """The number as it is written, exactly: 0, or one whose size is from 1e-30 to 1e30. Raises: ValueError, saying what to write."""
    text = text_of(told)
    if len(text) > LONGEST:
        raise ValueError(f"is longer than the {LONGEST} characters that a number may have; write fewer digits")
    if not _DECIMAL.fullmatch(text):
        raise ValueError("is no number; write it as 2.5")
    try:
        number = Decimal(text)
    except ArithmeticError:  # an exponent that no Decimal has
        number = LARGEST * 2
    if not number:
        return Decimal(0)
    if not LEAST <= number.copy_abs() <= LARGEST:
        raise ValueError("is out of all bounds; write 0, or a number from 1e-30 to 1e30")
    return number


def real(told: object) -> float:
    """The double nearest to it. Raises: ValueError."""
    return float(decimal(told))


def whole(told: object) -> int:
    """A whole number of Avro's 64 bits, written with digits alone. Raises: ValueError."""
    text = text_of(told)
    if not _WHOLE.fullmatch(text) or abs(number := int(text)) > MOST_LONG:
        raise ValueError("is no whole number of at most 63 bits; write it as 25")
    return number


def shown(told: object) -> str:
    """What was written, as a message shows it: not all of what is long."""
    text = repr(told) if isinstance(told, str) else text_of(told)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def text_of(told: object) -> str:
    """It as text, without what is around it."""
    try:
        return str(told).strip()
    except ValueError:  # Python writes no whole number of thousands of digits
        return "9" * (LONGEST + 1)
