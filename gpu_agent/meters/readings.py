"""What a meter gives: readings of its sensors, each the fields of an event; and files of the kernel's that hold a number."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

Reading = dict[str, Any]
Read = Callable[[], Iterator[Reading]]
Found = tuple[Read | None, str]  # the meter, or why there is none


def whole(path: Path) -> int:
    """The number in a file. Raises: OSError, ValueError."""
    return int(path.read_text())


def whole_or_none(path: Path) -> int | None:
    """The number in a file; None where there is none that may be read."""
    with suppress(OSError, ValueError):
        return whole(path)
    return None


def word(path: Path) -> str:
    """The text in a file, without its end of line; empty where there is none that may be read."""
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text().strip()
    return ""
