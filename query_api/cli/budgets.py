"""What a run may take, as people write it: `--deadline 2h`, `--deadline 2026-12-01T18:00Z`, `--budget-usd 2.50`."""

import math
import re
from datetime import UTC, datetime
from typing import Any, Final

from infra.identity import now_us
from streams.errors import Invalid
from streams.numbers import real, shown

UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
NANO: Final = 10**9


def budget(told: dict[str, Any]) -> dict[str, Any]:
    """The budget of a request's body, from `s`, `deadline` and `usd` as people give them; what is null is left out. Raises: Invalid."""
    given = {name: value for name, value in told.items() if value is not None}
    if isinstance(seconds := given.get("s"), float) and not math.isfinite(seconds):
        raise Invalid(f"budget of {seconds} s: write a number of seconds such as 600, or leave it out for no limit", code="budget")
    if "deadline" in given:
        given["deadline_us"] = deadline_us(given.pop("deadline"))
    if "usd" in given:
        given["usd_nano"] = _nano(given.pop("usd"))
    return given


def deadline_us(told: object) -> int:
    """UTC microseconds of a time (UTC, unless it names another zone) or of so much time from now: 90s, 30m, 2h, 1d. Raises: Invalid."""
    try:
        if ahead := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", str(told).strip()):
            return _within_years(now_us() + round(real(ahead[1]) * UNITS_S[ahead[2]] * 1e6))
        at = datetime.fromisoformat(str(told))
        return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1e6)
    except (ValueError, OverflowError) as error:
        shown = repr(str(told)[:40])
        raise Invalid(f"deadline {shown}: write a time such as 2026-12-01T18:00Z, or 30m, 2h, 1d from now", code="deadline") from error


def _within_years(at_us: int) -> int:
    datetime.fromtimestamp(at_us / 1e6, UTC)  # else no calendar has it
    return at_us


def _nano(usd: object) -> int:
    try:
        return round(real(usd) * NANO)
    except ValueError as error:
        raise Invalid(f"budget of {shown(usd)} USD: write a number such as 2.50", code="budget") from error
