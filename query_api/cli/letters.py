"""The dead letters that the log holds, read from it: they can be seen when nothing else is up."""

from dataclasses import replace
from typing import Any

from infra.settings import Settings
from streams.trust.dead_letters import Letter, letters
from streams.trust.privacy import told


async def known(settings: Settings) -> list[Letter]:
    """Every letter in the log, the oldest first, as it may be told. Raises: Unavailable."""
    from query_api.cli.logs import opened

    async with opened(settings) as log:
        return [replace(letter, event=told(letter.event)) for letter in await read(log)]


async def read(log: Any) -> list[Letter]:
    """Every letter that an open log holds, the oldest first, texts of private runs among them."""
    from schemas.trust import DeadLettered
    from streams.topics import DEAD_LETTERS

    found = [record async for record in log.read([DEAD_LETTERS]) if isinstance(record.event, DeadLettered)]
    return letters(record.event for record in sorted(found, key=lambda record: record.written_us))
