"""A day's curve as people write it: a rate, 24 rates, or rates from a time of day on. Every hour must have one."""

import re
from collections.abc import Mapping
from typing import Any, Final

from streams.deciding.quantities import RATES, amount
from streams.errors import Invalid

HOURS: Final = 24
_HOURS: Final = re.compile(r"(\d{1,2})(?::00)?(?:-(\d{1,2})(?::00)?)?")


def curve(told: Any) -> tuple[float, ...]:
    """Requests a second of each hour, or one rate for all day.

    A mapping names hours and stretches of them, as 8-18 (from 8 until 18), and must leave none out and name none twice.
    Raises: Invalid, naming the hours.
    """
    if isinstance(told, Mapping):
        return _of_stretches(told)
    if isinstance(told, list | tuple):
        if len(told) != HOURS:
            raise Invalid(f"the curve has {len(told)} rates; a day has {HOURS} hours", code="curve")
        return _sound(tuple(amount(one, f"curve, hour {hour}", RATES) for hour, one in enumerate(told)))
    return _sound((amount(told, "rate", RATES),))


def _of_stretches(told: Mapping[Any, Any]) -> tuple[float, ...]:
    rates: dict[int, float] = {}
    for key, one in told.items():
        for hour in _hours(str(key)):
            if hour in rates:
                raise Invalid(f"the curve names hour {hour} twice", code="curve")
            rates[hour] = amount(one, f"curve, {key}", RATES)
    if holes := [hour for hour in range(HOURS) if hour not in rates]:
        raise Invalid(f"the curve has holes: no rate for {_told(holes)}; write 0/s where nobody comes", code="curve")
    return _sound(tuple(rates[hour] for hour in range(HOURS)))


def _hours(key: str) -> range:
    found = _HOURS.fullmatch(key.strip())
    first, last = (int(found[1]), int(found[2] or int(found[1]) + 1)) if found else (0, 0)
    if not 0 <= first < last <= HOURS:
        raise Invalid(f"the curve names {key!r}; write hours as 7 or 8-18, from 0 to {HOURS}", code="curve")
    return range(first, last)


def _told(hours: list[int]) -> str:
    return ("hour " if len(hours) == 1 else "hours ") + ", ".join(map(str, hours))


def _sound(rates: tuple[float, ...]) -> tuple[float, ...]:
    if not any(rates):
        raise Invalid("the curve is 0 all day, so nothing need be served; write the rate of at least one hour", code="curve")
    return rates
