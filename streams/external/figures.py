"""A figure that a file tells, and what reads a file's fields: what is not as its form says is refused with its place."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from streams.errors import Invalid

CODE: Final = "not-its-form"
LONGEST: Final = 500  # characters of a name
FARTHEST: Final = 1e300
UNKNOWN: Final = frozenset({"", "N/A", "NA", "NAN"})
THOUSANDS: Final = re.compile(r",(?=\d{3}(?:\D|$))")  # a comma is no point: 0,71 is no number
YEAR_2000, YEAR_2200 = 946_684_800, 7_258_118_400
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with all that the file says of it. `place`: where in the file it stands."""

    place: str
    model: str
    task: str
    metric: str
    value: float
    filter: str = "none"
    unit: str | None = None
    stderr: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    num_fewshot: int | None = None
    lower_is_better: bool | None = None
    harness_version: str | None = None
    engine: str | None = None
    hardware: str | None = None
    conditions: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    measured_us: int | None = None


def is_turned(low: float | None, high: float | None) -> bool:
    """Both ends of an interval are told, and the lower one is above the upper."""
    return low is not None and high is not None and low > high


def wrong(place: str, what: str) -> Invalid:
    """What is said of a field that is not as its form says."""
    return Invalid(f"{place}: {what}", code=CODE)


def mapping(told: Any, place: str) -> Json:
    """The object there. Raises: Invalid."""
    if not isinstance(told, Mapping):
        raise wrong(place, f"an object is wanted, not {_kind(told)}")
    return told


def rows(told: Any, place: str) -> Iterator[tuple[str, Json]]:
    """The objects of the list there, each with its place. Raises: Invalid."""
    if not isinstance(told, Sequence) or isinstance(told, str):
        raise wrong(place, f"a list is wanted, not {_kind(told)}")
    for number, one in enumerate(told):
        yield f"{place}[{number}]", mapping(one, f"{place}[{number}]")


def inside(told: Json, name: str, place: str) -> Json:
    """The object of that name; an empty one where there is none. Raises: Invalid."""
    return mapping(told.get(name) or {}, f"{place}.{name}")


def text(told: Json, name: str, place: str) -> str:
    """The text of that name. Raises: Invalid where there is none."""
    if (found := text_or_none(told, name, place)) is None:
        raise wrong(f"{place}.{name}", "a text is wanted here")
    return found


def text_or_none(told: Json, name: str, place: str) -> str | None:
    """The text of that name; None where it is left out or empty. Raises: Invalid."""
    found = told.get(name)
    if found is None or found == "":
        return None
    if isinstance(found, (int, float)) and not isinstance(found, bool):
        found = str(found)
    if not isinstance(found, str) or len(found) > LONGEST:
        raise wrong(f"{place}.{name}", f"a text of at most {LONGEST} characters is wanted, not {_kind(found)}")
    return found


def number(told: Json, name: str, place: str) -> float:
    """The number of that name. Raises: Invalid where there is none."""
    if (found := number_or_none(told, name, place)) is None:
        raise wrong(f"{place}.{name}", "a number is wanted here")
    return found


def number_or_none(told: Json, name: str, place: str) -> float | None:
    """The number of that name; None where it is left out, N/A, or no number is one. Raises: Invalid."""
    found = told.get(name)
    if isinstance(found, str):
        try:
            found = None if found.strip().upper() in UNKNOWN else float(THOUSANDS.sub("", found))
        except ValueError:
            raise wrong(f"{place}.{name}", f"a number is wanted, not {str(found)[:40]!r}") from None
    if found is None or (isinstance(found, float) and math.isnan(found)):
        return None
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise wrong(f"{place}.{name}", f"a number is wanted, not {_kind(found)}")
    if abs(found) > FARTHEST:
        raise wrong(f"{place}.{name}", "the number is beyond all measure")
    return float(found)


def error_or_none(told: Json, name: str, place: str) -> float | None:
    """The standard error of that name; None where it is left out. Raises: Invalid where it is below 0."""
    found = number_or_none(told, name, place)
    if found is not None and found < 0:
        raise wrong(f"{place}.{name}", f"a standard error cannot be below 0, and this is {found:g}")
    return found


def count_or_none(told: Json, name: str, place: str) -> int | None:
    """The whole number of that name that counts something; None where it is left out. Raises: Invalid."""
    found = number_or_none(told, name, place)
    if found is None:
        return None
    if found != int(found) or not 0 <= found < 2**53:
        raise wrong(f"{place}.{name}", f"a count is wanted, not {found:g}")
    return int(found)


def time_us(told: Json, name: str, place: str) -> int | None:
    """The time of that name in µs; None where it is left out. Seconds since 1970, or ISO 8601 (UTC without a zone). Raises: Invalid."""
    found = told.get(name)
    if found in (None, ""):
        return None
    try:
        seconds = float(found)
    except (TypeError, ValueError, OverflowError):
        seconds = None
    try:
        if seconds is not None and not YEAR_2000 <= seconds < YEAR_2200:
            raise ValueError  # 20251101 are no seconds
        when = datetime.fromtimestamp(seconds, UTC) if seconds is not None else datetime.fromisoformat(str(found))
        return round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1e6)
    except (ValueError, OverflowError, OSError):
        raise wrong(f"{place}.{name}", f"a time is wanted, not {str(found)[:40]!r}; write 2026-11-29 or 2026-11-29T10:00:00Z") from None


def _kind(told: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(told), "a number")
