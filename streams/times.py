"""Times as people read them, in UTC. What others wrote may name a time that no calendar has: that is shown as microseconds."""

from datetime import UTC, datetime


def day(time_us: int) -> str:
    """A time's date."""
    return utc(time_us, "%Y-%m-%d")


def moment(time_us: int) -> str:
    """A time to the second, with its zone."""
    return utc(time_us, "%Y-%m-%dT%H:%M:%SZ")


def utc(time_us: int, form: str) -> str:
    """A time in a form of strftime."""
    try:
        at = datetime.fromtimestamp(time_us / 1e6, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{time_us} µs"
    return at.strftime(form.replace("%Y", f"{at.year:04}"))  # strftime itself writes the year 7 as 7
