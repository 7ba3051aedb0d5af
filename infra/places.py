"""Places of files that people name, whatever they wrote."""

from pathlib import Path


def nameable(place: str | Path) -> bool:
    """Whether a file may have that name at all: it may be too long, or hold what no name may."""
    try:
        Path(place).exists()
    except (OSError, ValueError):
        return False
    return True


def is_there(place: str | Path) -> bool:
    """Whether there is a file or a folder of that name; an empty one is nobody's, and not the folder that one is in."""
    return str(place) != "" and nameable(place) and Path(place).exists()
