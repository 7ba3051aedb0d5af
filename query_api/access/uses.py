"""When each key was used last, to the hour: a file of the home, which `assay access list` reads.

No event: that a key is in use says nothing that anything follows from, and the log would keep it for ever.
"""

import asyncio
import json
from pathlib import Path
from typing import Final

import structlog

from infra.identity import now_us
from infra.machine import locked
from infra.settings import Settings
from streams.trust.access import ids_of

HOUR_US: Final = 3600 * 10**6


def path_of(settings: Settings) -> Path:
    """Where it is kept."""
    return settings.home / "key-uses.json"


def last_uses(settings: Settings) -> dict[str, int]:
    """Key, member, group or domain → the hour of its last use (µs, UTC), as far as APIs of this home know."""
    try:
        told = json.loads(path_of(settings).read_bytes())
        return {str(subject): int(at_us) for subject, at_us in told.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


class Uses:
    """What writes it, at most once an hour for each key."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._noted: dict[str, int] = {}

    async def used(self, subject: str) -> None:
        """Notes that a key was used, or a member came in; by a group or a domain, of both."""
        hour_us = now_us() // HOUR_US * HOUR_US
        if self._noted.get(subject) != hour_us:
            self._noted[subject] = hour_us
            await asyncio.to_thread(self._note, ids_of(subject), hour_us)

    def _note(self, subjects: list[str], hour_us: int) -> None:
        path = path_of(self._settings)
        try:
            with locked(path):
                new = path.with_suffix(".new")
                new.write_text(json.dumps(last_uses(self._settings) | dict.fromkeys(subjects, hour_us)))
                new.replace(path)
        except OSError as error:  # nobody is refused for that
            structlog.get_logger().warning("a key's use is not noted", why=str(error))
